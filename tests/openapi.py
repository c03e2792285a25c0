"""OUTSCALE's own specification of its API, as the judge of requests and answers in tests.

It is the `outscale.yaml` of osc-sdk-python. Fields that it doesn't name are faults, in every object.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

_AT = "urn:outscale"


def check_request(action: str, body: Any) -> None:
    """AssertionError unless `body` is a request that `action` takes."""
    _check(f"{action}Request", body)


def check_answer(action: str, body: Any, status: int = 200) -> None:
    """AssertionError unless `body` is an answer that `action` gives with this HTTP status."""
    _check(f"{action}Response" if status == 200 else "ErrorResponse", body)


def _check(schema: str, body: Any) -> None:
    assert schema in specification()["components"]["schemas"], f"OUTSCALE's API has no {schema}"
    faults = [
        f"{schema}: {'.'.join(map(str, fault.absolute_path)) or 'the body'}: {fault.message[:300]}"
        for fault in _validator(schema).iter_errors(body)
    ]
    assert not faults, "\n".join(faults)


@cache
def specification() -> dict[str, Any]:
    """The whole of outscale.yaml as a JSON schema reads it: objects closed, and null only where it is allowed."""
    package = find_spec("osc_sdk_python")  # found, not imported: that takes seconds
    assert package is not None
    assert package.origin is not None
    text = (Path(package.origin).parent / "resources" / "outscale.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    _close(found["components"]["schemas"])
    return found


def _close(part: Any) -> None:
    """Forbid unknown fields, and write `nullable` as JSON schema does. `oneOf` tells a date from a date and time there,
    which are both texts here.
    """
    if isinstance(part, list):
        for each in part:
            _close(each)
    elif isinstance(part, dict):
        for each in part.values():
            _close(each)
        if isinstance(part.get("properties"), dict):
            part.setdefault("additionalProperties", False)
        if "oneOf" in part:
            part["anyOf"] = part.pop("oneOf")
        if part.get("nullable") is True and isinstance(part.get("type"), str):
            part["type"] = [part["type"], "null"]


@cache
def _validator(schema: str) -> Validator:
    whole = {"$id": _AT, "$ref": f"#/components/schemas/{schema}", "components": specification()["components"]}
    return Draft202012Validator(whole)
