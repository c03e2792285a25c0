"""A file that a command writes for a person to go on with."""

from __future__ import annotations

from pathlib import Path

from omi.support.errors import InputError


def write_new(path: Path, text: str) -> None:
    """Write a file that isn't there yet. Raises InputError."""
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder; run this from the project's top")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InputError(f"{path}: is there already; give another name, or edit it") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; make the folder writable") from error
