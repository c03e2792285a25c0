"""Locks between processes. Each wait has a limit, and names the process that holds the lock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omi.support.errors import ToolError, one_line
from omi.support.narration import shown, tell

LIMIT = 120.0
"""Seconds to wait; work under such a lock takes a few."""
_QUIET = 1.0
"""Seconds before a wait is reported; builds that end at the same time wait for each other that long."""
_COMMAND = 80
"""Characters of a command line that are shown."""


class LockedError(ToolError):
    """Another process held a lock for longer than the limit."""


@contextmanager
def hold(path: Path, doing: str, limit: float | None = None) -> Iterator[None]:
    """Hold the lock file, which stays after the lock is released; `doing` is the work under it ("writing the
    releases").

    Raises LockedError after `limit` seconds (LIMIT by default), and OSError if the file can't be made.
    """
    from filelock import FileLock, Timeout  # the import takes a tenth of a second, and most commands don't need it

    limit = LIMIT if limit is None else limit
    lock = FileLock(path)
    try:
        lock.acquire(timeout=min(_QUIET, limit))
    except Timeout:
        if limit > _QUIET:
            tell(f"{doing}: waiting for {holder_of(path)}, which holds {shown(path)}; at most {limit:.0f} s")
        try:
            lock.acquire(timeout=max(0.0, limit - _QUIET))
        except Timeout as error:
            raise LockedError(
                f"{doing}: {holder_of(path)} has held {shown(path)} for {limit:.0f} s; end it, then run again"
            ) from error
    try:
        yield
    finally:
        lock.release()


def holder_of(path: Path) -> str:
    """The process that holds a lock on the file, with its command line; "another process" if Linux doesn't know."""
    try:
        file = path.stat()
        wanted = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            words = line.split()
            if len(words) > 5 and words[1] == "FLOCK" and words[5] == wanted:
                command = Path(f"/proc/{int(words[4])}/cmdline").read_bytes().replace(b"\0", b" ")
                return f"process {words[4]} ({one_line(command.decode('utf-8', 'replace'), _COMMAND)})"
    except (OSError, ValueError):
        pass
    return "another process"
