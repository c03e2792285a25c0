"""Checks a tree against its schema; what is wrong first becomes one line that names file, line, key and value."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable
from functools import reduce
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from omi.profile.model import Layer
from omi.profile.tree import Place, Tree
from omi.support.errors import ProfileError, why_wrong

L = TypeVar("L", bound=Layer)


def check(tree: Tree, schema: type[L]) -> L:
    """The tree as its schema's value; raises ProfileError for the first line that is wrong."""
    value, details = None, []
    try:
        value = schema.model_validate(tree.values)
    except ValidationError as error:
        details = error.errors()
    problems = [_explain(tree, schema, detail) for detail in details]
    wrong = {_path(detail) for detail in details}
    problems += [_quote(tree, path) for path in tree.unquoted if path not in wrong]
    if value is None or problems:
        raise min(problems, key=lambda found: found[0])[1]
    return value


def _path(detail: ErrorDetails) -> tuple[str, ...]:
    return tuple(str(part) for part in detail["loc"] if part != "[key]")


def _quote(tree: Tree, path: tuple[str, ...]) -> tuple[int, ProfileError]:
    place, key = tree.place(*path), path[-1]
    shown = ".".join(path[:-1]) or "the key"
    return place.line, place.error(shown, f'the key {key} is not read as text; quote it ("{key}")')


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'packages'?)`, or nothing when no known word is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def shown(tree: Tree, path: tuple[str, ...]) -> str:
    """A value as it is shown in an error, cut where it is long."""
    text = tree.place(*path).text or str(_at(tree.values, path))
    text = " ".join(text.split()) if text.strip() else repr(text)
    return text if len(text) <= 80 else text[:77] + "..."


def _explain(tree: Tree, schema: type[Layer], detail: ErrorDetails) -> tuple[int, ProfileError]:
    of_key = bool(detail["loc"]) and detail["loc"][-1] == "[key]"
    path = _path(detail)
    place = tree.place(*path)
    match detail["type"]:
        case "extra_forbidden":
            problem = _unknown(path[-1], known_keys(schema, list(path[:-1])))
        case "missing":
            problem = "is missing"
            place = Place(place.file, 1) if len(path) == 1 else place
        case "rule":
            problem = _not_allowed(tree, path, of_key, detail["ctx"])
        case "dict_type" | "model_type":
            allowed = f"a map of keys to values, such as {_map_like(schema, path, _at(tree.values, path))}"
            problem = f"{shown(tree, path)} is not allowed; allowed: {allowed}"
        case _:
            problem = f"{shown(tree, path)} is not allowed: {why_wrong(detail)}"
    return place.line, place.error(".".join(path), problem)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def _unknown(key: str, known: list[str]) -> str:
    return f"unknown key{nearest(key, known) or '; known here: ' + ', '.join(known)}"


def _not_allowed(tree: Tree, path: tuple[str, ...], of_key: bool, context: dict[str, Any]) -> str:
    near = f"; did you mean {context['near']}?" if context["near"] else ""
    if of_key:
        return f"the key {path[-1]!r} is not allowed; allowed: {context['allowed']}{near}"
    number = _number(tree, path) if context["text"] else None
    hint = f'; it was read as a number or date, quote it ("{number}")' if number else ""
    return f"{shown(tree, path)} is not allowed; allowed: {context['allowed']}{near}{hint}"


def _number(tree: Tree, path: tuple[str, ...]) -> str | None:
    """The first number or date in a value, as it was written."""
    value = _at(tree.values, path)
    if isinstance(value, list):
        found = (_number(tree, (*path, str(i))) for i in range(len(value)))
        return next((text for text in found if text), None)
    return None if isinstance(value, str | bool | dict | None) else tree.place(*path).text


def _map_like(schema: type[Layer], path: tuple[str, ...], value: Any) -> str:
    """A map that may stand in place of a value: of what a list holds, else the key's example."""
    made: dict[str, Any] = {}
    for each in value if isinstance(value, list) else [value]:
        made |= each if isinstance(each, dict) else {str(each): True}
    whole: Any = reduce(lambda inner, key: {key: inner}, reversed(path), cast(Any, made))
    try:
        schema.model_validate(whole)
    except ValidationError as error:
        if any(_path(detail)[: len(path)] == path for detail in error.errors()):
            return str((schema.model_fields[path[0]].examples or ["{}"])[0])
    return yaml.safe_dump(made, default_flow_style=True, sort_keys=False, width=1 << 20).strip()


def known_keys(schema: type[BaseModel], path: list[str]) -> list[str]:
    """The keys that are known at a key path of a schema."""
    model: Any = schema
    for key in path:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = _unwrap(model.model_fields[key].annotation)
        else:
            key_or_item, *values = typing.get_args(model)
            model = _unwrap(values[0] if typing.get_origin(model) is dict else key_or_item)
    return sorted(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _unwrap(annotation: Any) -> Any:
    """What an annotation is besides None."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _unwrap(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return _unwrap(next(arg for arg in typing.get_args(annotation) if arg is not type(None)))
    return annotation
