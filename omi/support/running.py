"""Runs every program of the project: an error becomes one line on stderr and an exit code of its own."""

from __future__ import annotations

import errno
import os
import signal
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
    _open_closed_streams()
    code = _run(command)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output (`| head`) has seen enough
        _drop_output()
        return code or CLOSED_PIPE
    except OSError as error:
        _drop_output()
        if code == 0:
            tell(_unwritten(error))
        return code or OmiError.exit_code
    return code


def _run(command: Callable[[], int]) -> int:
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # the modules are loaded
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return command()
    except BrokenPipeError:
        return CLOSED_PIPE
    except OmiError as error:
        tell(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        tell("error: interrupted")
        return INTERRUPTED
    except Exception as error:  # a fault of the program itself, in one line, too
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            tell(_unwritten(error))
            return OmiError.exit_code
        tell(f"error: unexpected {type(error).__name__}: {one_line(str(error))}; details in {_keep_traceback()}")
        return OmiError.exit_code


def _unwritten(error: OSError) -> str:
    place = f"{error.filename} or the output" if error.filename else "the output or a file"
    return f"error: {place} can't be written: {error.strerror}; make room there, or send it elsewhere"


def _open_closed_streams() -> None:
    """Lead standard streams that were closed (`>&-`) to nowhere: else the next file that is opened is one of them."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:  # the lowest one that is free, so seldom
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode))


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
