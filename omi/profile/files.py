"""Reads the files that a profile's layers name: setup scripts and their files, checks, and signing keys."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from omi.profile.model import SetupFile
from omi.profile.problems import Problems
from omi.profile.signing import read_public_key
from omi.profile.tree import Place, Tree
from omi.support.errors import ProfileError
from omi.support.reading import real_path, require_file, why_unread

_LARGEST = 64 * 1024 * 1024
"""The most bytes of a file, or of a folder's files: they are uploaded to each build VM."""
_MOST_FILES = 500
"""The most files of a folder: state holds the digest of each."""
_NAME = re.compile(r"[A-Za-z0-9_.+-]+")
_COMMAND = re.compile(rb"^[^\S\n]*[^\s#]", re.MULTILINE)
"""Matches the first character of a script's line that is neither empty nor a comment."""

_Error = Callable[[str], ProfileError]
"""Makes the error of a problem."""


class Files:
    """The files read so far, and the problems with them."""

    def __init__(self, root: Path, problems: Problems) -> None:
        self.root = root
        self.problems = problems
        self.setup: dict[str, SetupFile] = {}
        self.keys: dict[str, str] = {}

    def taken(self, layer: Tree) -> Tree:
        """Read the layer's files. Returns the layer with paths relative to the root, without missing files."""
        values = dict(layer.values)
        if "setup_script" in values:
            script = values.pop("setup_script")
            with self.problems.collected():
                values["setup_script"] = self._anchored(script, layer.place("setup_script"), "setup_script")
        for key, read in (("keys", self._key), ("setup_copy", self._anchored), ("tests", self._test)):
            if isinstance(values.get(key), dict):
                values[key] = {}
                for name, value in layer.entries(key).items():
                    with self.problems.collected():
                        values[key][name] = read(value, layer.place(key, name), key, name)
        return replace(layer, values=values)

    def _anchored(self, value: Any, place: Place, *path: str) -> Any:
        if not isinstance(value, str):
            return value
        folder, error = Path(place.file).parent, partial(place.error, ".".join(path))
        file = folder / value
        if not real_path(file).is_relative_to(real_path(folder)):
            raise error(f"{value} leads out of {folder}; put the file itself there")
        if path[0] == "setup_copy" and file.is_dir():
            self._take_folder(file, error)
        else:
            self._take(file, error)
        return file.relative_to(self.root).as_posix()

    def _test(self, value: Any, place: Place, *path: str) -> Any:
        """Read a test. One without a command is refused, since it would always pass."""
        taken = self._anchored(value, place, *path)
        if isinstance(taken, str) and not _COMMAND.search((file := self.root / taken).read_bytes()):
            raise place.error(".".join(path), f"{file} holds no command, so it would always pass; write one into it")
        return taken

    def _take_folder(self, folder: Path, error: _Error) -> None:
        left, count = _LARGEST, 0
        for count, file in enumerate(_files_below(folder, error), 1):
            if count > _MOST_FILES:
                raise error(f"{folder} holds more than {_MOST_FILES} files; pack them into one, or into a package")
            left -= self._take(file, error)
            if left < 0:
                raise error(f"{folder} holds more than {_LARGEST >> 20} MiB; put what is large into a package")
        if not count:
            raise error(f"{folder} holds no file; put one there, or name another folder")

    def _take(self, file: Path, error: _Error) -> int:
        """Take a file; returns its size in bytes."""
        try:
            require_file(file)
            with file.open("rb") as opened:
                content = opened.read(_LARGEST + 1)
        except OSError as failed:
            raise error(f"{file} {why_unread(file, failed)}") from failed
        if len(content) > _LARGEST:
            raise error(f"{file} is larger than {_LARGEST >> 20} MiB; put what is large into a package")
        sha256, executable = hashlib.sha256(content).hexdigest(), bool(file.stat().st_mode & 0o100)
        self.setup[file.relative_to(self.root).as_posix()] = SetupFile(sha256=sha256, executable=executable)
        return len(content)

    def _key(self, value: Any, place: Place, key: str, name: str) -> Any:
        file = self.root / "keys" / name
        try:
            if value is True:
                self.keys[name] = read_public_key(file)
        except OSError as error:
            raise place.error(f"{key}.{name}", f"{file} {why_unread(file, error)}") from error
        except ValueError as error:
            raise place.error(f"{key}.{name}", f"{file} {error}") from error
        return value


def _files_below(folder: Path, error: _Error) -> Iterator[Path]:
    """All files of a folder in a fixed order; links and odd names are refused."""

    def refuse(failed: OSError) -> None:
        raise error(f"{failed.filename} {why_unread(Path(failed.filename), failed)}") from failed

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted((*folders, *names)):
            path = Path(where, name)
            if path.is_symlink():
                raise error(f"{path} is a link; put the file itself there")
            if not _NAME.fullmatch(name):
                raise error(f"{str(path)!r}: allowed in a name are letters, digits, _ . + -; rename it")
            if name in names:
                yield path
