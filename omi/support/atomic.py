"""Replaces a file in one step, so that a reader or a crash never leaves half of it."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

_PART = ".part"
_HALF = re.compile(r"\..+\.[a-z0-9_]{8}\.part")
"""The name of such a file until it is whole (tempfile's eight characters)."""
NEW_FILE = 0o644
"""The permissions of a new file; an existing one keeps its own."""


def write_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text to a new file, flush it to the disk, and rename it to the path. Raises OSError."""
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
    """Remove halves of files that a killed process left in a folder. Nobody else may be writing there now."""
    for path in folder.glob(f".*{_PART}"):
        if _HALF.fullmatch(path.name):
            path.unlink(missing_ok=True)
