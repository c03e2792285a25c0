"""`supervise`: the process that does the work of `build`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from omi.build.supervisor import build_image
from omi.commands.wire import give_record, read_spec
from omi.support.errors import InputError


def supervise(arguments: Sequence[str]) -> int:
    """As `build`, in this process; the argument is the process whose end means to stop."""
    if len(arguments) > 1 or not all(argument.isdecimal() for argument in arguments):
        raise InputError(f"supervise: {' '.join(arguments)!r}: give the id of the process to watch, or nothing")
    front = int(arguments[0]) if arguments else None
    record = build_image(read_spec(), front, os.environ)
    give_record(record)
    sys.stdout.flush()
    return 0
