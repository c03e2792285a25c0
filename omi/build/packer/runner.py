"""Runs Packer: its output goes to a file that is followed, it has a limit, and it can't ignore its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omi.build.packer.progress import PackerOutput
from omi.support.errors import ToolError

GRACE = 45.0
"""Seconds between SIGTERM and the end of the whole process group; plugin 1.0.2 may ignore SIGTERM for minutes."""
EVERY = 0.5
"""Seconds between two reads of Packer's log."""
ASK_EVERY = 4.0
"""Seconds between two queries of the cloud while Packer waits for it."""


@dataclass(frozen=True)
class PackerRun:
    """How it ended; exit code 0 does not prove that the account is clean, 1 not that there is no OMI."""

    exit_code: int
    timed_out: bool
    broken: str | None
    """Why it was ended while it still waited."""
    output: PackerOutput


@dataclass(frozen=True)
class CloudNews:
    """News from the cloud while Packer waits: a progress line, or the reason why waiting is pointless."""

    say: str | None = None
    broken: str | None = None


@dataclass(frozen=True)
class Watcher:
    """Gets each progress line (`say`), and asks the cloud now and then while Packer waits (`ask`)."""

    say: Callable[[str], None]
    ask: Callable[[PackerOutput], CloudNews]


def run_packer(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    limit: float,
    stop: threading.Event,
    watcher: Watcher,
    grace: float = GRACE,
    inherits: Sequence[int] = (),
) -> PackerRun:
    """Run it to its end, at most `limit` seconds; a set `stop` or the limit means SIGTERM and, after `grace`, SIGKILL.

    `inherits` are file descriptors that stay open in it.
    Call it from a thread that lives as long as the process: when that thread dies, Packer gets SIGTERM.
    """
    start = time.monotonic()
    with log.open("wb") as out:
        process = _start(command, environment, log.parent, out.fileno(), inherits)
    follower = _Follower(log, watcher)
    told_at: float | None = None
    timed_out = False
    try:
        while process.poll() is None:
            # on SIGTERM it terminates its VM itself, as it does at every failure
            follower.step(ask=told_at is None)
            now = time.monotonic()
            if told_at is None and (stop.is_set() or follower.broken or now - start > limit):
                timed_out, told_at = not (stop.is_set() or follower.broken), now
                watcher.say(f"ending Packer, which has {grace:.0f} s to clean up; what it leaves is removed then")
                process.send_signal(signal.SIGTERM)
            elif told_at is not None and now - told_at > grace:
                break
            time.sleep(EVERY) if stop.is_set() else stop.wait(EVERY)
    finally:
        _end_group(process)
    follower.step(ask=False)
    return PackerRun(process.returncode, timed_out, follower.broken, follower.output)


def read_output(log: Path) -> PackerOutput:
    """Read an earlier run's log; empty if there is none."""
    output = PackerOutput()
    for line in log.read_bytes().split(b"\n")[:-1] if log.is_file() else ():  # the last line may be incomplete
        output.feed(line.decode("utf-8", "replace"))
    return output


def _start(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, out: int, inherits: Sequence[int]
) -> subprocess.Popen[bytes]:
    # its own session: a terminal's ^C does not reach it, and the whole group can be ended at once
    wrapped = ["setpriv", "--pdeathsig", "TERM", *command]
    try:
        return subprocess.Popen(
            wrapped,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=tuple(inherits),
        )
    except OSError as error:
        raise ToolError(f"setpriv: cannot be started ({error.strerror}); install the package util-linux") from error


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):  # the whole group has ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # only the kernel can hold up a killed process
        process.wait(timeout=30)


class _Follower:
    """Reads the lines added to a log since the last step."""

    def __init__(self, log: Path, watcher: Watcher) -> None:
        self.output = PackerOutput()
        self._log = log
        self._watcher = watcher
        self._offset = 0
        self._rest = b""
        self.broken: str | None = None
        self._next_ask = 0.0
        self._last = ""

    def step(self, *, ask: bool) -> None:
        """Read on. With `ask`, ask the watcher whether waiting is in vain."""
        with self._log.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._report(self.output.feed(line.decode("utf-8", "replace")))
        if ask and self.output.phase and not self.broken and time.monotonic() >= self._next_ask:
            seen = self._watcher.ask(self.output)
            self._next_ask = time.monotonic() + ASK_EVERY
            self.broken = seen.broken
            self._report(seen.say)

    def _report(self, text: str | None) -> None:
        if text and text != self._last:
            self._last = text
            self._watcher.say(text)
