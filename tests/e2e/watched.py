"""Looks for secrets in the processes of a run while it is under way, and in the files that it leaves."""

from __future__ import annotations

import base64
import os
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, quote_plus

_EVERY = 0.05
"""Seconds between two looks at the processes: what lives shorter may be missed."""


def forms(secret: str) -> set[bytes]:
    """A secret as it may be written: plain, escaped, URL-quoted, in hex, and in base64 wherever it begins."""
    data = secret.encode()
    found = {secret, repr(secret)[1:-1], quote(secret), quote(secret, safe=""), quote_plus(secret), data.hex()}
    for before in range(3):
        packed = base64.b64encode(b"\0" * before + data)
        inner = packed[4 if before else 0 : -4].decode()  # the characters that what stands around it can't change
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {each.encode() for each in found}


class Sought:
    """Secrets, in all their forms."""

    def __init__(self, secrets: Iterable[str]) -> None:
        every = {form for secret in secrets for form in forms(secret)}
        self._pattern = re.compile(b"|".join(map(re.escape, sorted(every, key=len, reverse=True))))

    def is_in(self, data: bytes) -> bool:
        return self._pattern.search(data) is not None

    def files(self, folder: Path, spare: set[Path]) -> Iterator[Path]:
        """Files below `folder` but those to `spare` that hold one, or have one in their names; no link is followed."""
        for top, folders, files in os.walk(folder):
            for path in (Path(top) / name for name in (*folders, *files)):
                read = path not in spare and path.is_file() and not path.is_symlink()
                if self.is_in(os.fsencode(path)) or (read and self.is_in(path.read_bytes())):
                    yield path


class Watcher:
    """While it is entered: reads arguments and environments of all processes, and the private keys of builds."""

    def __init__(self, sought: Sought, project: Path) -> None:
        self.leaks: set[str] = set()
        """Command lines with a secret in them."""
        self.holders: set[str] = set()
        """Programs at work in the project that have a secret in their environment."""
        self.programs: set[str] = set()
        """Those that were seen at work in the project."""
        self.keys: dict[str, tuple[int, str]] = {}
        """Mode and text of the private keys that were seen, by name."""
        self._sought, self._project = sought, project
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(_EVERY):
            for process in Path("/proc").iterdir():
                if process.name.isdecimal():
                    self._look(process)
            for key in private_keys(self._project):
                try:
                    mode, text = key.stat().st_mode & 0o777, key.read_text(encoding="ascii")
                except OSError:
                    continue  # gone by now
                if text.endswith("-----END OPENSSH PRIVATE KEY-----\n"):
                    self.keys[key.name] = (mode, text)

    def _look(self, process: Path) -> None:
        try:
            arguments = (process / "cmdline").read_bytes()
            if self._sought.is_in(arguments):
                self.leaks.add(arguments.replace(b"\0", b" ").decode("utf-8", "replace"))
            if (process / "cwd").readlink().is_relative_to(self._project):
                program = os.fsdecode(arguments.partition(b"\0")[0].rpartition(b"/")[2])
                self.programs.add(program)
                if self._sought.is_in((process / "environ").read_bytes()):
                    self.holders.add(program)
        except OSError:
            return  # it has ended, or is another user's


def private_keys(project: Path) -> list[Path]:
    """Those of builds and verifies that lie in the project now."""
    # not by rglob, which raises where a folder goes while it looks
    files = (Path(top) / name for top, _, names in os.walk(project / "build") for name in names)
    return [path for path in files if re.fullmatch("alpine-omi-.*-(build|verify)", path.name)]
