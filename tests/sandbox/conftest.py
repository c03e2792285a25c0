"""A fresh quick sandbox for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.client import Oapi, Sandbox, settings_for


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    running = Sandbox(settings_for(tmp_path / "home"))
    yield running
    running.close()


@pytest.fixture
def oapi(sandbox: Sandbox) -> Oapi:
    return sandbox.oapi()
