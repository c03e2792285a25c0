"""Child processes that end with this process, kill -9 included.

The kernel's parent-death signal follows the *thread* that made the child, so every child is made by one thread that
lives as long as the process. `setpriv` sets the signal between fork and exec, where Python code could deadlock.
"""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from sandbox.environment import plain
from sandbox.machines.protocol import MachineError

_Work = tuple[tuple[str, ...], Path, tuple[int, ...], "Future[subprocess.Popen[bytes]]"]
_lock = threading.Lock()
_work: queue.SimpleQueue[_Work] | None = None


def start(command: Sequence[str], log: Path, pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start a program that dies with this process; its output is appended to `log`.

    It leads a process group of its own, so that a Ctrl-C at the terminal is not its.
    """
    done: Future[subprocess.Popen[bytes]] = Future()
    _queue().put((tuple(command), log, tuple(pass_fds), done))
    try:
        return done.result()
    except FileNotFoundError as error:
        raise MachineError(f"{error.filename} is missing: apt-get install util-linux") from None
    except OSError as error:
        raise MachineError(f"{command[0]} could not be started: {error.strerror}") from error


def _queue() -> queue.SimpleQueue[_Work]:
    global _work  # noqa: PLW0603 - one thread for the life of the process is the point
    with _lock:
        if _work is None:
            _work = queue.SimpleQueue()
            threading.Thread(target=_serve, args=(_work,), name="child-starter", daemon=True).start()
        return _work


def _serve(work: queue.SimpleQueue[_Work]) -> None:
    while True:
        command, log, pass_fds, done = work.get()
        try:
            done.set_result(_spawn(command, log, pass_fds))
        except OSError as error:
            done.set_exception(error)


def _spawn(command: tuple[str, ...], log: Path, pass_fds: tuple[int, ...]) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=plain(),
            pass_fds=pass_fds,
            start_new_session=True,
        )
