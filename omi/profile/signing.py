"""Public keys that sign Alpine's packages and indexes."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def read_public_key(path: Path) -> str:
    """The PEM text of an RSA public key, which is what apk signs with.

    Raises OSError when the file can't be read and ValueError, with the reason as its text, when it holds no such key.
    """
    text = path.read_bytes().decode("ascii", "replace")
    check_public_key(text)
    return text


def check_public_key(text: str) -> None:
    """ValueError, with the reason as its text, unless this is an RSA public key."""
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        message = "holds no public key in PEM form"
        raise ValueError(message) from error
    if not isinstance(key, RSAPublicKey):
        message = "is no RSA key, which is what apk signs with"
        raise ValueError(message)  # noqa: TRY004 -- the file's content is wrong, not an argument's type
