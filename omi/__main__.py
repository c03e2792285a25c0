"""`python3 -m omi COMMAND`: every error is one line on stderr and an exit code of its own."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from omi.atomic import write_atomically
from omi.errors import InputError, OmiError
from omi.narration import tell

COMMANDS = {
    "adopt": "adopt.adopt",
    "build": "build.build",
    "update": "update.update",
    "delete": "delete.delete",
    "claim": "claim.claim",
    "fork": "fork.fork",
    "doctor": "doctor.doctor",
    "images": "stack.images",
    "import": "import_old.import_old",
    "migrate": "migrate.migrate_profiles",
    "plan": "stack.plan",
    "rebuild": "rebuild.rebuild",
    "recover": "recover.recover",
    "releases": "stack.releases",
    "site": "site.site",
    "supervise": "build.supervise",
    "sweep": "sweep.sweep",
}
"""Module and function in omi.commands. Only the one that runs is imported: all of them would take a delete, which runs
once for each image, 0.54 s instead of 0.36 s to start."""


_OF_PULUMI = {"adopt", "build", "update", "delete", "supervise"}
"""Commands that Pulumi runs, not people."""
CLOSED_PIPE = 141
"""Exit code where nobody reads the output any more: a shell's for a program that SIGPIPE ended."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    try:
        code = _help() if arguments[:1] in (["--help"], ["-h"]) else _command(arguments)(arguments[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output (`| head`) has seen enough
        _drop_output()
        return CLOSED_PIPE
    except OmiError as error:
        _tell(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _tell("interrupted")
        return 130
    except Exception as error:  # the last resort: a fault of the program itself, still told in one line
        _tell(f"unexpected {type(error).__name__}: {error}; details in {_keep_traceback()}")
        return OmiError.exit_code
    return code


def _drop_output() -> None:
    """Have what is still to be written go nowhere, since Python would fail again at it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _help() -> int:
    """Name the commands of people, each with the first line of its docstring."""
    print("usage: python -m omi COMMAND ...\n")
    for name in sorted(COMMANDS.keys() - _OF_PULUMI):
        usage, _, what = (_function(name).__doc__ or name).splitlines()[0].partition(": ")
        print(f"  {usage.strip('`')}\n      {what}")
    print("\n`python -m omi COMMAND --help` has the arguments.")
    return 0


def _command(arguments: Sequence[str]) -> Callable[[Sequence[str]], int]:
    given = arguments[0] if arguments else ""
    if given not in COMMANDS:
        known = ", ".join(sorted(COMMANDS.keys() - _OF_PULUMI))
        raise InputError(f"command: {given!r}: is none; give one of {known}, or --help")
    return _function(given)


def _function(name: str) -> Callable[[Sequence[str]], int]:
    module, _, function = COMMANDS[name].partition(".")
    command: Callable[[Sequence[str]], int] = getattr(import_module(f"omi.commands.{module}"), function)
    return command


def _tell(text: str) -> None:
    line = " ".join(text.split())
    tell(f"error: {line}")


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
