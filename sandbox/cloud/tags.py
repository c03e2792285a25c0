"""Tags on any resource that takes them."""

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

TAGGED: tuple[type[Resource], ...] = (Vm, Volume, Snapshot, Image, SecurityGroup, Keypair, PublicIp, Net, Subnet)
MAX_KEY, MAX_VALUE = 255, 255


def set_tags(cloud: LocalCloud, caller: Account, resource_ids: list[str], tags: Mapping[str, str]) -> None:
    """Add or replace tags on own resources, all or none."""
    _check(resource_ids, tags)
    with cloud.transaction() as store:
        for resource in [_find(cloud, caller, each) for each in resource_ids]:
            store.put(resource.model_copy(update={"tags": {**resource.tags, **tags}}))
            _tell_vm(cloud, resource)


def remove_tags(cloud: LocalCloud, caller: Account, resource_ids: list[str], tags: Mapping[str, str]) -> None:
    """Remove tags that have both this key and this value; absent ones are no error."""
    _check(resource_ids, tags)
    with cloud.transaction() as store:
        for resource in [_find(cloud, caller, each) for each in resource_ids]:
            kept = {key: value for key, value in resource.tags.items() if tags.get(key) != value}
            store.put(resource.model_copy(update={"tags": kept}))
            _tell_vm(cloud, resource)


def _check(resource_ids: list[str], tags: Mapping[str, str]) -> None:
    if not resource_ids or not tags:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameters 'ResourceIds' and 'Tags' are required.")
    for key, value in tags.items():
        if not 1 <= len(key) <= MAX_KEY:
            raise RefusedError(Fail.BAD_TAG_KEY, "A tag key must have 1 to 255 characters.")
        if len(value) > MAX_VALUE:
            raise RefusedError(Fail.BAD_TAG_VALUE, "A tag value must have at most 255 characters.")


def _tell_vm(cloud: LocalCloud, resource: Resource) -> None:
    if isinstance(resource, Vm):
        metadata.refresh_later(cloud, resource.id)


def _find(cloud: LocalCloud, caller: Account, resource_id: str) -> Resource:
    for kind in TAGGED:
        if resource_id.startswith(f"{kind.prefix}-"):
            found = cloud.store.get(kind, resource_id)
            if found is not None and found.account_id == caller.id:
                return found
    if not re.fullmatch(r"[a-z][a-z-]*-[0-9a-f]{8,32}", resource_id):
        raise RefusedError(Fail.BAD_RESOURCE_ID, f"'{resource_id}' is not the id of a resource.")
    fail = Fail.NO_VM if resource_id.startswith(f"{Vm.prefix}-") else Fail.NO_RESOURCE
    raise RefusedError(fail, f"The resource '{resource_id}' does not exist.")


def tagged_resources(cloud: LocalCloud, caller: Account) -> list[Resource]:
    """The caller's resources that bear tags."""
    return [each for kind in TAGGED for each in cloud.owned(caller, kind) if each.tags]
