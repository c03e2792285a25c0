"""Finds the command that a person named, and runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from omi.support.errors import InputError
from omi.support.running import run

COMMANDS = {
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
    "sweep": "sweep.sweep",
}
"""Module and function in omi.cli. Only the one that runs is imported."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    if arguments[:1] in (["--help"], ["-h"]):
        return run(_help)
    return run(lambda: _function(arguments[0] if arguments else "")(arguments[1:]))


def _help() -> int:
    """Name the commands, each with the first line of its docstring."""
    print("usage: python -m omi COMMAND ...\n")
    for name in sorted(COMMANDS):
        usage, _, what = (_function(name).__doc__ or name).splitlines()[0].partition(": ")
        print(f"  {usage.strip('`')}\n      {what}")
    print("\n`python -m omi COMMAND --help` has the arguments.")
    return 0


def _function(name: str) -> Callable[[Sequence[str]], int]:
    if name not in COMMANDS:
        raise InputError(f"command: {name!r}: is none; give one of {', '.join(sorted(COMMANDS))}, or --help")
    module, _, function = COMMANDS[name].partition(".")
    command: Callable[[Sequence[str]], int] = getattr(import_module(f"omi.cli.{module}"), function)
    return command
