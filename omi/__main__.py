"""`python3 -m omi COMMAND`: every error is one line on stderr and an exit code of its own."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from omi.atomic import write_atomically
from omi.commands.adopt import adopt
from omi.commands.build import build, supervise
from omi.commands.delete import delete
from omi.commands.import_old import import_old
from omi.commands.site import site
from omi.commands.stack import images, plan, releases
from omi.commands.sweep import sweep
from omi.commands.update import update
from omi.errors import InputError, OmiError
from omi.narration import tell

COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "adopt": adopt,
    "build": build,
    "update": update,
    "delete": delete,
    "images": images,
    "import": import_old,
    "plan": plan,
    "releases": releases,
    "site": site,
    "supervise": supervise,
    "sweep": sweep,
}


CLOSED_PIPE = 141
"""Exit code where nobody reads the output any more: a shell's for a program that SIGPIPE ended."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    try:
        code = _command(arguments)(arguments[1:])
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


def _command(arguments: Sequence[str]) -> Callable[[Sequence[str]], int]:
    given = arguments[0] if arguments else ""
    if given not in COMMANDS:
        raise InputError(f"command: {given!r}: is none; give one of {', '.join(COMMANDS)}")
    return COMMANDS[given]


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
