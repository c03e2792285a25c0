"""The same order of versions as apk itself gives."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from random import Random

import pytest

from omi.support.version import package_key
from sandbox.config import default_cache
from sandbox.mirror import ensure

pytestmark = pytest.mark.slow


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The fixture mirror's own apk."""
    (static,) = (ensure(default_cache()) / "alpine/v3.23/main/x86_64").glob("apk-tools-static-*.apk")
    with tarfile.open(static) as archive:
        archive.extract("sbin/apk.static", tmp_path)
    (tmp_path / "sbin/apk.static").chmod(0o755)
    return tmp_path / "sbin/apk.static"


def test_versions_are_ordered_as_apk_orders_them(program: Path) -> None:
    random = Random(1)  # noqa: S311 - repeatable on purpose
    parts = [["0", "1", "1.2", "1.10", "1.02", "1.2.3"], ["", "a", "b"], ["", "_rc1", "_alpha", "_p2", "_git20260101"]]
    known = [f"{a}{b}{c}{d}" for a in parts[0] for b in parts[1] for c in parts[2] for d in ("", "-r0", "-r12")]
    for one, other in [random.sample(known, 2) for _ in range(400)]:
        command = [str(program), "version", "--test", one, other]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout.strip()
        left, right = package_key(one), package_key(other)
        assert told == "<=>"[(left > right) - (left < right) + 1], (one, other)
