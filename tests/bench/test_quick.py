"""Benches that need neither Pulumi nor a VM."""

from __future__ import annotations

import sys

import pytest

from bench import demo, plan


def test_the_planner_is_measured_with_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.measure(60, 3) > 0
    assert "60 images of 3 builds: " in capsys.readouterr().out


def test_a_commands_seconds_and_peak_memory_are_its_own_and_its_childrens() -> None:
    held = "import time; block = bytearray(64 << 20); time.sleep(1.5); raise SystemExit(3)"
    code, seconds, peak = demo.measure(["sh", "-c", f"'{sys.executable}' -c '{held}'; exit $?"])
    assert code == 3
    assert seconds >= 1.5
    assert peak >= 64
