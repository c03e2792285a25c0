"""Deletes things that may still be in use: tries again while the cloud says so; done if the thing is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

from omi.outscale.waiting import QUIET
from omi.support.errors import CloudError
from omi.support.narration import tell

EVERY = 2.0
"""Seconds before the next try."""
_GONE = frozenset({"5020", "5021", "5022", "5023", "5054", "5063", "5064", "5071"})
"""No such security group (three codes), image, snapshot, VM, volume, keypair (OUTSCALE's SDK, gateway_errors.yaml)."""
IN_USE = "in use"
"""The code for a bucket that something still writes to."""


def is_gone(error: CloudError) -> bool:
    """Whether the cloud said that the thing does not exist, so that its delete is done."""
    return error.code in _GONE


def is_busy(error: CloudError) -> bool:
    """Whether another try may help: after OUTSCALE's InvalidState (6xxx) and ResourceConflict (9xxx), or (no code)
    without a final refusal.
    """
    return error.code in ("", IN_USE) or (len(error.code) == 4 and error.code[0] in "69")


def remove(delete: Callable[[], object], limit: float) -> bool:
    """Call `delete` until it works or the thing is gone. Returns False if it was gone at the first try.

    Raises the last CloudError after `limit` seconds (the setting cloud.limits.in_use), or at once if another try can't
    help.
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
