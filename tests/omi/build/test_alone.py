"""Whoever builds an image holds its folder: the next one waits for the end, and Packer holds it as long as it lives."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from omi.build.alone import hold_alone
from omi.build.packer.inputs import run_folder
from omi.outscale.waiting import InterruptedBuildError
from omi.support.errors import BuildError
from tests.omi.specs import make_spec

HOLD = """
import fcntl, sys
with open(sys.argv[1], "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    input()
"""

REUSE = """
import os, time
null = os.open("/dev/null", os.O_RDONLY)
for number in range(3, 50):  # as Packer does, for the process that it starts in its own place
    os.dup2(null, number)
print("done", flush=True)
time.sleep(60)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the folder until it is told to end."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", HOLD, str(folder / "lock")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_a_build_waits_until_an_earlier_one_has_ended(tmp_path: Path) -> None:
    told: list[str] = []

    def end(text: str) -> None:
        told.append(text)
        other.communicate("\n")

    other = hold(tmp_path)
    with hold_alone(tmp_path, "alpine-1", threading.Event(), end):
        assert other.returncode == 0, "it held the folder at the same time"
    (line,) = told
    assert line.startswith(f"an earlier run of alpine-1 is still ending (process {other.pid} (")
    assert line.endswith("waiting for it, at most 300 s")


def test_it_waits_no_longer_than_the_limit_and_says_what_to_do(tmp_path: Path) -> None:
    other = hold(tmp_path)
    try:
        with (
            pytest.raises(BuildError, match=r"alpine-1: another process .* 0 s; process .* began it, .*fuser"),
            hold_alone(tmp_path, "alpine-1", threading.Event(), lambda _: None, limit=0.1),
        ):
            pytest.fail("two at once")
    finally:
        other.communicate("\n")


def test_it_stops_waiting_when_it_is_interrupted(tmp_path: Path) -> None:
    stop, other = threading.Event(), hold(tmp_path)
    try:
        with (
            pytest.raises(InterruptedBuildError),
            hold_alone(tmp_path, "alpine-1", stop, lambda _: stop.set()),
        ):
            pytest.fail("two at once")
    finally:
        other.communicate("\n")


def test_a_program_that_gives_its_own_children_low_descriptors_passes_the_lock_on(tmp_path: Path) -> None:
    with hold_alone(tmp_path, "alpine-1", threading.Event(), lambda _: None) as lock:
        packer = subprocess.Popen([sys.executable, "-c", REUSE], pass_fds=(lock,), stdout=subprocess.PIPE)
        assert packer.stdout
        assert packer.stdout.readline() == b"done\n"
    try:
        with (
            pytest.raises(BuildError, match="still building it"),
            hold_alone(tmp_path, "alpine-1", threading.Event(), lambda _: None, limit=0.1),
        ):
            pytest.fail("two at once")
    finally:
        packer.kill()
        packer.wait()


def test_what_inherits_the_lock_holds_the_folder_after_its_holder_has_gone(tmp_path: Path) -> None:
    with hold_alone(tmp_path, "alpine-1", threading.Event(), lambda _: None) as lock:
        packer = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    told: list[str] = []

    def end(text: str) -> None:
        told.append(text)
        packer.kill()
        packer.wait()

    with hold_alone(tmp_path, "alpine-1", threading.Event(), end):
        assert packer.returncode is not None
    assert told


def test_two_stacks_have_folders_of_their_own_for_an_image_of_the_same_name() -> None:
    one, two = (run_folder(Path("build"), make_spec(stack=stack)).path for stack in ("one", "two"))
    assert one != two
    assert one == Path("build") / "one" / "alpine-3.23.6-x86_64-r0"
