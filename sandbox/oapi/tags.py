"""OAPI: tags."""

from __future__ import annotations

from sandbox.cloud import tags
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.filters import Getter
from sandbox.cloud.model import Account
from sandbox.cloud.request import Part, Request
from sandbox.oapi.base import Json, ReadRequest, action, filtered, paged

RESOURCE_TYPES = {
    "vm": "instance",
    "volume": "volume",
    "snapshot": "snapshot",
    "image": "image",
    "security-group": "security-group",
    "keypair": "keypair",
    "public-ip": "public-ip",
    "net": "vpc",
    "subnet": "subnet",
}
"""Kind -> ResourceType of ReadTags."""


class TagPart(Part):
    key: str = ""
    """A missing one is refused as an empty one is."""
    value: str


class TagsRequest(Request):
    resource_ids: list[str]
    tags: list[TagPart]


@action("CreateTags", TagsRequest)
def create_tags(cloud: LocalCloud, caller: Account, request: TagsRequest) -> Json:
    tags.set_tags(cloud, caller, request.resource_ids, {each.key: each.value for each in request.tags})
    return {}


@action("DeleteTags", TagsRequest)
def delete_tags(cloud: LocalCloud, caller: Account, request: TagsRequest) -> Json:
    tags.remove_tags(cloud, caller, request.resource_ids, {each.key: each.value for each in request.tags})
    return {}


FILTERS: dict[str, Getter[Json]] = {
    "Keys": lambda one: [one["Key"]],
    "ResourceIds": lambda one: [one["ResourceId"]],
    "ResourceTypes": lambda one: [one["ResourceType"]],
    "Values": lambda one: [one["Value"]],
}


@action("ReadTags", ReadRequest)
def read_tags(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    views = [
        {"Key": key, "ResourceId": each.id, "ResourceType": RESOURCE_TYPES[each.kind], "Value": value}
        for each in tags.tagged_resources(cloud, caller)
        for key, value in each.tags.items()
    ]
    return paged(request, "Tags", filtered(request, views, FILTERS))
