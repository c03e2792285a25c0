"""`supervise`: the process that does the work of `build`."""

from __future__ import annotations

import os
from collections.abc import Sequence

from omi.build.supervisor import build_image
from omi.commands.wire import export, give_record, read_spec
from omi.support.errors import InputError


def supervise(arguments: Sequence[str]) -> int:
    """Build the image, export its record and print it. The argument is the id of the front, whose end stops the
    build."""
    if len(arguments) > 1 or not all(argument.isdecimal() for argument in arguments):
        raise InputError(f"supervise: {' '.join(arguments)!r}: give the id of the process to watch, or nothing")
    front = int(arguments[0]) if arguments else None
    spec = read_spec()
    record = build_image(spec, front, os.environ)
    export("record", spec, record)
    give_record(record)
    return 0
