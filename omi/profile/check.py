"""Checks a tree against its schema: each problem becomes one line with file, line, key and value."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping
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
    """The tree without its wrong parts, and the schema's value of the whole tree; None if there are wrong parts.

    The wrong parts are added to the problems, by line.
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
    """The values without those at some paths. A wrong item removes its whole list."""
    left: dict[str, Any] = {}
    for key, value in values.items():
        inner = [path[1:] for path in paths if path[:1] == (key,)]
        if not inner:
            left[key] = value
        elif isinstance(value, dict) and () not in inner:
            left[key] = _without(value, inner)
    return left


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'packages'?)`; empty if no known word contains it or is near."""
    known = list(known)
    close = [each for each in known if word in each] if len(word) > 3 else []
    close = close or difflib.get_close_matches(word, known, n=1, cutoff=0.66)
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
    """A value as an error shows it, cut if it is long."""
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
    """A map to write instead of a value: made from its items or words if they fit, else the key's example."""
    kind, example = _declared(schema, path)
    choices = [each for item in (value if isinstance(value, list) else [value]) for each in _meant(item)]
    for inner in (None, "default", "accounts"):  # {nginx: true}, or services' {default: {nginx: true}}
        fitting = [[each for each in maps if _fits(kind, _inside(inner, each))] for maps in choices]
        pairs = [pair for maps in fitting for pair in (maps[0].items() if maps else ())]
        made = dict(pairs)
        if made and all(fitting) and len(made) == len(pairs):
            return _flow(_inside(inner, made))
    return _flow(example)


def _meant(item: Any) -> Iterator[list[dict[str, Any]]]:
    """Each word of an item as the maps that it may mean, the likeliest first; an empty list if it can't be guessed."""
    match item:
        case {"name": str(name)} if len(item) == 1:
            yield from _meant(name)
        case dict():
            yield [item] if len(item) == 1 else []
        case str() | int() if not isinstance(item, bool):
            for text in re.split(r",?\s+", str(item)):
                word = text.removesuffix(":true")  # without a space after the colon it is one word
                maps: list[dict[str, Any]] = [{word: True}, {f"{word}/tcp": True}]
                maps += [{word[1:]: False}] if word.startswith("!") else []
                maps += [dict([re.split("[@=]", word, maxsplit=1)])] if re.search("[@=]", word) else []
                maps += [{word.rpartition("/")[2]: word}] if "/" in word else []
                yield maps
        case _:
            yield []


def _inside(key: str | None, value: dict[str, Any]) -> dict[str, Any]:
    return {key: value} if key else value


def _fits(kind: Any, value: dict[str, Any]) -> bool:
    try:
        TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1 << 20, allow_unicode=True).strip()


def known_keys(schema: type[BaseModel], path: Iterable[str]) -> list[str]:
    """The known keys at a key path of a schema."""
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
