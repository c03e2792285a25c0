"""Waits for a state, always with a limit, and stops at once when the build is interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from omi.support.errors import BuildError, CloudError
from omi.support.narration import tell

T = TypeVar("T")

QUIET = 10.0
"""Seconds before a wait is reported."""
NEVER = threading.Event()
"""The `stop` of a wait that nobody ends early."""


class NotInTimeError(CloudError):
    """A wait reached its limit, though the cloud answered."""


class InterruptedBuildError(BuildError):
    """The build must end: its caller died or sent a signal."""


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
    """Call `fetch` every `every` seconds until `done`; returns the last result.

    `what` completes "waited N s for ...", `setting` is the setting of the limit. A longer wait is reported. Raises
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
