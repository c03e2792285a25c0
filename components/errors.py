"""Shows the project's errors in Pulumi: one line, no traceback. An interrupt ends the program without a word."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pulumi

from omi.support.errors import OmiError

_SHOWN_ALREADY = 32
"""With this exit code the Python language host assumes that the program has shown its error, and adds none of its own
(pulumi-language-python-exec, PYTHON_PROCESS_EXITED_AFTER_SHOWING_USER_ACTIONABLE_MESSAGE_CODE)."""


@contextmanager
def clean_errors() -> Iterator[None]:
    """End the program with the error's line alone; the engine exits non-zero and changes nothing further.

    From here on, also while Pulumi's SDK waits for resources, an interrupt shows no traceback: the engine reports it.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    except OmiError as error:
        pulumi.log.error(str(error))
        sys.exit(_SHOWN_ALREADY)
