"""Checks a tree against its schema; what is wrong first becomes one line that names file, line, key and value."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from omi.profile.model import Layer
from omi.profile.tree import Leaf, Node, Source, Table, leaves, plain
from omi.support.errors import ProfileError, why_wrong

L = TypeVar("L", bound=Layer)


def check(tree: Table, schema: type[L]) -> L:
    """The tree as its schema's value; raises ProfileError for the first line that is wrong."""
    try:
        return schema.model_validate(plain(tree))
    except ValidationError as error:
        problems = [_explain(tree, schema, detail) for detail in error.errors()]
        raise min(problems, key=lambda found: found[0])[1] from error


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'packages'?)`, or nothing when no known word is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def shown(node: Node) -> str:
    """A value as it is shown in an error, cut where it is long."""
    text = node.text if isinstance(node, Leaf) else str(plain(node))
    text = " ".join(text.split()) if text.strip() else repr(text)
    return text if len(text) <= 80 else text[:77] + "..."


def _explain(tree: Table, schema: type[Layer], detail: ErrorDetails) -> tuple[int, ProfileError]:
    of_key = bool(detail["loc"]) and detail["loc"][-1] == "[key]"
    keys = [str(part) for part in detail["loc"] if part != "[key]"]
    node, depth = _find(tree, keys)
    source = node.source
    path = ".".join(keys)
    match detail["type"]:
        case "extra_forbidden":
            problem = _unknown(keys[-1], known_keys(schema, keys[:-1]))
        case "missing":
            problem = "is missing"
            source = Source(source.file, 1) if depth == 0 else source
        case "rule":
            problem = _not_allowed(node, keys[-1] if of_key else None, detail["ctx"])
        case "dict_type" | "model_type":
            problem = f"{shown(node)} is not allowed; allowed: a map of keys to values"
        case _:
            problem = f"{shown(node)} is not allowed: {why_wrong(detail)}"
    return source.line, source.error(path, problem)


def _find(tree: Table, keys: list[str]) -> tuple[Node, int]:
    """The node at a key path, or the last one on the way to it, and how deep it lies."""
    node: Node = tree
    for depth, key in enumerate(keys):
        inner = node.get(key) if isinstance(node, Table) else None
        if inner is None:
            return node, depth
        node = inner
    return node, len(keys)


def _unknown(key: str, known: list[str]) -> str:
    return f"unknown key{nearest(key, known) or '; known here: ' + ', '.join(known)}"


def _not_allowed(node: Node, key: str | None, context: dict[str, Any]) -> str:
    if key is not None:
        return f"the key {key!r} is not allowed; allowed: {context['allowed']}"
    hint = ""
    if context["text"]:
        numbers = [leaf for leaf in leaves(node) if not isinstance(leaf.value, str | bool | None)]
        hint = f'; it was read as a number or date, quote it ("{numbers[0].text}")' if numbers else ""
    return f"{shown(node)} is not allowed; allowed: {context['allowed']}{hint}"


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
