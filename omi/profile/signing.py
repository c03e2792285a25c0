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
    try:
        text = path.read_text(encoding="ascii")
        key = load_pem_public_key(text.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        message = "holds no public key in PEM form"
        raise ValueError(message) from error
    if not isinstance(key, RSAPublicKey):
        message = "is no RSA key, which is what apk signs with"
        raise ValueError(message)  # noqa: TRY004 -- the file's content is wrong, not an argument's type
    return text
