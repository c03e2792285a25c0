"""Whoever waits for another process's lock hears for whom, and not for ever."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from omi.outscale.pace import Pace
from omi.publish import forget, record
from omi.publish.store import LOCK
from omi.support.locks import LockedError, hold, holder_of
from sandbox import locks as sandbox_locks
from tests.omi.publish.test_releases import image

HOLD = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the releases folder's lock, and nothing else of it."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / LOCK)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.communicate(timeout=30)


def test_a_holder_is_named_and_waited_for(
    tmp_path: Path, other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def end(line: str) -> None:
        said.append(line)
        other.communicate(timeout=30)

    monkeypatch.setattr("omi.support.locks.tell", end)
    with hold(tmp_path / LOCK, "testing"):
        assert other.returncode == 0
    (line,) = said
    assert line.startswith(f"testing: waiting for process {other.pid} (")
    assert line.endswith(f"which holds {tmp_path / LOCK}; at most 120 s")


@pytest.mark.usefixtures("other")
def test_the_wait_ends_at_its_limit_and_says_what_to_do(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    begin = time.monotonic()
    with (
        pytest.raises(LockedError, match=rf"testing: process {other.pid} .* has held .* for 0 s; end it, then run"),
        hold(tmp_path / LOCK, "testing", limit=0.1),
    ):
        pytest.fail("two at once")
    assert time.monotonic() - begin < 5


def test_a_prune_waits_for_the_releases_folder_with_words_and_a_limit(
    tmp_path: Path, other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("omi.support.locks.LIMIT", 1.5)
    with pytest.raises(LockedError, match=f"writing the releases: process {other.pid}"):
        forget(*image(tmp_path))
    assert f"{tmp_path}: writing the releases: waiting for process {other.pid}" in capsys.readouterr().err
    other.communicate(timeout=30)
    record(*image(tmp_path))


def test_one_that_nobody_holds_names_nobody(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "none") == "another process"
    with hold(tmp_path / "lock", "testing"):
        pass
    assert holder_of(tmp_path / "lock") == "another process"


@pytest.mark.usefixtures("other")
def test_who_holds_the_pace_holds_nobody_up_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omi.outscale.pace._HELD", 0.1)
    Pace(tmp_path / LOCK).slow_down()


@pytest.mark.usefixtures("other")
def test_the_sandbox_waits_no_longer_than_its_limit_either(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        pytest.raises(sandbox_locks.StillHeldError, match="making the mirror for 1 s: end it"),
        sandbox_locks.hold(tmp_path / LOCK, "the mirror", 0.6, said.append),
    ):
        pytest.fail("two at once")
    assert len(said) == 1
