from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from omi.build.packer import runner
from omi.build.packer.runner import CloudNews, PackerRun, Watcher, read_output, run_packer

PREFIX = "outscale-bsusurrogate.alpine: "
BOOTING = f"echo '==> {PREFIX}Launching a source OUTSCALE vm...'"


class Run:
    """Runs a shell script in Packer's place and keeps what was said."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "packer.log"
        self.said: list[str] = []
        self.booted = threading.Event()
        self.stop = threading.Event()

    def say(self, text: str) -> None:
        self.said.append(text)
        self.booted.set()

    def __call__(self, script: str, limit: float = 30, grace: float = 30) -> PackerRun:
        environment = {"PATH": os.environ["PATH"]}
        command = ["sh", "-c", script]
        return run_packer(
            command, environment, self.log, limit, self.stop, Watcher(self.say, lambda _: CloudNews()), grace
        )


@pytest.fixture
def run(tmp_path: Path, impatient: None) -> Run:
    return Run(tmp_path)


def test_output_is_followed_and_the_exit_code_kept(run: Run) -> None:
    done = run(f"{BOOTING}; echo oops >&2; exit 3")
    assert (done.exit_code, done.timed_out) == (3, False)
    assert run.said == ["booting the build VM"]
    assert "oops" in run.log.read_text()


def test_the_limit_ends_it_by_sigterm_so_that_it_can_clean_up(run: Run) -> None:
    done = run("trap 'echo cleaned; exit 1' TERM; while :; do sleep 0.1; done", limit=1)
    assert done.timed_out
    assert "cleaned" in run.log.read_text()


@pytest.mark.slow
def test_what_ignores_sigterm_is_killed_with_its_children(run: Run) -> None:
    start = time.monotonic()
    done = run("trap '' TERM; sleep 60 & echo $! > child; while :; do sleep 0.1; done", limit=1, grace=1)
    assert done.timed_out
    assert time.monotonic() - start < 15
    child = int((run.log.parent / "child").read_text())
    end = time.monotonic() + 5
    while is_alive(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_alive(child)


@pytest.mark.slow
@pytest.mark.parametrize(
    "end", ["touch gone; exit 1", "trap 'touch gone; sleep 1; exit 1' TERM; while :; do sleep 0.1; done"]
)
def test_that_its_vm_is_gone_is_no_reason_once_it_ends(run: Run, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """It terminates the VM itself then, whether it failed by its own or was told to end."""
    monkeypatch.setattr(runner, "ASK_EVERY", 0.0)
    gone = run.log.parent / "gone"

    def ask(_: object) -> CloudNews:
        return CloudNews(broken="the build VM is terminated" if gone.exists() else None)

    script = ["sh", "-c", f"{BOOTING}; sleep 0.7; {end}"]
    watcher = Watcher(run.say, ask)
    done = run_packer(script, {"PATH": os.environ["PATH"]}, run.log, 2.0, run.stop, watcher, 30)
    assert (done.exit_code, done.broken) == (1, None)
    assert gone.exists()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_stop_is_no_timeout(run: Run) -> None:
    def stop_once_booted() -> None:
        run.booted.wait(20)
        run.stop.set()

    threading.Thread(target=stop_once_booted, daemon=True).start()
    done = run(f"trap 'exit 1' TERM; {BOOTING}; while :; do sleep 0.1; done")
    assert (done.exit_code, done.timed_out) == (1, False)


def test_an_earlier_log_tells_its_volumes(run: Run) -> None:
    assert read_output(run.log).volumes == []
    run(f"echo '==> {PREFIX}Creating snapshot of EBS Volume vol-0123abcd...'; kill -9 $$")
    assert read_output(run.log).volumes == ["vol-0123abcd"]
