"""Resource properties as the engine sends them, in which a secret is a map with a signature.

They are given back as they came wherever possible, so that what was secret stays secret at its own place.
"""

from collections.abc import Iterator
from typing import Any

Properties = dict[str, Any]

# Fixed by Pulumi's wire protocol (sdk/go/common/resource/properties.go).
_SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (names a kind of value, hides nothing)
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

_STRINGS = ("create", "update", "delete", "stdin")
_INPUTS = (*_STRINGS, "environment", "triggers")
_NOT_SERVED = ("addPreviousOutputInEnv", "archivePaths", "assetPaths", "dir", "interpreter", "logging")


def is_secret(value: object) -> bool:
    """Whether the value carries the signature of a secret."""
    return isinstance(value, dict) and value.get(_SIGNATURE_KEY) == _SECRET_SIGNATURE


def plain(value: Any) -> Any:
    """The value with the marks of secrets taken off at every depth."""
    if isinstance(value, dict):
        if is_secret(value):
            return plain(value["value"])
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def inputs_of(properties: Properties) -> Properties:
    """The Command's inputs among the properties, without nulls and what the engine adds for itself."""
    return {name: value for name, value in properties.items() if name in _INPUTS and value is not None}


def changed(old: Properties, new: Properties) -> list[str]:
    """Names of the inputs that differ, a mark of secrecy included, in alphabetical order."""
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def faults(inputs: Properties) -> Iterator[tuple[str, str]]:
    """Each input that can't be used, and why; an unknown value (in a preview) may be of any type."""
    for name, value in plain(inputs).items():
        if value in (None, UNKNOWN):
            continue
        if name in _NOT_SERVED:
            yield name, f"{name} is not served by the stand-in for the command plugin"
        elif name in _STRINGS and not isinstance(value, str):
            yield name, f"{name} must be a string"
        elif name == "environment" and not _maps_to_strings(value):
            yield name, f"{name} must be a map of names to strings"


def _maps_to_strings(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
