"""The command line of the local OUTSCALE: `python -m sandbox --help`."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules load, Ctrl-C leaves nothing to tidy up

from sandbox import commands
from sandbox.config import (
    DEFAULT_BASE_PORT,
    LAST_BASE_PORT,
    STUB_MACHINES,
    STUB_SOURCE,
    UNPRIVILEGED,
    Addresses,
    SandboxSettings,
    SandboxTiming,
    default_cache,
    default_home,
    in_full,
)
from sandbox.home import ServerError
from sandbox.launch import launch, terminate
from sandbox.machines.accelerator import ACCELERATORS, VARIABLE, default_accelerator

N = TypeVar("N", int, float)
_LAST_PORT = 65535


def main(arguments: list[str] | None = None) -> int:
    """Run one command; exit codes: 0 done, 1 an error (one line on stderr), 2 usage, 3 not running (status)."""
    _open_closed_streams()
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output (`| head`) has seen enough
        _drop_output()
        return 141
    except OSError as error:
        _drop_output()
        print(f"sandbox: the output can't be written: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _run(arguments: list[str] | None) -> int:
    given = _parser().parse_args(arguments)
    try:
        code: int = given.run(_settings(given), given)
    except ServerError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is None and error.errno == errno.ENOSPC:  # a file's name is known, so it is the output
            raise
        print(f"sandbox: {error.filename or given.home}: {error.strerror}; --home names another place", file=sys.stderr)
        return 1
    return code


def _open_closed_streams() -> None:
    """Open closed standard streams (`>&-`) on /dev/null: otherwise the next opened file would become one of them."""
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
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """An error as one line."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        sys.stdout.flush()
        super().exit(status, message)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"sandbox: {message}; see {self.prog} --help\n")


def _folder(written: str) -> Path:
    folder = in_full(written)
    if not folder.is_absolute():
        raise argparse.ArgumentTypeError(f"{written}: this user has no home folder; set HOME, or write it from / on")
    return folder


def _number(kind: Callable[[str], N], least: N, most: N) -> Callable[[str], N]:
    """Reads a number of this range."""

    def read(written: str) -> N:
        try:
            if least <= (number := kind(written)) <= most:
                return number
        except ValueError:
            pass
        whole = "whole " if kind is int else ""
        raise argparse.ArgumentTypeError(f"{written!r} is not a {whole}number from {least} to {most}")

    return read


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m sandbox", description="An OUTSCALE cloud on this machine.")
    parser.add_argument(
        "--home", type=_folder, default=str(default_home()), help="where it keeps its state (%(default)s)"
    )
    parser.add_argument(
        "--base-port",
        type=_number(int, UNPRIVILEGED, LAST_BASE_PORT),
        default=DEFAULT_BASE_PORT,
        help="HTTPS port; plain HTTP, Alpine mirror and object store are on the next three (%(default)s)",
    )
    actions = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("start", commands.start, "start it in the background and wait until it answers"),
        ("serve", commands.serve_here, "run it in the foreground (what start launches)"),
    ):
        command = actions.add_parser(name, help=text)
        command.set_defaults(run=run)
        command.add_argument(
            "--cache", type=_folder, default=str(default_cache()), help="source OMI and mirror (%(default)s)"
        )
        command.add_argument(
            "--machines",
            default="qemu",
            help="what its VMs are: qemu, stub (SSH servers that answer what was recorded; no image of theirs is real)"
            " or a driver as module:factory (%(default)s)",
        )
        command.add_argument(
            "--accelerator",
            choices=ACCELERATORS,
            help="how QEMU runs VMs: kvm, tcg (emulation, several times slower), or auto: kvm where the source OMI runs"
            f" under it (default: what the environment variable {VARIABLE} says, else auto)",
        )
        command.add_argument(
            "--answers", type=_folder, help="recorded answers of stub VMs, a folder (default: its own)"
        )
        command.add_argument("--source", help="maker of the source OMI, module:function (default: what fits the VMs)")
        command.add_argument("--mirror", default=SandboxSettings.mirror, choices=("auto", "cdn", "fixture", "off"))
        command.add_argument(
            "--step",
            type=_number(float, 0.0, 3600.0),
            help="seconds of each state change (default: about one; none for stubs)",
        )
        command.add_argument(
            "--requests-per-second",
            type=_number(float, 1.0, 1e6),
            help="more of one account are answered 429 (default: no limit)",
        )
        command.add_argument(
            "--accounts",
            type=_number(int, 0, 1000),
            default=0,
            help="accounts besides the four: extra-1, extra-1-us, ...",
        )
        command.add_argument("--report-fd", type=int, help=argparse.SUPPRESS)
    stop = actions.add_parser("stop", help="end it and its VMs; the state is kept")
    stop.set_defaults(run=commands.stop)
    status = actions.add_parser("status", help="addresses, and what was made: OMIs, VMs and the ways into them")
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=commands.status)
    reset = actions.add_parser("reset", help="stop it and delete its state")
    reset.add_argument("--yes", action="store_true", help="really")
    reset.set_defaults(run=commands.reset)
    launched = actions.add_parser("launch", help="start a VM of an OMI and print how to reach it")
    launched.add_argument("omi", help="its id; `status` lists those made here")
    launched.add_argument(
        "--port",
        type=_number(int, 1, _LAST_PORT),
        action="append",
        default=[],
        help="of the VM, to open; may be repeated",
    )
    launched.set_defaults(run=launch)
    terminated = actions.add_parser("terminate", help="delete a VM for good")
    terminated.add_argument("vm", help="id")
    terminated.set_defaults(run=terminate)
    console = actions.add_parser("console", help="show a VM's serial console")
    console.add_argument("vm", help="id or Name tag")
    console.add_argument("--follow", action="store_true", help="go on showing what comes, until interrupted")
    console.set_defaults(run=commands.console)
    ssh = actions.add_parser("ssh", help="log in to a VM; those of `launch` take its key")
    ssh.add_argument("-i", dest="identity", help="private key file")
    ssh.add_argument("-l", dest="user", default="outscale", help="user (%(default)s; an Alpine OMI's is alpine)")
    ssh.add_argument("vm", help="id or Name tag")
    ssh.add_argument("command", nargs=argparse.REMAINDER)
    ssh.set_defaults(run=commands.ssh)
    return parser


def _settings(given: argparse.Namespace) -> SandboxSettings:
    addresses = Addresses(given.base_port)
    if "machines" not in given:
        return SandboxSettings(home=given.home, addresses=addresses)
    accelerator = given.accelerator or default_accelerator()
    if accelerator not in ACCELERATORS:
        raise ServerError(f"{VARIABLE} is {accelerator!r}; allowed are {', '.join(ACCELERATORS)}")
    stubs = given.machines == "stub"
    step = 0.0 if stubs and given.step is None else given.step
    return SandboxSettings(
        home=given.home,
        addresses=addresses,
        cache=given.cache,
        timing=SandboxTiming() if step is None else SandboxTiming.uniform(step),
        machines={"qemu": SandboxSettings.machines, "stub": STUB_MACHINES}.get(given.machines, given.machines),
        accelerator=accelerator,
        answers=given.answers,
        source=given.source or (STUB_SOURCE if stubs else SandboxSettings.source),
        requests_per_second=given.requests_per_second,
        extra_accounts=given.accounts,
        mirror=given.mirror,
    )


if __name__ == "__main__":
    sys.exit(main())
