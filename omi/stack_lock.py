"""The lock that an update of Pulumi holds on its stack, taken without the engine."""

from __future__ import annotations

import getpass
import json
import os
import signal
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from omi.atomic import write_atomically
from omi.errors import StateError
from omi.stack import PROJECT, backend_url


@contextmanager
def hold_stack(stack: str) -> Iterator[bool]:
    """Hold the stack's lock as an update of Pulumi's does; yields whether that is possible.

    The locks of a backend that is no folder can't be reached from here. Raises ToolError, or StateError where an
    update holds the lock.
    """
    folder = _lock_folder(stack)
    if folder is None:
        yield False
        return
    lock = folder / f"{uuid.uuid4()}.json"
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    held_by = {"pid": os.getpid(), "username": getpass.getuser(), "hostname": socket.gethostname(), "timestamp": now}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _require_unlocked(folder, lock, stack)
        write_atomically(lock, json.dumps(held_by))
    except OSError as error:
        raise StateError(f"stack {stack!r}: its lock {lock} cannot be written: {error.strerror}") from error
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        _require_unlocked(folder, lock, stack)  # two that begin at once both see each other
        yield True
    finally:
        lock.unlink(missing_ok=True)
        for number, handler in before.items():
            signal.signal(number, handler)


def _lock_folder(stack: str) -> Path | None:
    url = backend_url()
    if not url.startswith("file://"):
        return None
    top = Path(url.removeprefix("file://").partition("?")[0]).expanduser()
    return top / ".pulumi" / "locks" / "organization" / PROJECT / stack


def _require_unlocked(folder: Path, own: Path, stack: str) -> None:
    if others := [path for path in sorted(folder.glob("*.json")) if path != own]:
        raise StateError(
            f"stack {stack!r}: an update holds {others[0]}: wait for its end; if none runs, `pulumi cancel -s {stack}`"
        )
