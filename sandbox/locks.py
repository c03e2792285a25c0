"""Locks between processes that would make the same thing. Each wait has a limit and reports its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_QUIET = 0.5
"""Seconds before a wait is reported."""


class StillHeldError(Exception):
    """Another process held the lock for longer than the limit; the message is one line."""


@contextmanager
def hold(path: Path, what: str, limit: float, progress: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file while `what` is made; StillHeldError after `limit` seconds."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=min(_QUIET, limit))
    except Timeout:
        progress(f"waiting for another process that makes {what}, at most {limit:.0f} s ({path})")
        try:
            lock.acquire(timeout=max(0.0, limit - _QUIET))
        except Timeout:
            raise StillHeldError(f"another process has been making {what} for {limit:.0f} s: end it ({path})") from None
    try:
        yield
    finally:
        lock.release()
