"""Which branches and releases there are on which day: Alpine's own, or made up; more can be replayed from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import yaml

from omi.upstream.model import Branch

ALPINE = Path(__file__).with_name("alpine.yaml")
ARCH = "x86_64"


@dataclass(frozen=True)
class Line:
    """A branch: its last day of support, and the day of each of its releases."""

    end_of_life: date
    releases: Mapping[str, date]
    first_end: date | None = None
    """The last day as it was announced until `extended`."""
    extended: date | None = None

    def end_on(self, day: date) -> date:
        """The last day of support as it is announced on a day."""
        is_first = self.extended is not None and day < self.extended
        return self.first_end if is_first and self.first_end is not None else self.end_of_life


@dataclass(frozen=True)
class Calendar:
    """All branches, by version."""

    branches: Mapping[str, Line]

    @classmethod
    def read(cls, path: Path = ALPINE) -> Calendar:
        """The calendar of a file like alpine.yaml."""
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return cls({version: Line(each["end_of_life"], each["releases"]) for version, each in content.items()})

    @classmethod
    def made_up(cls, start: date) -> Calendar:
        """Five branches on the first day, a new one every half year, and a release of all every six weeks."""
        lines = {}
        for number in range(9):
            begins = start + timedelta(weeks=26 * (number - 4) - 1)
            ends = begins + timedelta(weeks=114)
            days = [begins + timedelta(weeks=6 * count) for count in range(19)]
            version = f"3.{30 + number}"
            lines[version] = Line(ends, {f"{version}.{count}": day for count, day in enumerate(days)})
        return cls(lines)

    def on(self, day: date) -> tuple[Branch, ...]:
        """The branches that have a release by this day, as releases.json has them."""
        return tuple(
            Branch(version, released, line.end_on(day), (ARCH,))
            for version, line in self.branches.items()
            if (released := tuple(name for name, since in line.releases.items() if since <= day))
        )
