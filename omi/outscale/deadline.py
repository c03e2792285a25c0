"""Limits work that has no limit of its own: a name server that hangs, an answer that drips."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDoneError
from typing import TypeVar

from omi.outscale.waiting import InterruptedBuildError

T = TypeVar("T")
_EVERY = 0.2
"""Seconds between two checks of `stop`."""


class TooLateError(Exception):
    """The work wasn't done within its limit."""


def within(seconds: float, work: Callable[[], T], stop: threading.Event | None = None) -> T:
    """Run `work` and return its result; TooLateError after `limit` seconds, InterruptedBuildError once `stop` is set.

    It runs in a thread of its own, which is then left behind; the program can still end.
    """
    if stop is not None and stop.is_set():
        raise InterruptedBuildError("interrupted")
    done = _begun(work)
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        try:
            return done.result(timeout=max(0.0, left if stop is None else min(left, _EVERY)))
        except NotDoneError:
            if done.done():  # raised by the work itself
                raise
        if stop is not None and stop.is_set():
            raise InterruptedBuildError("interrupted")
        if left <= 0:
            raise TooLateError


def _begun(work: Callable[[], T]) -> Future[T]:
    """Begin work in a daemon thread: the program may end without waiting for it."""
    done: Future[T] = Future()
    threading.Thread(target=_run, args=(work, done), name="begun", daemon=True).start()
    return done


def _run(work: Callable[[], T], done: Future[T]) -> None:
    try:
        result = work()
    except BaseException as error:
        done.set_exception(error)
    else:
        done.set_result(result)
