"""The digest of everything that decides an image's content: when it changes, the next revision is built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omi.profile.content import content
from omi.profile.model import Target
from omi.support.errors import InputError
from omi.support.reading import why_unread

_FORMAT = 1


def image_digest(build: Target, release: str, files: Mapping[str, Any]) -> str:
    """`sha256:` and 64 hex digits over the build's content, the release, and the `common_files`.

    It doesn't depend on how the profile's YAML is written (comments, key order, white space), or on the names of
    profile, build and image.
    """
    return digest_of({"format": _FORMAT, "release": release, "content": content(build), **files})


def common_files(guest_dir: Path, template: Path) -> dict[str, Any]:
    """The files that all images share, the guest's and the Packer template, each by its content and mode.

    Raises InputError naming the file that can't be read.
    """
    guest = {path.relative_to(guest_dir).as_posix(): _mark(path) for path in _guest_files(guest_dir)}
    return {"guest": guest, "template": _mark(template)}


def digest_of(value: dict[str, Any]) -> str:
    """`sha256:` and 64 hex digits over a JSON-able value; the order of its keys doesn't matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode("ascii")).hexdigest()


def _guest_files(guest_dir: Path) -> list[Path]:
    """The guest's files, sorted, without documentation and without leftovers of editors and Python."""
    if not guest_dir.is_dir():
        raise InputError(f"{guest_dir}: no such folder; run this from the project's top")
    return sorted(path for path in guest_dir.rglob("*") if path.is_file() and _counts(path.relative_to(guest_dir)))


def _counts(path: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return not hidden and path.suffix != ".md" and not path.name.endswith("~")


def _mark(path: Path) -> dict[str, Any]:
    try:
        executable = bool(path.stat().st_mode & 0o100)
        return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "executable": executable}
    except OSError as error:
        raise InputError(f"{path}: {why_unread(path, error)}") from error
