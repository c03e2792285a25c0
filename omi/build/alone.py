"""One build of an image at a time: whoever builds it holds its run folder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TextIO

from omi.outscale.waiting import pause
from omi.support.errors import BuildError
from omi.support.locks import holder_of
from omi.support.narration import shown
from omi.support.own_folder import require_own

LIMIT = 300.0
"""Seconds to wait for an earlier run that is still ending: Packer's grace, then the sweep of what it had made."""
_EVERY = 0.5
_BEYOND = 64
"""File descriptors below are too low to be inherited by all: Packer gives its children others of these numbers."""
_ABOVE = 2  # folders: build/STACK/IMAGE


@contextmanager
def hold_alone(folder: Path, name: str, stop: Event, say: Callable[[str], None], limit: float = LIMIT) -> Iterator[int]:
    """Hold the run folder of image `name`, since two builds of it would sweep each other's VMs; yields the lock.

    The engine lets one update of a stack run at a time, so who holds it is what is left of an interrupted one: it is
    waited for, at most `limit` seconds. A process that inherits the lock holds it as well, until it ends: an update
    after the death of the supervisor waits for its Packer. (So it isn't filelock's: that unlocks when it gives a lock
    up, for those who inherited it as well.) Raises BuildError, or InterruptedBuildError once `stop` is
    set.
    """
    with _open(folder) as lock:
        end, said = time.monotonic() + limit, False
        while not _take(lock):
            if time.monotonic() >= end:
                file = folder / "lock"
                raise BuildError(
                    f"{name}: another process is still building it after {limit:.0f} s; {holder_of(file)} began it, "
                    f"and `fuser -v {shown(file)}` lists all who hold it: end them, then run again"
                )
            if not said:
                holder = holder_of(folder / "lock")
                say(f"an earlier run of {name} is still ending ({holder}): waiting for it, at most {limit:.0f} s")
                said = True
            pause(min(_EVERY, limit), stop)
        handle = fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, _BEYOND)
        try:
            yield handle
        finally:
            os.close(handle)  # which gives it up, unless another process has inherited it


def _open(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        require_own(folder, within=_ABOVE)
        return (folder / "lock").open("w")
    except OSError as error:
        raise BuildError(
            f"{shown(folder)}: cannot be written ({error.strerror}); free space or correct its owner"
        ) from error


def _take(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
