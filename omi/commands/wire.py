"""The commands' input and output: spec on standard input, record in the environment and on standard output."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from omi import publish as releases
from omi.state.image import ImageRecord, ImageSpec
from omi.support.errors import InputError, OmiError, StateError
from omi.support.narration import tell

RECORD_VARIABLE = "PULUMI_COMMAND_STDOUT"
"""The variable in which Pulumi's command plugin passes the output of the last create or update."""


def read_spec() -> ImageSpec:
    """Read the spec on standard input; StateError if it can't be read, InputError if that is a terminal."""
    if sys.stdin.isatty():
        raise InputError("standard input: is a terminal; Pulumi runs this command, by `pulumi up` or `pulumi destroy`")
    try:
        text = sys.stdin.read()
    except UnicodeDecodeError as error:
        raise StateError("standard input: is not UTF-8 text; Pulumi gives this command what state holds") from error
    return ImageSpec.from_json(text, "standard input")


def read_record(environ: Mapping[str, str]) -> ImageRecord:
    """Read the record of the last run, the last line of RECORD_VARIABLE; StateError if there is none."""
    lines = environ.get(RECORD_VARIABLE, "").strip().splitlines()
    if not lines:
        raise StateError(
            f"{RECORD_VARIABLE}: is empty, so the OMI is unknown; run it by `pulumi up` or `pulumi destroy`"
        )
    return ImageRecord.from_json(lines[-1], RECORD_VARIABLE)


def give_record(record: ImageRecord) -> None:
    """Print the record as the one line of standard output."""
    print(record.to_json(), flush=True)


def export(change: str, spec: ImageSpec, record: ImageRecord) -> None:
    """Bring the releases files up to date; they are only an export, so a failure gets a line and stops nothing."""
    try:
        for line in (releases.record if change == "record" else releases.forget)(spec, record):
            tell(line)
    except (OmiError, OSError) as error:
        tell(f"releases files not written: {error}; run `python -m omi publish` to write them from the stack")
