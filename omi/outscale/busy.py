"""Deleting what may still be in use: tried again while the cloud says so, and done when it is already gone."""

from __future__ import annotations

import time
from collections.abc import Callable

from omi.errors import CloudError
from omi.narration import tell
from omi.outscale.waiting import QUIET

EVERY = 2.0
"""Seconds before what is busy is tried again."""
_BUSY = (
    "InUse", "DependencyViolation", "IncorrectState", "Unavailable", "IncorrectInstanceState", "InternalError",
    "SlowDown",
)  # fmt: skip


def is_gone(error: CloudError) -> bool:
    """Whether the cloud said that the thing does not exist; deleting it has then nothing left to do."""
    return error.code.endswith((".NotFound", ".Unknown"))


def is_busy(error: CloudError) -> bool:
    """Whether trying again may help: still in use, or (no code) the endpoint did not answer."""
    return not error.code or any(word in error.code for word in _BUSY)


def remove(delete: Callable[[], object], limit: float) -> bool:
    """Call `delete` until it works or the thing is gone; False if it was gone at the first try.

    Raises the last CloudError after `limit` seconds (the setting cloud.limits.in_use), or at once when trying again
    can't help.
    """
    begin = time.monotonic()
    first, said = True, False
    while True:
        try:
            delete()
        except CloudError as error:
            if is_gone(error):
                return not first
            if not is_busy(error):
                raise
            waited = time.monotonic() - begin
            if waited >= QUIET and not said:
                tell(f"{error}: trying again, at most {limit:.0f} s (cloud.limits.in_use)")
                said = True
            if waited >= limit:
                raise CloudError(f"{error}, still so after {limit:.0f} s (cloud.limits.in_use)", error.code) from error
            first = False
            time.sleep(EVERY)
        else:
            return True
