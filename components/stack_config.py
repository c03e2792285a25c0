"""The stack's configuration, read through Pulumi."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.runtime.config import get_config_env

from omi.config.stack import as_value


def stack_config() -> dict[str, Any]:
    """The project's own settings by name; those of providers and of Pulumi itself are left out."""
    own = f"{pulumi.get_project()}:"
    return {key.removeprefix(own): as_value(text) for key, text in get_config_env().items() if key.startswith(own)}
