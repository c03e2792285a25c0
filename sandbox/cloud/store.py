"""The state on disk: one sqlite file, read into memory at start and written through before an answer is sent."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from sandbox.cloud.model import KINDS, Resource

R = TypeVar("R", bound=Resource)
SCHEMA_VERSION = 1


class StoreError(Exception):
    """The state can't be read or written; the message names the file and the cure."""


class ResourceStore:
    """All resources by kind and id. Not safe for threads by itself: the cloud's lock guards it.

    A transaction that ends without an exception is in the file, so a killed process loses nothing that it answered
    (WAL; the operating system has the pages).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS resource"
                "(kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id))"
            )
            self._check_version()
            self._objects = self._load()
        except (OSError, sqlite3.OperationalError) as error:  # first, since nothing is wrong with the state itself
            raise StoreError(
                f"the state {path} can't be opened ({error}); is the disk full, or may it not be written there?"
            ) from error
        except (sqlite3.Error, ValueError) as error:
            raise StoreError(f"the state {path} can't be read ({error}); start anew with: reset --yes") from error
        self._changed: dict[tuple[str, str], Resource | None] = {}
        self._in_transaction = False

    def _check_version(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version not in (0, SCHEMA_VERSION):
            raise ValueError(f"it has version {version}, this program reads {SCHEMA_VERSION}")
        self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _load(self) -> dict[str, dict[str, Resource]]:
        kinds = {kind.kind: kind for kind in KINDS}
        objects: dict[str, dict[str, Resource]] = {name: {} for name in kinds}
        for name, key, body in self._db.execute("SELECT kind, id, body FROM resource ORDER BY rowid"):
            try:
                objects[name][key] = kinds[name].model_validate_json(body)
            except (KeyError, ValidationError):
                raise ValueError(f"{name} {key} is of another version of the sandbox") from None
        return objects

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes in the block are written together at its end, or none after an exception."""
        if self._in_transaction:
            yield
            return
        self._in_transaction = True
        self._changed = {}
        try:
            yield
            self._write()
        except BaseException:
            self._undo()
            raise
        finally:
            self._in_transaction = False
            self._changed = {}

    def get(self, kind: type[R], key: str) -> R | None:
        found = self._objects[kind.kind].get(key)
        return found if isinstance(found, kind) else None

    def all(self, kind: type[R]) -> list[R]:
        """Every resource of a kind, oldest first; another thread may add and remove some meanwhile."""
        return [each for each in tuple(self._objects[kind.kind].values()) if isinstance(each, kind)]

    def put(self, resource: R) -> R:
        """Add or replace; returns what was put."""
        self._remember(resource.kind, resource.id)
        self._objects[resource.kind][resource.id] = resource
        return resource

    def delete(self, resource: Resource) -> None:
        self._remember(resource.kind, resource.id)
        self._objects[resource.kind].pop(resource.id, None)

    def close(self) -> None:
        self._db.close()

    def _remember(self, kind: str, key: str) -> None:
        if not self._in_transaction:
            raise RuntimeError("a change outside of a transaction would be lost")
        self._changed.setdefault((kind, key), self._objects[kind].get(key))

    def _write(self) -> None:
        if not self._changed:
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for kind, key in self._changed:
                resource = self._objects[kind].get(key)
                if resource is None:
                    self._db.execute("DELETE FROM resource WHERE kind=? AND id=?", (kind, key))
                else:
                    self._db.execute(
                        "INSERT INTO resource(kind, id, body) VALUES (?, ?, ?)"
                        " ON CONFLICT (kind, id) DO UPDATE SET body=excluded.body",
                        (kind, key, resource.model_dump_json()),
                    )
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StoreError(f"the state {self._path} can't be written ({error}); is the disk full?") from error

    def _undo(self) -> None:
        for (kind, key), before in self._changed.items():
            if before is None:
                self._objects[kind].pop(key, None)
            else:
                self._objects[kind][key] = before
