"""One boot of an image, and one of the same with only upstream's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.boot import compare
from sandbox.config import default_cache
from sandbox.mirror import ensure
from tests.guest.test_build import build, loop_device

pytestmark = pytest.mark.slow


def test_both_boots_are_measured_by_the_guests_clock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with loop_device(tmp_path / "disk") as device:
        done = build(tmp_path, device, ensure(default_cache()))
        assert done.returncode == 0, done.stdout + done.stderr
    ours, other = compare(tmp_path / "disk", runs=1)
    assert 1 < ours < other, "each wait that the settings spare is one that the other has"
    assert len(capsys.readouterr().out.splitlines()) == 2
