"""The home folder of one sandbox, and the server that runs from it. Every command imports this, so it is light."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.config import SandboxSettings


class ServerError(Exception):
    """The server can't run; the message is one line and names the thing and the cure."""


def running_pid(settings: SandboxSettings) -> int | None:
    """The pid of the server that holds this home, if any."""
    try:
        with settings.lock_file.open("r+") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = stream.read().strip()
                return int(text) if text.isdecimal() else 0
    except FileNotFoundError:
        return None
    return None


def only_one_kind(settings: SandboxSettings) -> None:
    """Note the machine driver that makes this home's disks; ServerError if another one made them."""
    known = settings.machines_file.read_text(errors="replace").strip() if settings.machines_file.exists() else None
    if known not in (None, settings.machines):
        raise ServerError(
            f"the disks in {settings.home} were made by {known}, and {settings.machines} can't read them;"
            " give --machines as before, another --home, or delete them with: python -m sandbox reset"
        )
    settings.machines_file.write_text(settings.machines + "\n")


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the home's lock; the file names this process while it does. (filelock empties the file that it locks.)"""
    with path.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServerError(f"another sandbox already runs from {path.parent}") from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
        stream.truncate(0)
