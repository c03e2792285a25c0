"""The RSA key that signs the fixture's indexes and packages.

The key is random and belongs to one cache folder: nobody else can sign what that sandbox trusts.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.mirror.errors import MirrorError

KEY_BITS = 2048
PRIVATE_NAME = "signing-key.pem"


@dataclass(frozen=True)
class SigningKey:
    """An RSA key with the file name under which Alpine's tools look for its public half."""

    private: rsa.RSAPrivateKey

    @property
    def name(self) -> str:
        """File name of the public half: `alpine-fixture-<8 hex digits of its SHA-256>.rsa.pub`."""
        return f"alpine-fixture-{hashlib.sha256(self.public_pem).hexdigest()[:8]}.rsa.pub"

    @property
    def public_pem(self) -> bytes:
        """The public half as PEM (SubjectPublicKeyInfo), as in /etc/apk/keys."""
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, data: bytes) -> bytes:
        """A PKCS #1 v1.5 signature over SHA-1, which is what `.SIGN.RSA.*` means in apk's v2 format."""
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - apk's format asks for it


def new_key() -> SigningKey:
    """Make a random key."""
    return SigningKey(rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS))


def load_or_make_key(folder: Path) -> SigningKey:
    """The key kept in `folder` (made on first use, mode 0600); MirrorError where it can't be read."""
    path = folder / PRIVATE_NAME
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_private(path, new_key())
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise MirrorError(
            f"the mirror's signing key {path} can't be read ({error}): delete it to get a new one"
        ) from None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise MirrorError(f"the mirror's signing key {path} is not an RSA key: delete it to get a new one")
    return SigningKey(private)


def _write_private(path: Path, key: SigningKey) -> None:
    text = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
    temporary.replace(path)
