"""Shows errors and refusals in Pulumi: one line, no traceback. An interrupt ends the program without a word."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pulumi
from pulumi_command import local

from omi.support.errors import OmiError, PlanError

_SHOWN_ALREADY = 32
"""With this exit code the Python language host assumes that the program has shown its error, and adds none of its own
(pulumi-language-python-exec, PYTHON_PROCESS_EXITED_AFTER_SHOWING_USER_ACTIONABLE_MESSAGE_CODE)."""


def refuse(refused: Sequence[str], after: Sequence[pulumi.Resource]) -> None:
    """Fail an update once `after` are done, by a command that fails; an error here would keep all prunes from going.

    Raises PlanError in a preview, where nothing is done.
    """
    message = "; ".join(refused)
    if pulumi.runtime.is_dry_run():
        raise PlanError(f"{message}; `pulumi up --skip-preview` does all else")
    pulumi.log.error(message)
    create = "echo 'the error above says what waits; all else goes on' >&2; exit 1"
    local.Command("refused", create=create, opts=pulumi.ResourceOptions(depends_on=list(after)))


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
