"""Replacing a file in one step, so that a reader or a crash never meets half of it."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

_PART = ".part"
_HALF = re.compile(r"\..+\.[a-z0-9_]{8}\.part")
"""The name of such a file until it is whole (tempfile's eight characters)."""
NEW_FILE = 0o644
"""Permissions of a file that wasn't there before; one that was keeps its own."""


def write_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text beside the file, to the disk, and put it in the file's place. Raises OSError."""
    mode = path.stat().st_mode & 0o777 if path.exists() else NEW_FILE
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PART)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_halves(folder: Path) -> None:
    """Remove what a process that was killed while it wrote left in a folder; nobody else may be writing there now."""
    for path in folder.glob(f".*{_PART}"):
        if _HALF.fullmatch(path.name):
            path.unlink(missing_ok=True)
