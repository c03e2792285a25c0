"""Files that people put there: why one can't be read, and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def real_path(path: Path) -> Path:
    """The path without links; where one leads back to itself, Path.resolve fails and this gives the path of it."""
    return Path(os.path.realpath(path))


def require_file(path: Path) -> None:
    """OSError for what is there and is no file: reading a pipe would have no end."""
    if path.exists() and not path.is_file():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def why_unread(path: Path, error: OSError) -> str:
    """Why the file can't be read and what to do, in words that stand behind its name."""
    match error.errno:
        case errno.EISDIR:
            return f"is a {'folder' if path.is_dir() else 'pipe or device'}, not a file; move it away"
        case errno.ELOOP:
            return "is a link that leads back to itself; put the file itself there"
        case errno.ENOENT if path.is_symlink():
            return f"is a link to {path.readlink()}, which is not there; correct the link, or put the file itself there"
        case errno.ENOENT:
            return "is not there; put it there, or correct the name"
        case _:
            return f"cannot be read: {error.strerror or error}; make it readable"
