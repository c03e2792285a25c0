"""Reports a command's progress: few short lines on stderr, all lines in a log file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TextIO

from omi.support.errors import one_line

LINES = 40
"""The most lines on stderr, which becomes part of the stack's state and of the next command's environment."""
WIDTH = 190

_NARRATOR: ContextVar[Narrator | None] = ContextVar("narrator", default=None)


class Narrator:
    """Writes lines with the seconds since it was made. It goes on if nobody reads stderr any more."""

    def __init__(self, stream: TextIO, log: Path) -> None:
        self.log = log
        self._stream = stream
        self._start = time.monotonic()
        self._left = LINES - 1
        log.parent.mkdir(parents=True, exist_ok=True)

    def say(self, text: str) -> None:
        """Write one line for the person and the log."""
        line = f"{time.monotonic() - self._start:4.0f} s  {one_line(text)}"
        self.note(line)
        if self._left > 0:
            self._left -= 1
            self._write(line if self._left else f"more in {shown(self.log)}")

    def show(self, lines: Sequence[str]) -> None:
        """Write the last lines of a log, which explain a failure, even beyond the limit of lines."""
        for line in lines:
            self.note(line)
            self._write(one_line(line))

    def note(self, text: str) -> None:
        """Write any number of lines to the log alone."""
        with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8", errors="replace") as file:
            file.write(text + "\n")

    def _write(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(line[:WIDTH] + "\n")
            self._stream.flush()


def tell(text: str) -> None:
    """Write one line for a person, by the build's narrator if there is one. It goes on if nobody reads it."""
    narrator = _NARRATOR.get()
    if narrator is not None:
        narrator.say(text)
        return
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def narrated(narrator: Narrator) -> Iterator[None]:
    """Have `tell` write through this narrator meanwhile, so that its lines are in the build's log, too."""
    before = _NARRATOR.set(narrator)
    try:
        yield
    finally:
        _NARRATOR.reset(before)


def shown(path: Path) -> str:
    """A path as people read it: relative if it is below the current folder, which is the project's top."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
