"""A folder of profiles to change at will, with the project's own core files in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`profiles` below a working folder, without target profiles; relative, as a person calls it."""
    for folder in ("base", "version", "arch", "keys"):
        shutil.copytree(PROJECT / "profiles" / folder, tmp_path / "profiles" / folder)
    monkeypatch.chdir(tmp_path)
    return Path("profiles")
