"""OAPI: keypairs, made here (the private key is answered once and never kept) or imported."""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.model import Account, Keypair
from sandbox.oapi.base import Json, action, listing, tag_views

MAX_NAME = 255
RSA_BITS = 2048


def keypair_view(keypair: Keypair) -> Json:
    return {
        "KeypairFingerprint": keypair.fingerprint,
        "KeypairId": keypair.id,
        "KeypairName": keypair.name,
        "KeypairType": keypair.type,
        "Tags": tag_views(keypair),
    }


@listing("Keypairs", "KeypairFingerprints KeypairIds KeypairNames KeypairTypes")
def read_keypairs(cloud: LocalCloud, caller: Account) -> list[Json]:
    return [keypair_view(each) for each in cloud.owned(caller, Keypair)]


def find_keypair(
    cloud: LocalCloud, caller: Account, *, name: str | None = None, keypair_id: str | None = None
) -> Keypair:
    """The caller's keypair of that name or id."""
    for each in cloud.owned(caller, Keypair):
        if each.name == name or each.id == keypair_id:
            return each
    raise RefusedError(Fail.NO_KEYPAIR, f"The keypair '{name or keypair_id}' does not exist.")


@action("CreateKeypair")
def create_keypair(cloud: LocalCloud, caller: Account, *, keypair_name: str, public_key: str | None = None) -> Json:
    """Import a public key (OpenSSH format, plain or base64-encoded) or make an RSA pair."""
    name = keypair_name
    if not 1 <= len(name) <= MAX_NAME or not name.isascii() or not name.isprintable():
        raise RefusedError(Fail.BAD_KEYPAIR_NAME, f"The keypair name '{name}' is not valid: 1 to 255 ASCII characters.")
    if any(each.name == name for each in cloud.owned(caller, Keypair)):
        raise RefusedError(Fail.DUPLICATE_KEYPAIR, f"The keypair '{name}' already exists.")
    private, line = ({}, _decoded(public_key)) if public_key else _generate()
    kind, blob = line.split()[:2]
    digest = hashlib.md5(base64.b64decode(blob), usedforsecurity=False).digest()
    keypair = cloud.make(Keypair, caller, name=name, type=kind, public_key=line, fingerprint=digest.hex(":"))
    return {"Keypair": keypair_view(keypair) | private}


def _generate() -> tuple[Json, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return {"PrivateKey": private.decode()}, public.decode()


def _decoded(text: str) -> str:
    """The key line; OAPI's reference asks for base64, and the real API was recorded taking it plain."""
    line = text.strip()
    try:
        if " " not in line:
            line = base64.b64decode(line, validate=True).decode().strip()
        serialization.load_ssh_public_key(line.encode())
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise RefusedError(Fail.BAD_KEY, "The public key is not in OpenSSH format.") from None
    return line


@action("DeleteKeypair")
def delete_keypair(
    cloud: LocalCloud, caller: Account, *, keypair_id: str | None = None, keypair_name: str | None = None
) -> None:
    """VMs that were launched with it keep its public key."""
    if not keypair_name and not keypair_id:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'KeypairName' or 'KeypairId' is required.")
    cloud.store.delete(find_keypair(cloud, caller, name=keypair_name, keypair_id=keypair_id))
