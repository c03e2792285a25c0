"""The processes of one run: found by descent alone, so that nothing of anybody else's is ever touched (Linux)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
_LOOK_EVERY = 0.02


@dataclass(frozen=True)
class Process:
    """One process as /proc tells it."""

    pid: int
    parent: int
    state: str
    arguments: tuple[str, ...]

    @property
    def program(self) -> str:
        """The name of what runs, an interpreter's script left out."""
        return Path(self.arguments[0]).name if self.arguments else ""

    def __str__(self) -> str:
        return f"{self.pid} {' '.join(self.arguments)[:160]}"


def adopt_orphans() -> None:
    """Have processes whose parent died become children of this one, so that all of a run stays findable."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent() -> None:
    """Have this process clean up and end as soon as the one that started it has ended, or on a signal.

    What it starts takes signals as what a terminal starts does, even if this was started by nohup or in the background.
    """
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def descendants(root: int, but: Collection[int] = ()) -> list[Process]:
    """All living processes below `root`, but those below the pids of `but` and these themselves; parents first.

    Dead ones that were adopted are reaped on the way.
    """
    below: dict[int, list[Process]] = {}
    for process in _all():
        below.setdefault(process.parent, []).append(process)
    found, waiting = [], [root]
    while waiting:
        parent = waiting.pop()
        for child in below.get(parent, ()):
            if child.pid in but:
                continue
            if child.state == "Z":
                if parent == os.getpid() and child.pid not in but:
                    _reap(child.pid)
                continue
            found.append(child)
            waiting.append(child.pid)
    return found


def kill_all(look: Callable[[], list[Process]]) -> int:
    """End all that `look` finds at one blow: stopped first, so that none of them sees another's end."""
    count = 0
    for number in (signal.SIGSTOP, signal.SIGKILL):
        count = 0
        for process in look():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
                count += 1
    wait_until(lambda: not _kill_rest(look), 30)
    return count


def _kill_rest(look: Callable[[], list[Process]]) -> list[Process]:
    rest = look()
    for process in rest:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return rest


def wait_until(done: Callable[[], bool], limit: float) -> bool:
    """Look until it is done; False after `limit` seconds."""
    end = time.monotonic() + limit
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK_EVERY)
    return True


_watched: set[int] = set()


@contextlib.contextmanager
def left_to_subprocess(pid: int) -> Iterator[None]:
    """A child whose end the standard library waits for itself, so that it isn't reaped here."""
    _watched.add(pid)
    try:
        yield
    finally:
        _watched.discard(pid)


def _reap(pid: int) -> None:
    if pid not in _watched:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _all() -> Iterator[Process]:
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        try:
            stat = Path(entry.path, "stat").read_text(encoding="utf-8", errors="replace")
            line = Path(entry.path, "cmdline").read_bytes()
        except OSError:
            continue  # it has ended
        state, parent = stat.rpartition(")")[2].split()[:2]
        arguments = tuple(part.decode("utf-8", "replace") for part in line.split(b"\0") if part)
        yield Process(int(entry.name), int(parent), state, arguments)
