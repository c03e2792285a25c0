"""The order of all tests."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that build whole images first, minutes each: none of them is left over when all else has ended."""
    long = {item.path for item in items if "project" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path not in long)
