"""What goes wrong in which week, drawn by a seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from random import Random


class Kill(StrEnum):
    """How far a build was when its run was killed."""

    BEFORE = "before the image"
    """VM, volume, keypair and group are left."""
    HALF = "with half an image"
    """These, and an image without tags."""
    DONE = "with the image verified"
    """Nothing but the record is missing."""


@dataclass(frozen=True)
class Week:
    """One week's trouble; nothing by default."""

    lag: int = 0
    """Weeks that the mirror is behind."""
    away: bool = False
    """Neither site nor mirror answers."""
    is_fresh: bool = False
    """The runner has no answers of earlier runs."""
    broken_index: bool = False
    """The package indexes can't be had."""
    wrong_end: str | None = None
    """A version whose end of life is said to be a year earlier."""
    taken_back: str | None = None
    """A version whose end of life is said to be as it was announced first."""
    busy: float = 0.0
    """The share of builds and updates that fail; 1 where a quota is used up."""
    leaves: float = 0.0
    """The share of failed builds that can't clean up after themselves."""
    killed_at: float | None = None
    """The share of the run's steps after which its runner is lost."""
    kill: Kill = Kill.BEFORE
    fixes: bool = False
    """A package of all branches gets a fix this week."""
    idle: bool = False
    """The CI doesn't run."""

    @property
    def is_good(self) -> bool:
        """Whether a run of this week can do all that is wanted."""
        trouble = self.lag or self.away or self.broken_index or self.busy or self.killed_at is not None
        return not trouble and not self.idle and self.wrong_end is None and self.taken_back is None


@dataclass(frozen=True)
class Weather:
    """All weeks, and the key that upstream gives up for a while."""

    weeks: tuple[Week, ...]
    key_gone: range
    """Weeks in which one of the three signing keys is deprecated; after the last, upstream takes that back."""

    unsigned: tuple[str, range] = ("", range(0))
    """A version, and the weeks in which upstream signs it by none of the profile's keys: then a person adds its key."""

    def lacks_key(self, version: str, number: int) -> bool:
        """Whether nothing of the version can be trusted in a week."""
        return version == self.unsigned[0] and number in self.unsigned[1]

    @classmethod
    def drawn(cls, seed: int, weeks: int, versions: list[str]) -> Weather:
        """Trouble in one week of three, but for the first."""
        random = Random(seed)  # noqa: S311 - the same draws by the same seed
        begins = random.randrange(10, weeks // 2)
        drawn = (_week(random, versions) for _ in range(weeks - 1))
        return cls((Week(), *drawn), range(begins, begins + random.randrange(4, weeks // 3)))

    @classmethod
    def fair(cls, weeks: int) -> Weather:
        """None at all; a fix every other week."""
        return cls(tuple(Week(fixes=bool(number % 2)) for number in range(weeks)), range(0))


def _week(random: Random, versions: list[str]) -> Week:
    fixes = random.random() < 0.6
    if random.random() < 0.65:
        return Week(fixes=fixes)
    trouble = random.choice(["lag", "away", "fresh", "index", "end", "busy", "quota", "killed", "killed", "idle"])
    match trouble:
        case "lag":
            return Week(fixes=fixes, lag=random.randint(1, 3))
        case "away" | "fresh":
            return Week(fixes=fixes, away=True, is_fresh=trouble == "fresh")
        case "index":
            return Week(fixes=fixes, broken_index=True)
        case "end":
            return Week(fixes=fixes, wrong_end=random.choice(versions))
        case "busy":
            return Week(fixes=fixes, busy=random.uniform(0.2, 0.8), leaves=random.choice((0.0, 0.3)))
        case "quota":
            return Week(fixes=fixes, busy=1.0)
        case "idle":
            return Week(fixes=fixes, idle=True)
        case _:
            return Week(fixes=fixes, killed_at=random.random(), kill=random.choice(list(Kill)))


A_WEEK = timedelta(weeks=1)
