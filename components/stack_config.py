"""The stack's configuration, read through Pulumi."""

from __future__ import annotations

import json
from typing import Any

import pulumi
from pulumi.runtime.config import get_config_env


def stack_config() -> dict[str, Any]:
    """The project's own settings by name; those of providers and of Pulumi itself are left out."""
    own = f"{pulumi.get_project()}:"
    return {key.removeprefix(own): _value(text) for key, text in get_config_env().items() if key.startswith(own)}


def _value(text: str) -> Any:
    """Maps and lists come as JSON, all else as its text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, dict | list) else text
