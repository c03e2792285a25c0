"""All problems of a profile; an error shows the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from omi.support.errors import ProfileError


@dataclass
class Problems:
    """Lines about what is wrong, each once, in the order in which they were found."""

    lines: list[str] = field(default_factory=list)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Take the problems of an error in it, and go on."""
        try:
            yield
        except ProfileError as error:
            self.lines += error.problems

    def add(self, errors: Iterable[ProfileError]) -> None:
        """Take the problems of all of them."""
        for error in errors:
            self.lines += error.problems

    def refuse(self) -> None:
        """Raise ProfileError if there are any."""
        if self.lines:
            raise ProfileError(*dict.fromkeys(self.lines))
