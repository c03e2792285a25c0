"""One boot of each side; the source OMI stands for the project's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.boot import OtherAlpine, boot_omi
from sandbox.config import default_cache
from sandbox.source_omi import ensure

pytestmark = pytest.mark.slow


def test_both_boots_are_measured_by_the_clock_and_by_cpu(tmp_path: Path) -> None:
    source = ensure(default_cache())
    for name in ("other", "ours"):
        (tmp_path / name).mkdir()
    told = (
        OtherAlpine.unpack(tmp_path).boot(tmp_path / "other"),
        boot_omi(source.path, tmp_path / "ours", source.size_gib),
    )
    for seconds in told:
        assert seconds.wall > 1
        assert seconds.cpu > 1
