"""The old tool's own script, whose data and code are not part of this repository: where it is here, tests ask it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.version import Version

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "ancestor"
SCRIPT = DATA / "scripts" / "builder.py"
_BEGINS = "# Below here is the real script\n"
"""Before it, the script makes an environment of its own."""

where_it_is_here = pytest.mark.skipif(not SCRIPT.exists(), reason=f"{SCRIPT} is not here")


def old_script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the script defines, by name."""
    versions = ModuleType("distutils.version")  # which Python has no more
    versions.__dict__["StrictVersion"] = Version
    monkeypatch.setitem(sys.modules, "distutils", ModuleType("distutils"))
    monkeypatch.setitem(sys.modules, "distutils.version", versions)
    defined: dict[str, Any] = {"__name__": "builder"}
    exec(SCRIPT.read_text(encoding="utf-8").partition(_BEGINS)[2], defined)  # noqa: S102 - that is what is asked
    return defined
