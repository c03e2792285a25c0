"""`build` (create of an image's resource) and `supervise`, the process that does its work."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from omi.commands.wire import export, give_record, read_spec
from omi.errors import InputError
from omi.image import ImageRecord
from omi.supervisor import build_image, run_supervised


def build(_: Sequence[str]) -> int:
    """Build the image of the spec on standard input; its record goes to standard output."""
    spec = read_spec()
    code, output = run_supervised(spec)
    if code != 0:
        return code
    record = ImageRecord.from_json(output, "the supervisor's output")
    export("record", spec, record)
    give_record(record)
    return 0


def supervise(arguments: Sequence[str]) -> int:
    """As `build`, in this process; the argument is the process whose end means to stop."""
    if len(arguments) > 1 or not all(argument.isdecimal() for argument in arguments):
        raise InputError(f"supervise: {' '.join(arguments)!r}: give the id of the process to watch, or nothing")
    front = int(arguments[0]) if arguments else None
    record = build_image(read_spec(), front, os.environ)
    give_record(record)
    sys.stdout.flush()
    return 0
