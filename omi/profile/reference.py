"""The tables of profiles/README.md, made from the schema: `python -m omi.profile.reference [README]` renews them."""

from __future__ import annotations

import re
import signal
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from omi.profile.model import Target
from omi.profile.schema import AccessKeys, BuildKeys, CommonKeys, DiscoverKeys, Layer, Rule, TargetFile, VersionFile

_SECTIONS: tuple[tuple[str, str, type[Layer]], ...] = (
    ("common", "Keys of every file", CommonKeys),
    ("access", "Keys of `access`", AccessKeys),
    ("version", "Further keys of `version/VERSION.yaml`", VersionFile),
    ("build", "Further keys of target profiles and their builds", BuildKeys),
    ("target", "Further keys of target profiles", TargetFile),
    ("discover", "Keys of `discover`", DiscoverKeys),
)
_BEGIN, _END = "<!-- keys: begin (python -m omi.profile.reference) -->", "<!-- keys: end -->"


def reference() -> str:
    """All tables as Markdown."""
    parts = []
    for _, title, schema in _SECTIONS:
        rows = [_row(key, field) for key, field in own_fields(schema)]
        head = ["| key | type | default | example | what it sets |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"### {title}", "", *head, *rows]))
    return "\n\n".join(parts)


def renew(text: str) -> str:
    """A README with its tables renewed; raises ValueError when the markers aren't there."""
    pattern = re.compile(re.escape(_BEGIN) + ".*" + re.escape(_END), re.DOTALL)
    tables = f"{_BEGIN}\n{reference()}\n{_END}"
    renewed, count = pattern.subn(lambda _: tables, text)
    if count != 1:
        message = f"expected one pair of markers: {_BEGIN} … {_END}"
        raise ValueError(message)
    return renewed


def own_fields(schema: type[Layer]) -> Iterator[tuple[str, FieldInfo]]:
    """The keys a schema adds to those it builds on."""
    inherited = {key for base in schema.__mro__[1:] if issubclass(base, Layer) for key in base.__annotations__}
    for key, field in schema.model_fields.items():
        if key not in inherited:
            yield key, field


def _row(key: str, field: FieldInfo) -> str:
    cells = (f"`{key}`", _kind(field), _default(key, field), _code(str((field.examples or [""])[0])), field.description)
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _kind(field: FieldInfo) -> str:
    rule = next((item for item in field.metadata if isinstance(item, Rule)), None) or _rule(field.annotation)
    if rule is not None:
        return rule.allowed
    return _map(field.annotation)


def _rule(annotation: Any) -> Rule | None:
    if typing.get_origin(annotation) is typing.Annotated:
        return next((item for item in typing.get_args(annotation)[1:] if isinstance(item, Rule)), None)
    return None


def _map(annotation: Any) -> str:
    inner = next((arg for arg in typing.get_args(annotation) if arg is not type(None)), annotation)
    if typing.get_origin(inner) is not dict:
        return "a map, see below"
    key, value = typing.get_args(inner)
    key_rule, value_rule = _rule(key), _rule(value)
    return f"map: {key_rule.allowed if key_rule else 'text'} → {value_rule.allowed if value_rule else _inner(value)}"


def _inner(value: Any) -> str:
    names = [arg for arg in typing.get_args(value) if isinstance(arg, type) and issubclass(arg, BaseModel)]
    if isinstance(value, type) or names:
        return "a map, see below"
    return _map(value)


def _default(key: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is not None:
        return _code(str(field.default).replace("'", ""))
    built = Target.model_fields.get(key)
    value = built.default if built is not None and not built.is_required() else None
    return _code(str(value)) if isinstance(value, str | int) and value != "" else "none"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def main(arguments: list[str]) -> int:
    """Renew the README's tables in place."""
    path = Path(arguments[0] if arguments else "profiles/README.md")
    path.write_text(renew(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who reads no further ends it
    sys.exit(main(sys.argv[1:]))
