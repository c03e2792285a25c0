"""Filters of Read calls: each names values (with `*` and `?` as wildcards) that an answer's own members have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, get_args

from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.ids import check_id
from sandbox.cloud.model import Vm
from sandbox.oapi.request import BootMode, FilteredRequest

Json = dict[str, Any]
Paths = Mapping[str, str]
"""Filter -> where a view has its values: a path of members, or a constant (`=xen`)."""
BY_TAG = {"TagKeys": "Tags.Key", "TagValues": "Tags.Value", "Tags": "Tags"}
_FLAGS = frozenset(
    {
        "BlockDeviceMappingDeleteOnVmDeletion",
        "BsuOptimized",
        "IsDefault",
        "IsSourceDestCheck",
        "LinkNicDeleteOnVmDeletion",
        "LinkRouteTableMain",
        "LinkVolumeDeleteOnVmDeletion",
        "PermissionsToCreateVolumeGlobalPermission",
        "PermissionsToLaunchGlobalPermission",
        "PrivateIpsPrimaryIp",
        "SecureBoot",
        "TpmMandatory",
    }
)
"""Filters that are true or false; any other is a list."""
_NUMBERS = re.compile(r".*(VolumeSizes|PortRanges|Counts|DeviceNumbers)|LaunchNumbers|Progresses")
"""Filters that are lists of numbers; any other list is one of strings."""


def paths(names: str, **others: str) -> dict[str, str]:
    """The filters of a Read call: those in `names` are members in the plural, the others have paths of their own."""
    return {each: each.removesuffix("s") for each in names.split()} | others


def filtered(request: FilteredRequest, views: Iterable[Json], known: Paths) -> list[Json]:
    """The views that fit the request's filters; null and [] count as absent, an unknown name is refused."""
    wanted: list[tuple[str, list[re.Pattern[str]]]] = []
    for name, value in (request.filters or {}).items():
        if name not in known:
            raise RefusedError(Fail.UNKNOWN_PARAMETER, f"'Filters.{name}' is not a parameter of this call.")
        if value is None or value == []:
            continue
        values = [value] if name in _FLAGS else value
        if not isinstance(values, list) or not all(_fits(name, each) for each in values):
            raise RefusedError(Fail.BAD_TYPE, f"The parameter 'Filters.{name}' has the wrong type.")
        if name == "VmIds":  # recorded; what can't be the id of a security group finds nothing
            values = [check_id(Vm, each) for each in values]
        if name == "BootModes" and not set(values) <= set(get_args(BootMode)):
            raise RefusedError(Fail.BAD_VALUE, f"The parameter 'Filters.{name}' is none of {get_args(BootMode)}.")
        wanted.append((known[name], [_pattern(_text(each)) for each in values]))
    return [view for view in views if all(_matches(view, path, patterns) for path, patterns in wanted)]


def _fits(name: str, value: object) -> bool:
    if name in _FLAGS or isinstance(value, bool):
        return name in _FLAGS and isinstance(value, bool)
    if name == "MemorySizes":
        return isinstance(value, (int, float))
    return isinstance(value, int if _NUMBERS.fullmatch(name) else str)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    parts = [{"*": ".*", "?": "."}.get(char, re.escape(char)) for char in text]
    return re.compile("".join(parts), re.DOTALL)


def _matches(view: Json, path: str, patterns: list[re.Pattern[str]]) -> bool:
    return any(pattern.fullmatch(value) for value in _values(view, path) for pattern in patterns)


def _values(view: Json, path: str) -> list[str]:
    if path.startswith("="):
        return [path[1:]]
    found: list[Any] = [view]
    for member in path.split("."):
        members = [each.get(member) for each in found]
        found = [one for each in members for one in (each if isinstance(each, list) else [each]) if one is not None]
    return [_text(each) for each in found]


def _text(value: Any) -> str:
    """A value as filters write it: true and false in lower case, a tag as `Key=Value`."""
    if isinstance(value, dict):
        return f"{value['Key']}={value['Value']}"
    return str(value).lower() if isinstance(value, bool) else str(value)
