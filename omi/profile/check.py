"""Checks a tree against its schema: each problem becomes one line that names file, line, key and value."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from omi.profile.model import Layer
from omi.profile.problems import Problems
from omi.profile.tree import Place, Tree
from omi.support.errors import ProfileError, why_wrong
from omi.support.safe_yaml import read_values

L = TypeVar("L", bound=Layer)


def check(tree: Tree, schema: type[L], problems: Problems) -> tuple[Tree, L | None]:
    """The tree without what its schema doesn't allow, and the schema's value of all of it; None if that isn't whole.

    What isn't allowed is added to the problems, by line.
    """
    value, details = None, []
    try:
        value = schema.model_validate(tree.values)
    except ValidationError as error:
        details = error.errors()
    wrong = dict(tree.unread)
    for detail in details:
        if (path := _path(detail)) not in wrong or _is_of_key(detail):
            wrong[path] = _explain(tree, schema, detail)
    if not wrong:
        return tree, value
    problems.add(wrong[path] for path in sorted(wrong, key=lambda path: tree.place(*path).line))
    return replace(tree, values=_without(tree.values, wrong)), None


def _path(detail: ErrorDetails) -> tuple[str, ...]:
    return tuple(str(part) for part in detail["loc"] if part != "[key]")


def _is_of_key(detail: ErrorDetails) -> bool:
    return detail["type"] == "extra_forbidden" or detail["loc"][-1:] == ("[key]",)


def _without(values: Mapping[str, Any], paths: Collection[tuple[str, ...]]) -> dict[str, Any]:
    """The values without those at some paths; what is wrong in a list takes the list along."""
    left: dict[str, Any] = {}
    for key, value in values.items():
        inner = [path[1:] for path in paths if path[:1] == (key,)]
        if not inner:
            left[key] = value
        elif isinstance(value, dict) and () not in inner:
            left[key] = _without(value, inner)
    return left


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'packages'?)`, or nothing when no known word holds it or is near."""
    known = list(known)
    close = [each for each in known if word in each] if len(word) > 3 else []
    close = close or difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""


def _explain(tree: Tree, schema: type[Layer], detail: ErrorDetails) -> ProfileError:
    path = _path(detail)
    place = tree.place(*path)
    match detail["type"]:
        case "extra_forbidden":
            known = known_keys(schema, path[:-1])
            problem = f"unknown key{nearest(path[-1], known) or '; known here: ' + ', '.join(known)}"
        case "missing":
            problem = "is missing"
            place = Place(place.file, 1) if len(path) == 1 else place
        case "rule":
            problem = _not_allowed(tree, path, _is_of_key(detail), detail["ctx"])
        case "dict_type" | "model_type":
            allowed = f"a map of keys to values, such as {_map_like(schema, path, _at(tree.values, path))}"
            problem = f"{_shown(tree, path)} is not allowed; allowed: {allowed}"
        case _:
            problem = f"{_shown(tree, path)} is not allowed: {why_wrong(detail)}"
    return place.error(".".join(path), problem)


def _not_allowed(tree: Tree, path: tuple[str, ...], of_key: bool, context: dict[str, Any]) -> str:
    near = f"; did you mean {context['near']}?" if context["near"] else ""
    value = f"the key {path[-1]!r}" if of_key else _shown(tree, path)
    number = _number(tree, path) if context["text"] and not of_key else None
    hint = f'; it was read as a number or date, quote it ("{number}")' if number else ""
    return f"{value} is not allowed; allowed: {context['allowed']}{near}{hint}"


def _shown(tree: Tree, path: tuple[str, ...]) -> str:
    """A value as it is shown in an error, cut where it is long."""
    value = _at(tree.values, path)
    text = _flow(value) if isinstance(value, list | dict) else tree.place(*path).text
    text = " ".join(text.split()) if text.strip() else repr(text)
    return text if len(text) <= 80 else text[:77] + "..."


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def _number(tree: Tree, path: tuple[str, ...]) -> str | None:
    """The first number or date in a value, as it was written."""
    value = _at(tree.values, path)
    if isinstance(value, list):
        found = (_number(tree, (*path, str(i))) for i in range(len(value)))
        return next((text for text in found if text), None)
    return None if isinstance(value, str | bool | dict | None) else tree.place(*path).text


def _map_like(schema: type[Layer], path: tuple[str, ...], value: Any) -> str:
    """A map to write instead of a value: made of its items or words if they fit, else the key's example."""
    kind, example = _declared(schema, path)
    items = value if isinstance(value, list) else [value]
    if not all(type(each) in (dict, str, int) for each in items):
        return _flow(example)
    made: dict[str, Any] = {}
    for each in items:
        # `name:true`, without a space, is a word
        made |= each if isinstance(each, dict) else {word.removesuffix(":true"): True for word in str(each).split()}
    try:
        TypeAdapter(kind).validate_python(made, strict=True)
    except ValidationError:
        return _flow(example)
    return _flow(made or example)


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1 << 20, allow_unicode=True).strip()


def known_keys(schema: type[BaseModel], path: Iterable[str]) -> list[str]:
    """The keys that are known at a key path of a schema."""
    kind, _ = _declared(schema, path)
    return sorted(kind.model_fields) if _is_model(kind) else []


def _declared(schema: type[BaseModel], path: Iterable[str]) -> tuple[Any, Any]:
    """The type at a key path of a schema, and an example of its value if the schema has one."""
    kind: Any = schema
    example: Any = None
    for key in path:
        if _is_model(kind):
            field = kind.model_fields[key]
            kind, example = field.annotation, read_values(field.examples[0]) if field.examples else None
        else:
            kind = typing.get_args(kind)[typing.get_origin(kind) is dict]
            example = next(iter(example.values())) if isinstance(example, dict) else None
        kind = _without_none(kind)
    return kind, example


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _without_none(annotation: Any) -> Any:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _without_none(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return _without_none(next(arg for arg in typing.get_args(annotation) if arg is not type(None)))
    return annotation
