"""Runs every program of the project: an error becomes one line on stderr and an exit code of its own."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from omi.support.atomic import write_atomically
from omi.support.errors import OmiError, one_line
from omi.support.narration import tell

CLOSED_PIPE = 141
"""The exit code if nobody reads the output any more: a shell's for a program that SIGPIPE ended."""
INTERRUPTED = 130
"""The exit code after Ctrl-C, as a shell's."""


def run(command: Callable[[], int]) -> int:
    """Run the program; returns its exit code, or that of the error that ended it."""
    try:
        code = command()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output (`| head`) has seen enough
        _drop_output()
        return CLOSED_PIPE
    except OmiError as error:
        tell(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        tell("error: interrupted")
        return INTERRUPTED
    except Exception as error:  # a fault of the program itself, in one line, too
        tell(f"error: unexpected {type(error).__name__}: {one_line(str(error))}; details in {_keep_traceback()}")
        return OmiError.exit_code
    return code


def _drop_output() -> None:
    """Discard the rest of the output, since Python would fail again when it writes it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _keep_traceback() -> str:
    folder = Path("build")
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir())
    path = folder / "error.log"
    try:
        write_atomically(path, traceback.format_exc())
    except OSError:
        return "no log, since none could be written"
    return str(path)
