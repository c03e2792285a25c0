"""OAPI: tags on any resource that takes them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sandbox.cloud import metadata
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.model import (
    Account,
    Image,
    Keypair,
    Net,
    PublicIp,
    Resource,
    SecurityGroup,
    Snapshot,
    Subnet,
    Vm,
    Volume,
)
from sandbox.oapi.base import Json, action, listing
from sandbox.oapi.request import Part

RESOURCE_TYPES: dict[type[Resource], str] = {
    Vm: "instance",
    Volume: "volume",
    Snapshot: "snapshot",
    Image: "image",
    SecurityGroup: "security-group",
    Keypair: "keypair",
    PublicIp: "public-ip",
    Net: "vpc",
    Subnet: "subnet",
}
"""Kinds that bear tags -> ResourceType of ReadTags."""
MAX_KEY, MAX_VALUE = 255, 255


class ResourceTag(Part):
    key: str = ""
    """A missing one is refused as an empty one is."""
    value: str


@action("CreateTags")
def create_tags(cloud: LocalCloud, caller: Account, *, resource_ids: list[str], tags: list[ResourceTag]) -> None:
    """Add or replace tags on own resources, all or none."""
    given = _checked(resource_ids, tags)
    for resource in [_find(cloud, caller, each) for each in resource_ids]:
        _put(cloud, resource, {**resource.tags, **given})


@action("DeleteTags")
def delete_tags(cloud: LocalCloud, caller: Account, *, resource_ids: list[str], tags: list[ResourceTag]) -> None:
    """Remove tags that have both this key and this value; absent ones are not an error."""
    given = _checked(resource_ids, tags)
    for resource in [_find(cloud, caller, each) for each in resource_ids]:
        _put(cloud, resource, {key: value for key, value in resource.tags.items() if given.get(key) != value})


def _checked(resource_ids: list[str], tags: list[ResourceTag]) -> dict[str, str]:
    if not resource_ids or not tags:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameters 'ResourceIds' and 'Tags' are required.")
    given = {each.key: each.value for each in tags}
    for key, value in given.items():
        if not 1 <= len(key) <= MAX_KEY:
            raise RefusedError(Fail.BAD_TAG_KEY, "A tag key must have 1 to 255 characters.")
        if len(value) > MAX_VALUE:
            raise RefusedError(Fail.BAD_TAG_VALUE, "A tag value must have at most 255 characters.")
    return given


def _put(cloud: LocalCloud, resource: Resource, tags: Mapping[str, str]) -> None:
    cloud.store.put(resource.model_copy(update={"tags": tags}))
    if isinstance(resource, Vm):
        metadata.refresh_later(cloud, resource.id)


def _find(cloud: LocalCloud, caller: Account, resource_id: str) -> Resource:
    for kind in RESOURCE_TYPES:
        found = cloud.store.get(kind, resource_id)
        if found is not None and found.account_id == caller.id:
            return found
    if not re.fullmatch(r"[a-z][a-z-]*-[0-9a-f]{8,32}", resource_id):
        raise RefusedError(Fail.BAD_RESOURCE_ID, f"'{resource_id}' is not the id of a resource.")
    fail = Fail.NO_VM if resource_id.startswith(f"{Vm.prefix}-") else Fail.NO_RESOURCE
    raise RefusedError(fail, f"The resource '{resource_id}' does not exist.")


@listing("Tags", "Keys ResourceIds ResourceTypes Values", tagged=False)
def read_tags(cloud: LocalCloud, caller: Account) -> list[Json]:
    return [
        {"Key": key, "ResourceId": each.id, "ResourceType": shown, "Value": value}
        for kind, shown in RESOURCE_TYPES.items()
        for each in cloud.owned(caller, kind)
        for key, value in each.tags.items()
    ]
