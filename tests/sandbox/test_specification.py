"""The sandbox takes no request that OUTSCALE's specification refuses: its own models are held against that."""

from __future__ import annotations

import types
from contextlib import suppress
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from sandbox.oapi import ACTIONS
from sandbox.oapi.base import FILTERS, action
from sandbox.oapi.request import Request
from tests.openapi import specification
from tests.sandbox.client import Oapi, Refused, Sandbox

Json = dict[str, Any]
SCALARS = {str: "string", int: "integer", bool: "boolean", float: "number"}
LENIENT = {("ResourceTag", "Key")}
"""A missing one is refused later, by the code of an empty one (OUTSCALE's own tests)."""


def schema(name: str) -> Json:
    found: Json = specification()["components"]["schemas"][name]
    return found


def resolved(part: Json) -> tuple[str, Json]:
    """The name and content of what a part refers to."""
    name = ""
    while "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        part = schema(name)
    return name, part


def differences(model: type[BaseModel], name: str) -> list[str]:
    """Where a model takes more than an object of the specification allows."""
    allowed = schema(name)
    found = []
    for field in model.model_fields.values():
        part = allowed["properties"].get(field.alias)
        if part is None:
            found.append(f"{name}.{field.alias} is unknown")
        elif field.alias != "Filters":
            found += _of(bare(field.annotation), part, f"{name}.{field.alias}")
    needed = {field.alias for field in model.model_fields.values() if field.is_required()}
    missing = set(allowed.get("required", ())) - needed
    return found + [f"{name}.{each} is required" for each in missing if (name, each) not in LENIENT]


def bare(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        return next(each for each in get_args(annotation) if each is not type(None))
    return annotation


def _of(annotation: Any, part: Json, where: str) -> list[str]:
    name, content = resolved(part)
    if get_origin(annotation) is Literal:
        return [] if set(get_args(annotation)) <= set(content.get("enum", ())) else [f"{where} has more values"]
    if get_origin(annotation) is list:
        items = _of(get_args(annotation)[0], content.get("items", {}), f"{where}[]")
        return items if content.get("type") == "array" else [f"{where} is not a list"]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return differences(annotation, name)
    allowed = {each.get("type") for each in content.get("anyOf", [content])}
    return [] if {SCALARS.get(annotation)} == allowed else [f"{where} is no {annotation}"]


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_a_request_has_no_parameter_that_the_specification_lacks(name: str) -> None:
    assert differences(ACTIONS[name].request, f"{name}Request") == []


@pytest.mark.parametrize("name", FILTERS)
def test_filters_are_those_of_the_specification(name: str) -> None:
    _, filters = resolved(schema(f"Read{name}Request")["properties"].get("Filters", {}))
    assert set(FILTERS[name]) <= filters.get("properties", {}).keys()


def test_a_filter_takes_no_value_that_the_specification_refuses(sandbox: Sandbox, oapi: Oapi) -> None:
    taken, values = 0, list[Any]([True, "x", ["x"], [True], [1], [1.5], {}, 1])
    for name in sorted(ACTIONS):
        _, filters = resolved(schema(f"{name}Request")["properties"].get("Filters", {}))
        for key in filters.get("properties", ()):
            for value in values:
                with suppress(Refused):
                    oapi.call(name, Filters={key: value})  # the client judges what was taken
                    taken += 1
    assert taken > 150


def test_every_read_answers_as_the_specification_has_it(sandbox: Sandbox, oapi: Oapi) -> None:
    read = 0
    for name in sorted(ACTIONS):
        if name.startswith("Read") and "required" not in schema(f"{name}Request"):
            oapi.call(name)  # the client judges it
            read += 1
    assert read > 20


def test_calls_that_need_no_signature_are_those_of_the_specification() -> None:
    free = {path[1:] for path, item in specification()["paths"].items() if item["post"].get("security") == []}
    assert {name for name, known in ACTIONS.items() if not known.signed} == free & ACTIONS.keys()


def test_an_action_with_two_handlers_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="ReadImages has two handlers"):
        action("ReadImages", Request)(lambda cloud, caller, request: {})
