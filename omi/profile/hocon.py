"""Reads target profiles of the old tool: HOCON, with includes that have no suffix."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyhocon import ConfigFactory, ConfigTree
from pyhocon.exceptions import ConfigException
from pyparsing import ParseBaseException

from omi.support.errors import InputError, one_line
from omi.support.reading import real_path, why_unread

_INCLUDE = re.compile(r"""include\s+(?:required\s*\(\s*)?(?:file\s*\(\s*)?["']([^"']+)["']""")
_FETCHED = re.compile(r"include\s+(?:required\s*\(\s*)?(url|package)\s*\(")
_BUILDS = re.compile(r"^\s*BUILDS\b", re.MULTILINE)
_LARGEST = 1_000_000
"""The most bytes of one file; the old tool's have a few thousand."""


@dataclass(frozen=True)
class OldBuild:
    """One entry of BUILDS with all of its includes and substitutions resolved."""

    name: str
    values: Mapping[str, Any]
    version_values: Mapping[str, Any]
    """The values of `version/VERSION` alone; empty if there is no such file."""


@dataclass(frozen=True)
class OldProfile:
    """One `NAME.conf` of the old tool."""

    name: str
    builds: tuple[OldBuild, ...]
    missing: tuple[str, ...]
    """Included files that aren't there, relative to the folder of profiles."""


def is_target(path: Path) -> bool:
    """Whether a file is a target profile, by its map BUILDS. Raises InputError if it can't be read."""
    return _BUILDS.search(_read(path)) is not None


def read_old_profile(path: Path) -> OldProfile:
    """Read the target profile in `path`, a `NAME.conf`; InputError names the file and the problem."""
    with tempfile.TemporaryDirectory(prefix="old-profiles-") as folder:
        copy = Path(folder) / path.name
        missing = tuple(sorted(set(_copy(path, copy, real_path(path.parent), Path(folder)))))
        whole = _parse(copy, path)
        builds = whole.get("BUILDS")
        if not isinstance(builds, dict) or not builds:
            raise InputError(f"{path}: has no BUILDS; give a target profile of the old tool")
        found = []
        for name, values in builds.items():
            if not isinstance(values, dict):
                raise InputError(f"{path}: BUILDS.{name} is not a map")
            version = Path(folder) / "version" / str(values.get("version"))
            own = _parse(version, path.parent / "version" / version.name) if version.is_file() else {}
            found.append(OldBuild(name, values, own))
    return OldProfile(path.stem, tuple(found), missing)


def _copy(path: Path, copy: Path, root: Path, folder: Path) -> Iterator[str]:
    """Copy a file and its includes. A missing include becomes an empty file and is yielded."""
    if copy.exists():
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    text = _read(path)
    if found := _FETCHED.search(text):
        raise InputError(f"{path}: `include {found[1]}(…)` is not read; write it as a file beside the others")
    shutil.copyfile(path, copy)
    for name in _INCLUDE.findall(text):
        included = real_path(path.parent / name)
        if not included.is_relative_to(root):
            raise InputError(f"{path}: include {name!r} leads out of {root}")
        target = folder / included.relative_to(root)
        if included.is_file():
            yield from _copy(included, target, root, folder)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
            yield included.relative_to(root).as_posix()


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: is larger than {_LARGEST} bytes, so no profile")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path}: {why_unread(path, error)}") from error


def _parse(path: Path, shown: Path) -> dict[str, Any]:
    try:
        tree = ConfigFactory.parse_file(str(path))
        plain = tree.as_plain_ordered_dict() if isinstance(tree, ConfigTree) else None
    except ParseBaseException as error:
        raise InputError(f"{shown}: is not HOCON: line {error.lineno}: {one_line(error.line, 100)}") from error
    except (ConfigException, RecursionError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{shown}: is not HOCON that can be resolved: {one_line(str(error), 300)}") from error
    if plain is None:
        raise InputError(f"{shown}: is not a map of HOCON")
    return dict(plain)
