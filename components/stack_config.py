"""The stack's configuration, read through Pulumi."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pulumi
from pulumi.runtime.config import get_config_env


class StackConfig:
    """Pulumi's Config of the project that also lists its keys, so that a misspelt one is noticed."""

    def __init__(self) -> None:
        self._config = pulumi.Config()

    def keys(self) -> Iterable[str]:
        """Every key of the project's own that is set; those of providers and of Pulumi itself are left out."""
        own = f"{self._config.name}:"
        return [key.removeprefix(own) for key in get_config_env() if key.startswith(own)]

    def get(self, key: str) -> str | None:
        """A plain value; None if it isn't set."""
        return self._config.get(key)

    def get_object(self, key: str) -> Any:
        """A structured value; None if it isn't set. A plain value comes as its text."""
        try:
            return self._config.get_object(key)
        except pulumi.ConfigTypeError:
            return self._config.get(key)
