"""The order of all tests, how many random cases they try, and what they leave to look at."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.omi.examples import EXAMPLES

SCREENSHOTS = Path(__file__).resolve().parents[1] / "build" / "screenshots"
"""Of the site, by its tests in a browser."""
_START = time.time()

# How long a case takes says more of the machine than of the program: no test fails for it.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=min(EXAMPLES, 100)
)
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that build whole images first, minutes each: none of them is left over when all else has ended."""
    long = {item.path for item in items if "project" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path not in long)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the folder of this run's screenshots, if it made any."""
    new = [path for path in SCREENSHOTS.glob("*.png") if path.stat().st_mtime > _START]
    if new:
        terminalreporter.write_line(f"{len(new)} screenshots of the site are in {SCREENSHOTS}")
