"""Resource properties as the engine sends them: protobuf values in which a secret is a map with a signature.

Properties are handed back as they came wherever possible, so that what was secret stays secret at its own place.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.struct_pb2 import Struct, Value

# Fixed by Pulumi's wire protocol (sdk/go/common/resource/properties.go).
_SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (names a kind of value, hides nothing)
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

_STRINGS = ("create", "update", "delete", "stdin", "dir", "logging")
_STRING_LISTS = ("interpreter",)
_STRING_MAPS = ("environment",)
_BOOLEANS = ("addPreviousOutputInEnv",)
_ANY_LISTS = ("triggers",)
INPUTS = (*_STRINGS, *_STRING_LISTS, *_STRING_MAPS, *_BOOLEANS, *_ANY_LISTS)
NOT_SERVED = ("assetPaths", "archivePaths")

Plain = None | bool | float | str | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True)
class Fault:
    """An input that can't be used, and why."""

    property: str
    reason: str


@dataclass(frozen=True)
class Settings:
    """How a command is to be run: the inputs without their secret marks, and what the last run wrote."""

    create: str | None
    update: str | None
    delete: str | None
    stdin: str | None
    dir: str | None
    logging: str | None
    interpreter: tuple[str, ...]
    environment: Mapping[str, str]
    add_previous_output: bool
    stdout: str
    stderr: str
    secret_commands: frozenset[str]

    @classmethod
    def read(cls, properties: Struct, previous: Struct | None = None) -> "Settings":
        """Settings from checked inputs; the last run's output is taken from `previous`, else from `properties`."""
        values = {name: plain(value) for name, value in properties.fields.items()}
        last = values if previous is None else {name: plain(value) for name, value in previous.fields.items()}
        interpreter, environment = values.get("interpreter"), values.get("environment")
        return cls(
            create=_text(values.get("create")),
            update=_text(values.get("update")),
            delete=_text(values.get("delete")),
            stdin=_text(values.get("stdin")),
            dir=_text(values.get("dir")),
            logging=_text(values.get("logging")),
            interpreter=tuple(str(word) for word in interpreter) if isinstance(interpreter, list) else (),
            environment={k: str(v) for k, v in environment.items()} if isinstance(environment, dict) else {},
            add_previous_output=values.get("addPreviousOutputInEnv") is not False,
            stdout=_text(last.get("stdout")) or "",
            stderr=_text(last.get("stderr")) or "",
            secret_commands=frozenset(
                name for name in ("create", "update", "delete") if is_secret(properties.fields.get(name))
            ),
        )


def is_secret(value: Value | None) -> bool:
    """Whether the value carries the signature of a secret."""
    if value is None or value.WhichOneof("kind") != "struct_value":
        return False
    signature = value.struct_value.fields.get(_SIGNATURE_KEY)
    return signature is not None and signature.string_value == _SECRET_SIGNATURE


def plain(value: Value) -> Plain:
    """The value as Python has it, secret marks taken off at every depth."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        if is_secret(value):
            return plain(value.struct_value.fields["value"])
        return {name: plain(item) for name, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [plain(item) for item in value.list_value.values]
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        return value.number_value
    return value.bool_value if kind == "bool_value" else None


def inputs_of(properties: Struct) -> Struct:
    """The Command's inputs among the properties, without nulls and what the engine adds for itself."""
    return _with_fields(
        (name, value)
        for name, value in properties.fields.items()
        if name in INPUTS and value.WhichOneof("kind") != "null_value"
    )


def keep_ignored(inputs: Struct, state: Struct, ignored: Iterable[str]) -> Struct:
    """The inputs with the state's value for each property whose changes are to be ignored."""
    kept = dict(inputs.fields.items())
    kept.update({name: state.fields[name] for name in ignored if name in state.fields})
    return _with_fields(kept.items())


def with_output(inputs: Struct, stdout: str, stderr: str) -> Struct:
    """The resource's state: its inputs and what the command wrote."""
    state = _with_fields(inputs.fields.items())
    state["stdout"], state["stderr"] = stdout, stderr
    return state


def changed(old: Struct, new: Struct) -> list[str]:
    """Names of the inputs that differ, a mark of secrecy included, in alphabetical order."""
    names = {*old.fields, *new.fields}
    return sorted(name for name in names if old.fields.get(name) != new.fields.get(name))


def faults(inputs: Struct) -> list[Fault]:
    """What is wrong with the inputs' types; an unknown value (in a preview) may be of any type."""
    found = [
        Fault(name, f"{name} is not served by the stand-in for the command plugin")
        for name in NOT_SERVED
        if name in inputs.fields
    ]
    for name, value in inputs.fields.items():
        item = plain(value)
        if item is None or item == UNKNOWN:
            continue
        if name in _STRINGS and not isinstance(item, str):
            found.append(Fault(name, f"{name} must be a string"))
        elif name in _BOOLEANS and not isinstance(item, bool):
            found.append(Fault(name, f"{name} must be true or false"))
        elif name in (*_STRING_LISTS, *_ANY_LISTS) and not isinstance(item, list):
            found.append(Fault(name, f"{name} must be a list"))
        elif name in _STRING_LISTS and not _all_strings(item):
            found.append(Fault(name, f"{name} must be a list of strings"))
        elif name in _STRING_MAPS and not (isinstance(item, dict) and _all_strings(list(item.values()))):
            found.append(Fault(name, f"{name} must map names to strings"))
    return found


def _all_strings(items: Plain) -> bool:
    return isinstance(items, list) and all(isinstance(item, str) for item in items)


def _text(item: Plain) -> str | None:
    return item if isinstance(item, str) else None


def _with_fields(items: Iterable[tuple[str, Value]]) -> Struct:
    struct = Struct()
    for name, value in items:
        struct.fields[name].CopyFrom(value)
    return struct
