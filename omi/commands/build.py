"""`build`: the create of an image's resource."""

from __future__ import annotations

from collections.abc import Sequence

from omi.build.supervisor import run_supervised
from omi.commands.wire import read_spec


def build(_: Sequence[str]) -> int:
    """Build the image of the spec on standard input; the supervisor prints its record."""
    return run_supervised(read_spec())
