"""Lets one process at a time build an image: it holds the lock of the image's run folder."""

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
"""Seconds to wait for an earlier run that is still ending: Packer's grace, then the sweep of its leftovers."""
_EVERY = 0.5
_BEYOND = 64
"""File descriptors below are too low to be inherited by all: Packer gives its children others of these numbers."""
_ABOVE = 2  # folders: build/STACK/IMAGE


@contextmanager
def hold_alone(folder: Path, name: str, stop: Event, say: Callable[[str], None], limit: float = LIMIT) -> Iterator[int]:
    """Hold the run folder of image `name`; yields the lock. Two builds of one image would sweep each other's VMs.

    The engine runs one update of a stack at a time. So another holder is the rest of an interrupted update; this waits
    for it, at most `limit` seconds. A process that inherits the lock holds it, too, until it ends: if the supervisor
    died, the next update waits for its Packer. (filelock can't do that: it unlocks for all inheritors at once.) Raises
    BuildError, or InterruptedBuildError once `stop` is set.
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
            os.close(handle)  # releases the lock, unless another process has inherited it


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
