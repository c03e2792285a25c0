"""`python3 -m omi.commands adopt|build|update|delete`: the commands that Pulumi runs, with the words in a stack's
state."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules load, Ctrl-C leaves nothing to tidy up

from omi.support.errors import InputError
from omi.support.running import run

COMMANDS = ("adopt", "build", "update", "delete", "supervise")
"""Modules of this room, each with a function of its name. Only the one that runs is imported: with all of them, a
delete, which runs once for each image, would start in 0.54 s instead of 0.36 s."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    return run(lambda: _function(arguments[0] if arguments else "")(arguments[1:]))


def _function(name: str) -> Callable[[Sequence[str]], int]:
    if name not in COMMANDS:
        raise InputError(f"command: {name!r}: is not a command of Pulumi's; for people's see `python -m omi --help`")
    command: Callable[[Sequence[str]], int] = getattr(import_module(f"omi.commands.{name}"), name)
    return command


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
