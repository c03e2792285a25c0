"""`doctor`: whether an update could run as things are, before anything is made."""

from __future__ import annotations

from omi.cli.checkup import Checkup
from omi.cli.findings import report
from omi.cli.stack import Json, Stack


def doctor(stack: Stack, as_json: Json = False) -> None:
    """Check whether an update could run as things are, before anything is made: one line for each check.

    Exit code 1 if any is an error, else 0.
    """
    report(Checkup(stack).run(), as_json=as_json)
