"""`build`: the create of an image's resource."""

from __future__ import annotations

from collections.abc import Sequence

from omi.build.supervisor import run_supervised
from omi.commands.wire import export, give_record, read_spec
from omi.state.image import ImageRecord


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
