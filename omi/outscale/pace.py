"""Slows down this machine's calls to an account's API after the cloud has complained of too many.

Before that, nobody waits. After that, all processes that use the account's key queue up, by a file in the cache folder,
until the cloud has not complained for a while. So many builds at once get through, only more slowly.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from omi.outscale.waiting import QUIET
from omi.support.locks import LockedError, hold
from omi.support.narration import tell
from omi.support.places import cache_folder

EACH_SECOND = 4.0
"""Requests a second of all processes together. OUTSCALE's own clients keep to 5 (the limiter of osc-sdk-python); one is
left for other programs."""
CALM = 60.0
"""Seconds after the last refusal; then nobody waits any more."""
_WINDOW = 1.0
"""Seconds until requests from before the refusal no longer count."""
_LONGEST = 120.0
"""Seconds that a request may wait; a longer queue was written while the clock was wrong."""

_HELD = 5.0
"""Seconds to wait for the file, which is held only to read and write two numbers; then the request goes without it."""


@dataclass(frozen=True)
class Queue:
    """When the queue ends, and when the next request may go (seconds since the epoch)."""

    until: float = 0.0
    free: float = 0.0


class Pace:
    """The queue of one account's key. If its file can't be used, nobody waits. Any number of threads may use it."""

    def __init__(
        self, path: Path, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._path, self._clock, self._sleep = path, clock, sleep

    @classmethod
    def of(cls, api: str, access_key: str) -> Pace:
        """That of a key at an endpoint."""
        name = hashlib.sha256(f"{api}\0{access_key}".encode()).hexdigest()[:16]
        return cls(cache_folder() / "pace" / name)

    def wait(self) -> None:
        """Wait for this request's turn."""
        if not self._is_slow(_read(self._path)):
            return
        with self._held() as queue:
            if queue is None or not self._is_slow(queue):
                return
            now = self._clock()
            turn = max(now, queue.free) if queue.free < now + _LONGEST else now
            self._write(Queue(queue.until, turn + 1 / EACH_SECOND))
        if turn - now >= QUIET:
            tell(f"the cloud wants fewer calls: the next one is in {turn - now:.0f} s")
        self._sleep(turn - now)

    def slow_down(self) -> None:
        """Begin to queue: the cloud has complained of too many requests."""
        with self._held() as queue:
            if queue is not None:
                now = self._clock()
                free = queue.free if self._is_slow(queue) else now + _WINDOW
                self._write(Queue(now + CALM, free))

    def _is_slow(self, queue: Queue) -> bool:
        return 0 < queue.until - self._clock() <= CALM

    def _write(self, queue: Queue) -> None:
        with suppress(OSError):
            self._path.write_text(f"{queue.until} {queue.free}", encoding="ascii")

    @contextmanager
    def _held(self) -> Iterator[Queue | None]:
        """The queue, for this process and thread alone; None where there can't be one."""
        with ExitStack() as stack:
            queue: Queue | None = None
            with suppress(OSError, LockedError):
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                stack.enter_context(hold(self._path, "asking the cloud at its pace", _HELD))
                queue = _read(self._path)
            yield queue


def _read(path: Path) -> Queue:
    try:
        until, free = path.read_text(encoding="ascii").split()
        return Queue(float(until), float(free))
    except (OSError, ValueError):
        return Queue()
