"""All problems of a profile; an error shows the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from omi.support.errors import ProfileError


@dataclass
class Problems:
    """The problems' lines, each once, in the order in which they were found."""

    lines: list[str] = field(default_factory=list)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Collect the problems of an error in the block, and go on."""
        try:
            yield
        except ProfileError as error:
            self.lines += error.problems

    def add(self, errors: Iterable[ProfileError]) -> None:
        """Add the problems of all these errors."""
        for error in errors:
            self.lines += error.problems

    def refuse(self) -> None:
        """Raise ProfileError if there are any."""
        if self.lines:
            raise ProfileError(*dict.fromkeys(self.lines))
