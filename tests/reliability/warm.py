"""A Python that has the program's modules in memory already: commands fork from it instead of starting anew.

A start of Python and boto3 costs more processor time than all that most commands do. `warm_python` gives a program that
takes the arguments of `python3` as the project uses it (`-m omi VERB ...`), with its standard streams, environment,
folder and exit code; a command is still a process of its own. If the program that stands for it ends, so does it.
"""

from __future__ import annotations

import array
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_LOADED = (
    "omi.cli.main",
    "omi.commands.__main__",
    "omi.build.supervisor",
    "omi.outscale.sweep",
    "omi.publish.documents.write",
    "omi.publish",
)
_STREAMS = 3


@contextmanager
def warm_python(folder: Path) -> Iterator[Path]:
    """The program; its modules are those of the project in `folder` as they are now."""
    with TemporaryDirectory(prefix="omi-warm-", dir="/tmp") as short:  # a socket's path has 107 bytes at most
        yield from _serve_from(Path(short) / "socket", folder)


def _serve_from(address: Path, folder: Path) -> Iterator[Path]:
    program = folder / "warm-python"
    quoted = [f"'{each}'" for each in (sys.executable, __file__, address)]
    program.write_text(f'#!/bin/sh\nexec {quoted[0]} -I -S {quoted[1]} ask {quoted[2]} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    command = [sys.executable, __file__, "serve", str(address), str(program)]
    server = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        if server.stdout.readline() != b"ready\n":
            raise RuntimeError("the warm Python did not start")
        yield program
    finally:
        for stream in (server.stdin, server.stdout):
            stream.close()
        server.wait()


def ask(address: str, arguments: list[str]) -> int:
    """The program's part: hand everything over, and end as the command does."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        told = [arguments, str(Path.cwd()), dict(os.environ), os.getppid()]
        streams = array.array("i", range(_STREAMS))
        connection.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
        connection.sendall(json.dumps(told).encode() + b"\n")
        return int(connection.makefile().readline() or 1)


def serve(address: str, program: str) -> None:
    """The other part: a process of its own for each that asks, until standard input ends."""
    import importlib

    sys.path[0] = str(Path.cwd())  # in place of this file's folder
    for name in _LOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        while 0 not in select.select([listener.fileno(), 0], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _attend(connection, program)
            connection.close()


def _attend(connection: socket.socket, program: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, ancillary, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(_STREAMS * array.array("i").itemsize))
    streams = array.array("i")
    streams.frombytes(ancillary[0][2])
    told = json.loads(connection.makefile().readline())
    command = os.fork()
    if command == 0:
        connection.close()
        _become(told, streams, program)
    for stream in (*streams, *range(_STREAMS)):
        os.close(stream)
    handle = os.pidfd_open(command)
    ready, _, _ = select.select([handle, connection.fileno()], [], [])
    if handle not in ready:  # whoever asked has ended
        os.kill(command, signal.SIGTERM)
    status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    try:
        connection.sendall(f"{status if status >= 0 else 128 - status}\n".encode())
    finally:
        os._exit(0)


def _become(told: list[Any], streams: array.array[int], program: str) -> None:
    arguments, folder, environment, parent = told
    code = 1
    try:
        os.setsid()
        random.seed()
        for stream, given in enumerate(streams):
            os.dup2(given, stream)
            os.close(given)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        os.getppid = lambda: int(parent)  # of the process that asked; the supervisor compares it with its front
        sys.executable = program
        main = import_module(f"{arguments[1]}.__main__").main

        code = main(arguments[2:])  # those before are `-m MODULE`
        sys.stdout.flush()
        sys.stderr.flush()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        os._exit(code)


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        sys.exit(ask(sys.argv[2], sys.argv[3:]))
    serve(sys.argv[2], sys.argv[3])
