"""Keypairs: made here (the private key is answered once and never kept) or imported."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.model import Account, Keypair

MAX_NAME = 255
RSA_BITS = 2048


@dataclass(frozen=True)
class NewKeypair:
    """A keypair and, where it was made here, its private key (PEM)."""

    keypair: Keypair
    private_key: str | None


def create_keypair(cloud: LocalCloud, caller: Account, *, name: str, public_key: str | None) -> NewKeypair:
    """Import `public_key` (OpenSSH format, plain or base64-encoded) or make an RSA pair."""
    if not 1 <= len(name) <= MAX_NAME or not name.isascii() or not name.isprintable():
        raise RefusedError(Fail.BAD_KEYPAIR_NAME, f"The keypair name '{name}' is not valid: 1 to 255 ASCII characters.")
    with cloud.transaction():
        if any(each.name == name for each in cloud.owned(caller, Keypair)):
            raise RefusedError(Fail.DUPLICATE_KEYPAIR, f"The keypair '{name}' already exists.")
        private_key, line = (None, _decoded(public_key)) if public_key else _generate()
        kind, blob = _parts(line)
        fingerprint = _fingerprint(blob)
        keypair = cloud.make(Keypair, caller, name=name, type=kind, public_key=line, fingerprint=fingerprint)
        return NewKeypair(keypair, private_key)


def find_keypair(
    cloud: LocalCloud, caller: Account, *, name: str | None = None, keypair_id: str | None = None
) -> Keypair:
    """The caller's keypair of that name or id."""
    for each in cloud.owned(caller, Keypair):
        if each.name == name or each.id == keypair_id:
            return each
    raise RefusedError(Fail.NO_KEYPAIR, f"The keypair '{name or keypair_id}' does not exist.")


def delete_keypair(cloud: LocalCloud, caller: Account, *, name: str | None, keypair_id: str | None) -> None:
    """Delete a keypair; VMs that were launched with it keep its public key."""
    if not name and not keypair_id:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'KeypairName' or 'KeypairId' is required.")
    with cloud.transaction() as store:
        store.delete(find_keypair(cloud, caller, name=name, keypair_id=keypair_id))


def _generate() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode()


def _decoded(text: str) -> str:
    """The key line; OAPI's reference asks for base64, and the real API was recorded taking it plain."""
    line = text.strip()
    if " " not in line:
        try:
            line = base64.b64decode(line, validate=True).decode().strip()
        except (binascii.Error, UnicodeDecodeError):
            raise RefusedError(Fail.BAD_KEY, "The public key is not in OpenSSH format.") from None
    try:
        serialization.load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise RefusedError(Fail.BAD_KEY, "The public key is not in OpenSSH format.") from None
    return line


def _parts(line: str) -> tuple[str, bytes]:
    kind, blob = line.split()[:2]
    return kind, base64.b64decode(blob)


def _fingerprint(blob: bytes) -> str:
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[index : index + 2] for index in range(0, 32, 2))
