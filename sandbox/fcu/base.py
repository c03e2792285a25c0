"""What every FCU operation shares: registration, allowed parameters, filters and refusals."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox.cloud.context import Cloud
from sandbox.cloud.devices import DeviceRequest
from sandbox.cloud.errors import CloudError, Fail
from sandbox.cloud.filters import Getter, select
from sandbox.cloud.model import Account, Resource
from sandbox.fcu import protocol
from sandbox.fcu.protocol import Json

T = TypeVar("T")
Handler = Callable[[Cloud, Account, Json], Json]
ROOT_DEVICE_TYPE = "ebs"
"""FCU's word for what OAPI calls bsu."""


@dataclass(frozen=True)
class Operation:
    """One registered operation and the parameters (names of the model) that FCU takes."""

    name: str
    parameters: frozenset[str]
    handler: Handler


OPERATIONS: dict[str, Operation] = {}


def operation(name: str, *parameters: str) -> Callable[[Handler], Handler]:
    """Register the handler of an operation. What FCU's reference doesn't name is refused, as InvalidParameter."""

    def register(handler: Handler) -> Handler:
        OPERATIONS[name] = Operation(name, frozenset(parameters) | {"DryRun"}, handler)
        return handler

    return register


def handle(cloud: Cloud, caller: Account, name: str, flat: Mapping[str, str]) -> bytes:
    """Do one call and answer in XML; raises CloudError where it is refused."""
    called = OPERATIONS.get(name)
    if called is None:
        raise CloudError(Fail.UNKNOWN_CALL, f"The action {name} is not served.")
    model = protocol.operation(name)
    parameters = protocol.parse(model, flat)
    for each in parameters:
        if each not in called.parameters:
            raise CloudError(Fail.UNKNOWN_PARAMETER, f"The parameter {each} is not recognized.")
    if parameters.get("DryRun"):
        raise CloudError(Fail.DRY_RUN, "Request would have succeeded, but DryRun flag is set.")
    with cloud.transaction(), cloud.quotas.kept(caller):
        answer = called.handler(cloud, caller, parameters)
    return protocol.serialise(model, answer, str(uuid.uuid4()))


def refusal(error: CloudError, *, code: str | None = None) -> bytes:
    """The XML of a refusal."""
    return protocol.errors([(code or error.fail.value.fcu_code, error.details)], str(uuid.uuid4()))


def required(parameters: Json, name: str) -> Any:
    """A parameter that must be there."""
    value = parameters.get(name)
    if value in (None, "", []):
        raise CloudError(Fail.MISSING_PARAMETER, f"The request must contain the parameter {name}.")
    return value


def filtered(parameters: Json, things: Iterable[T], getters: Mapping[str, Getter[T]]) -> list[T]:
    """The things that fit `Filters`; `tag:KEY` filters by a tag's value; an unknown name is refused."""
    found = list(things)
    wanted: dict[str, list[str]] = {}
    for each in parameters.get("Filters", []):
        name, values = each.get("Name", ""), each.get("Values", [])
        if name.startswith("tag:") and "tag-key" in getters:
            found = select(found, {name: _tag_getter(name[4:])}, {name: values})
        elif name in getters:
            wanted[name] = values
        else:
            raise CloudError(Fail.BAD_VALUE, f"The filter '{name}' is invalid.")
    return select(found, getters, wanted)


def _tag_getter(key: str) -> Getter[Any]:
    return lambda one: [one.tags[key]] if key in one.tags else []


def tag_getters() -> dict[str, Getter[Any]]:
    return {"tag-key": lambda one: one.tags, "tag-value": lambda one: one.tags.values()}


def by_ids(wanted: list[str] | None, things: list[T], get_id: Callable[[T], str], fail: Fail) -> list[T]:
    """All things, or those of the wanted ids; an id that is not among them is refused."""
    if not wanted:
        return things
    known = {get_id(each): each for each in things}
    for each in wanted:
        if each not in known:
            raise CloudError(fail, f"The ID '{each}' does not exist")
    return [known[each] for each in dict.fromkeys(wanted)]


def tag_views(resource: Resource) -> list[Json]:
    return [{"Key": key, "Value": value} for key, value in resource.tags.items()]


def tags_of(parameters: Json, resource_type: str) -> dict[str, str]:
    """The tags that a request's TagSpecifications give to a resource type."""
    tags: dict[str, str] = {}
    for each in parameters.get("TagSpecifications", []):
        if each.get("ResourceType") == resource_type:
            tags |= {tag["Key"]: tag.get("Value", "") for tag in each.get("Tags", [])}
    return tags


def device_request(mapping: Json) -> DeviceRequest:
    """A block device mapping of a request."""
    ebs = mapping.get("Ebs", {})
    return DeviceRequest(
        device_name=mapping.get("DeviceName"),
        snapshot_id=ebs.get("SnapshotId"),
        size=ebs.get("VolumeSize"),
        type=ebs.get("VolumeType"),
        iops=ebs.get("Iops"),
        delete_on_vm_deletion=ebs.get("DeleteOnTermination"),
        no_device="NoDevice" in mapping,
    )


_SECRET = {"UserData", "PublicKeyMaterial"}


def shown(flat: Mapping[str, str]) -> Json:
    """The parameters as the call log keeps them, without what might be secret."""
    return {key: "..." if key in _SECRET else value for key, value in flat.items() if key not in ("Action", "Version")}
