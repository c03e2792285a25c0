"""OAPI: keypairs."""

from __future__ import annotations

from sandbox.cloud import keypairs
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.filters import Getter
from sandbox.cloud.model import Account, Keypair
from sandbox.cloud.request import Request
from sandbox.oapi.base import Json, ReadRequest, action, filtered, paged, tag_getters, tag_views


def keypair_view(keypair: Keypair) -> Json:
    return {
        "KeypairFingerprint": keypair.fingerprint,
        "KeypairId": keypair.id,
        "KeypairName": keypair.name,
        "KeypairType": keypair.type,
        "Tags": tag_views(keypair),
    }


FILTERS: dict[str, Getter[Keypair]] = {
    "KeypairFingerprints": lambda one: [one.fingerprint],
    "KeypairIds": lambda one: [one.id],
    "KeypairNames": lambda one: [one.name],
    "KeypairTypes": lambda one: [one.type],
    **tag_getters(),
}


@action("ReadKeypairs", ReadRequest)
def read_keypairs(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    found = filtered(request, cloud.owned(caller, Keypair), FILTERS)
    return paged(request, "Keypairs", [keypair_view(each) for each in found])


class CreateKeypairRequest(Request):
    keypair_name: str
    public_key: str | None = None


@action("CreateKeypair", CreateKeypairRequest)
def create_keypair(cloud: LocalCloud, caller: Account, request: CreateKeypairRequest) -> Json:
    made = keypairs.create_keypair(cloud, caller, name=request.keypair_name, public_key=request.public_key)
    view = keypair_view(made.keypair)
    return {"Keypair": view if made.private_key is None else {**view, "PrivateKey": made.private_key}}


class DeleteKeypairRequest(Request):
    keypair_id: str | None = None
    keypair_name: str | None = None


@action("DeleteKeypair", DeleteKeypairRequest)
def delete_keypair(cloud: LocalCloud, caller: Account, request: DeleteKeypairRequest) -> Json:
    keypairs.delete_keypair(cloud, caller, name=request.keypair_name, keypair_id=request.keypair_id)
    return {}
