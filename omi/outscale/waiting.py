"""Waiting for a state, always with a limit, and stopped at once when the build is interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from omi.support.errors import BuildError, CloudError
from omi.support.narration import tell

T = TypeVar("T")

QUIET = 10.0
"""Seconds that nothing is said of a wait."""
NEVER = threading.Event()
"""The `stop` of what nobody ends early."""


class NotInTimeError(CloudError):
    """The limit of a wait passed, though the cloud answered."""


class InterruptedBuildError(BuildError):
    """The build was told to end: its caller died or sent a signal."""


def wait_until(
    fetch: Callable[[], T],
    done: Callable[[T], bool],
    what: str,
    limit: float,
    every: float = 1.0,
    stop: threading.Event = NEVER,
    *,
    setting: str,
) -> T:
    """Call `fetch` each `every` seconds until `done`; returns what was fetched last.

    `what` completes "waited N s for ...", `setting` is where the limit is set. A wait that isn't short is told.
    NotInTimeError after `limit` seconds, InterruptedBuildError once `stop` is set.
    """
    begin, said = time.monotonic(), False
    while True:
        value = fetch()
        if done(value):
            return value
        waited = time.monotonic() - begin
        if waited >= QUIET and not said:
            tell(f"waiting for {what}, at most {limit:.0f} s ({setting})")
            said = True
        if waited >= limit:
            raise NotInTimeError(
                f"waited {limit:.0f} s for {what} ({setting}); it may be stuck: look at it in the cloud, then run again"
            )
        pause(every, stop)


def pause(seconds: float, stop: threading.Event = NEVER) -> None:
    """Sleep; raises InterruptedBuildError as soon as `stop` is set."""
    if stop.wait(seconds):
        raise InterruptedBuildError("interrupted")
