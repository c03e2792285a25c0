"""Takes or reads the lock that an update of Pulumi holds on its stack, without the engine."""

from __future__ import annotations

import getpass
import json
import os
import signal
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from omi.config.settings import Endpoints, Settings
from omi.config.stack import PROJECT, backend_url
from omi.outscale.credentials import find_credentials
from omi.outscale.oos import ObjectStore
from omi.support.atomic import write_atomically
from omi.support.errors import StateError
from omi.support.places import below_home

LOCKS = f".pulumi/locks/organization/{PROJECT}"
"""The path in Pulumi's own backends with a folder of locks for each stack."""


@contextmanager
def hold_stack(stack: str) -> Iterator[bool]:
    """Hold the stack's lock as an update of Pulumi does; yields whether that is possible.

    If the backend is not a folder, the lock is at most read. Raises ToolError, CredentialsError or CloudError, or
    StateError if an update holds the lock.
    """
    backend = backend_url()
    folder = _folder_of(backend, stack)
    if folder is None:
        _refuse(holders(backend, stack, os.environ), stack)
        yield False
        return
    lock = folder / f"{uuid.uuid4()}.json"
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    content = {"pid": os.getpid(), "username": _user(), "hostname": socket.gethostname(), "timestamp": now}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _require_unlocked(folder, lock, stack)
        write_atomically(lock, json.dumps(content))
    except OSError as error:
        cure = "make room or correct the folder's owner"
        raise StateError(f"stack {stack!r}: its lock {lock} cannot be written: {error.strerror}; {cure}") from error
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        _require_unlocked(folder, lock, stack)  # two that begin at the same time both see each other
        yield True
    finally:
        lock.unlink(missing_ok=True)
        for number, handler in before.items():
            signal.signal(number, handler)


def _user() -> str:
    """The name of the user, or the number of one that this machine has no name for."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def holders(backend: str, stack: str, environ: Mapping[str, str]) -> list[str] | None:
    """The holders of the stack's lock, in words; None if the backend (a URL) can't show them.

    Raises CredentialsError or CloudError if the backend can, but doesn't answer.
    """
    if (folder := _folder_of(backend, stack)) is not None:
        return [_holder(path.name, path.read_bytes) for path in sorted(folder.glob("*.json"))]
    if not backend.startswith("s3://"):
        return None
    parts = urlsplit(backend)
    given = {name: values[0] for name, values in parse_qs(parts.query).items()}
    region = given.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    endpoint = given.get("endpoint") or f"https://s3.{region}.amazonaws.com"
    cloud = Endpoints(api=endpoint, oos=endpoint, ca_file=environ.get("AWS_CA_BUNDLE"))
    access = Settings(region=region, cloud=cloud).cloud_access()
    store = ObjectStore(access, find_credentials(access, {}))
    place = f"{parts.path.strip('/')}/{LOCKS}/{stack}/".lstrip("/")
    keys = [key for key in store.keys(parts.netloc) if key.startswith(place)]
    return [_holder(key, partial(store.get, parts.netloc, key)) for key in keys]


def _holder(name: str, read: Callable[[], bytes]) -> str:
    try:
        held = json.loads(read())
        return f"{held['username']} on {held['hostname']} (process {held['pid']}, since {held['timestamp']})"
    except (OSError, ValueError, KeyError, TypeError):
        return name


def _folder_of(backend: str, stack: str) -> Path | None:
    """The folder of a stack's locks; None if the backend is not a folder."""
    if not backend.startswith("file://"):
        return None
    written = backend.removeprefix("file://").partition("?")[0]
    return below_home(written, "write the folder in PULUMI_BACKEND_URL from / on") / LOCKS / stack


def _require_unlocked(folder: Path, own: Path, stack: str) -> None:
    others = [path for path in sorted(folder.glob("*.json")) if path != own]
    _refuse([_holder(str(path), path.read_bytes) for path in others], stack)


def _refuse(found: Sequence[str] | None, stack: str) -> None:
    if found:
        raise StateError(f"stack {stack!r}: {held_by(found[0], stack)}")


def held_by(holder: str, stack: str) -> str:
    """The error for a locked stack, with its cure."""
    cure = f"wait for the end of that update; if none runs any more, `pulumi cancel -s {stack}`"
    return f"currently locked by {holder}: {cure}"
