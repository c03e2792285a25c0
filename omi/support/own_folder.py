"""Checks that a folder which a build empties and fills has no links and can't be changed by others."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from omi.support.errors import BuildError
from omi.support.narration import shown

_ANYONE = 0o002


def require_own(folder: Path, within: int) -> None:
    """BuildError if the folder, one of the `within` folders above it or something in it is a link, or if anyone on this
    machine may write to it: then the build could remove or overwrite something else.

    The topmost of these may be a link: somebody may keep builds on another disk.
    """
    above = [folder, *folder.parents[:within]]
    for each in (*above[:-1], *_entries(folder)):
        if each.is_symlink():
            raise BuildError(
                f"{shown(each)}: is a link to {each.readlink()}, where a build would write and remove; remove the link"
            )
    for each in above:
        mode = each.stat().st_mode
        if mode & _ANYONE and not (each == above[-1] and mode & stat.S_ISVTX):
            raise BuildError(f"{shown(each)}: anyone may write to it; run `chmod o-w {shown(each)}`, then again")


def is_safe(folder: Path) -> bool:
    """Whether nobody else on this machine may write into the folder; a folder that doesn't exist yet is safe."""
    try:
        return not folder.stat().st_mode & _ANYONE
    except OSError:
        return True


def _entries(folder: Path) -> Iterator[Path]:
    for each in folder.iterdir():
        yield each
        if each.is_dir() and not each.is_symlink():
            yield from each.iterdir()
