"""Makes the documentation of the keys from the model (omi.cli.generated)."""

from __future__ import annotations

import ast
import inspect
import json
import re
import types
import typing
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pydantic.fields import FieldInfo

from omi.profile.forms import Allowed
from omi.profile.model import AccessKeys, Layer, Target, guest_names
from omi.profile.schema import BuildKeys, CommonKeys, Discover, TargetFile, VersionKeys

_SECTIONS: tuple[tuple[str, type[Layer], type[Layer]], ...] = (
    ("Keys of every file", CommonKeys, Layer),
    ("Keys of `access`", AccessKeys, Layer),
    ("Further keys of `version/VERSION.yaml`", VersionKeys, Layer),
    ("Further keys of target profiles and their builds", BuildKeys, CommonKeys),
    ("Further keys of target profiles", TargetFile, BuildKeys),
    ("Keys of `discover`", Discover, Layer),
)
"""Heading, the model with the keys, and a model whose keys are documented elsewhere."""
_MARKED = re.compile("(<!-- table: begin [^\n]*\n).*(\n<!-- table: end -->)", re.DOTALL)


def reference() -> str:
    """The tables of profiles/README.md."""
    parts, words = [], _words()
    for title, schema, elsewhere in _SECTIONS:
        further = [key for key in schema.model_fields if key not in elsewhere.model_fields]
        rows = [_row(key, schema.model_fields[key], words) for key in further]
        head = ["| key | type | default | example | what it sets |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"### {title}", "", *head, *rows]))
    return "\n\n".join(parts)


def guest_reference() -> str:
    """The table of guest/README.md: the names in `image.env` that are a profile's keys."""
    words = _words()
    rows = [f"| `{name}` | `{key}` | {words[key]} |" for name, key in guest_names()]
    return "\n".join(["| name | the profile's key | what it sets |", "| --- | --- | --- |", *rows])


def editor_schema() -> str:
    """The JSON Schema of a target profile, for editors."""
    schema, words = TargetFile.model_json_schema(), _words()
    for layer in (schema, schema["$defs"]["BuildKeys"]):
        for key in layer["properties"].keys() & words.keys():
            layer["properties"][key]["description"] = words[key]
    return json.dumps(_for_editors(schema), indent=1, ensure_ascii=False) + "\n"


def _for_editors(value: Any) -> Any:
    """The schema for editors: patterns in ECMAScript's form, maps closed, no titles, examples in YAML."""
    if isinstance(value, list):
        return [_for_editors(each) for each in value]
    if not isinstance(value, dict):
        return value.replace(r"\A(?:", "^(?:").replace(r")\z", ")$") if isinstance(value, str) else value
    closed = {"additionalProperties": False} if "patternProperties" in value else {}
    kept = {key: each for key, each in value.items() if key not in ("title", "examples")}
    return closed | {_for_editors(key): _for_editors(each) for key, each in kept.items()}


def renew(text: str, table: str) -> str:
    """A page with its table renewed; ValueError if the markers around it are missing."""
    renewed, count = _MARKED.subn(lambda found: f"{found[1]}{table}{found[2]}", text)
    if count != 1:
        message = "expected one pair of markers: <!-- table: begin … --> and <!-- table: end -->"
        raise ValueError(message)
    return renewed


def _words() -> dict[str, str]:
    """The docstrings of Target's keys. The model doesn't read them, since that would slow down each run."""
    found = {}
    for field, words in pairwise(ast.iter_child_nodes(ast.parse(inspect.getsource(Target)).body[0])):
        match field, words:
            case ast.AnnAssign(target=ast.Name(id=key)), ast.Expr(value=ast.Constant(value=str(text))):
                found[key] = " ".join(text.split())
    return found


def _row(key: str, field: FieldInfo, words: Mapping[str, str]) -> str:
    kind, example = _kind(field.annotation, field.metadata), (field.examples or [""])[0]
    cells = (f"`{key}`", kind, _default(key, field), _code(str(example)), field.description or words[key])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """The allowed values in words."""
    if rules := [item for item in metadata if isinstance(item, Allowed)]:
        return rules[-1].allowed
    if typing.get_origin(annotation) is typing.Annotated:
        return _kind(annotation.__origin__, annotation.__metadata__)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return _kind(next(each for each in typing.get_args(annotation) if each is not type(None)))
    if typing.get_origin(annotation) is dict:
        return "map: " + " → ".join(_kind(each) for each in typing.get_args(annotation))
    return "a map, see below"


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
