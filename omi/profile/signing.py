"""Public keys that sign Alpine's packages and indexes."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from pathlib import Path

_PEM = re.compile(r"\s*-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END PUBLIC KEY-----\s*")
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")
"""The algorithm of an RSA key in DER (RFC 3279, section 2.3.1)."""


def read_public_key(path: Path) -> str:
    """The PEM text of an RSA public key, which is what apk signs with.

    Raises OSError when the file can't be read and ValueError, with the reason as its text, when it holds no such key.
    """
    try:
        text = path.read_text(encoding="ascii")
    except ValueError as error:
        message = "holds no public key in PEM form"
        raise ValueError(message) from error
    if not _framed_as_rsa(text):
        _require_rsa(text)
    return text


def check_public_key(text: str) -> None:
    """ValueError, with the reason as its text, unless this is an RSA public key to the last of its numbers."""
    _require_rsa(text)


def _framed_as_rsa(text: str) -> bool:
    """Whether it is a whole RSA public key going by its frame, which tells at once what is no key or not whole."""
    found = _PEM.fullmatch(text)
    try:
        key = b64decode(found[1]) if found else b""
    except binascii.Error:
        return False
    # SEQUENCE of two length bytes, the algorithm, BIT STRING of the rest: every RSA key of 1024 to 16384 bits
    return key[:2] == b"\x30\x82" and int.from_bytes(key[2:4]) == len(key) - 4 and key[4:19] == _RSA


def _require_rsa(text: str) -> None:
    # takes longer to import than a profile to read, and a preview reads the keys of every profile
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(text.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        message = "holds no public key in PEM form"
        raise ValueError(message) from error
    if not isinstance(key, RSAPublicKey):
        message = "is no RSA key, which is what apk signs with"
        raise ValueError(message)  # noqa: TRY004 -- the file's content is wrong, not an argument's type
