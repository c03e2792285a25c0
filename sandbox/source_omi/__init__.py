"""The local cloud's "official" Debian-12 OMI, made from this machine's own package sources and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sandbox.locks import StillHeldError, hold
from sandbox.source_omi.build import (
    DPKG_OPTIONS,
    RECIPE,
    SIZE_GIB,
    Progress,
    SourceOmiError,
    build_disk,
    remove_scratch,
)

__all__ = ["SourceDisk", "SourceOmiError", "ensure"]

LOCK_LIMIT_S = 1200.0
_SCRATCH = "making-"


@dataclass(frozen=True)
class SourceDisk:
    """A compressed qcow2 that boots by itself: size in GiB, OMI name `Debian-12-YYYY-MM-DD`, created in UTC."""

    path: Path
    size_gib: int
    name: str
    created: datetime


def ensure(cache: Path, progress: Progress = lambda line: print(f"source OMI: {line}", flush=True)) -> SourceDisk:
    """Find the source OMI in `cache`, or make it (about 40 s) and keep it there; `progress` takes lines for people.

    Raises SourceOmiError.
    """
    home = cache / "source-omi"
    folder = home / cache_key()
    try:
        found = _read(folder)
        if found is not None:
            return found
        home.mkdir(parents=True, exist_ok=True)
        with hold(home / "lock", "the source OMI", LOCK_LIMIT_S, progress):
            return _read(folder) or _make(home, folder, progress)
    except StillHeldError as error:
        raise SourceOmiError(str(error)) from error
    except OSError as error:
        raise SourceOmiError(f"{error.filename or home}: {error.strerror}") from error


def cache_key() -> str:
    """Changes with everything that decides what is in the disk, the state of the package sources excepted."""
    digest = hashlib.sha256(f"{DPKG_OPTIONS} {SIZE_GIB}".encode())
    files = (path for path in RECIPE.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"})
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(RECIPE)} {os.access(path, os.X_OK)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _make(home: Path, folder: Path, progress: Progress) -> SourceDisk:
    for left in home.glob(f"{_SCRATCH}*"):
        remove_scratch(left)
    scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=home))
    try:
        progress("making the Debian-12 OMI from this machine's package sources (about a minute)")
        begin = time.monotonic()
        done = scratch / "done"
        done.mkdir()
        build_disk(scratch, done / "disk.qcow2", progress)
        created = datetime.now(UTC)
        facts = {"created": created.isoformat(timespec="seconds"), "name": f"Debian-12-{created:%Y-%m-%d}"}
        (done / "source.json").write_text(json.dumps({**facts, "size_gib": SIZE_GIB}), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        done.rename(folder)
        progress(f"{facts['name']} is ready after {time.monotonic() - begin:.0f} s")
    finally:
        remove_scratch(scratch)
    made = _read(folder)
    if made is None:
        raise SourceOmiError(f"{folder} vanished while it was made: try again")
    return made


def _read(folder: Path) -> SourceDisk | None:
    try:
        facts = json.loads((folder / "source.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    path = folder / "disk.qcow2"
    if not path.is_file():
        return None
    return SourceDisk(path, int(facts["size_gib"]), str(facts["name"]), datetime.fromisoformat(facts["created"]))
