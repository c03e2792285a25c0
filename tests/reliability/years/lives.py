"""Two years of one stack: which calendar, from which day, by which settings."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random

from omi.config.settings import Level, Retention, Settings, SharedDays, Stages
from tests.reliability.years.calendar import Calendar
from tests.reliability.years.promises import Promises
from tests.reliability.years.weather import Weather
from tests.reliability.years.world import SETTINGS, World, write_profiles

WEEKS = 104
MADE_UP = date(2027, 1, 4)
MAX_AGE = 30
FRESH = ({"rebuild_on": "packages"}, {"rebuild_on": "security", "max_age": MAX_AGE})
"""What makes a new revision: by even seeds, and by odd ones."""
REAL = [date(2021, 2, 1) + timedelta(weeks=13 * number) for number in range(14)]
"""Mondays from which two of Alpine's years are replayed."""


def world_of(calendar: Calendar, start: date, seed: int | None, weeks: int = WEEKS) -> World:
    """A stack that begins on a day, in weather by seed, or fair."""
    versions = [branch.version for branch in calendar.on(start + timedelta(weeks=weeks))]
    weather = Weather.fair(weeks) if seed is None else Weather.drawn(seed, weeks, versions)
    with tempfile.TemporaryDirectory() as folder:
        profile = write_profiles(Path(folder) / "profiles", versions[0], FRESH[(seed or 0) % 2])
    return World(calendar, weather, start, profile, seed or 0, settings=settings_of(seed or 0))


def live(calendar: Calendar, start: date, seed: int | None, weeks: int = WEEKS) -> Promises:
    """Its weeks, and what they kept of the promises."""
    world = world_of(calendar, start, seed, weeks)
    max_age = MAX_AGE if (seed or 0) % 2 else None
    promises = Promises(world, keeps=kept_by(world.settings.retention), max_age=max_age)
    for run in world.runs():
        promises.check(run)
    return promises


def kept_by(retention: Retention) -> timedelta:
    """How much longer a replaced image may stay: each release and revision that is kept lasts 20 weeks at most."""
    keep = max(level.keep for level in (retention.revision, retention.release, retention.end_of_life) if level)
    return timedelta(weeks=20 * keep if keep > 1 else 0)


def settings_of(seed: int) -> Settings:
    """A stack's settings: of the first seeds as the documentation has them, then others, too."""
    random = Random(seed)  # noqa: S311 - the same draws by the same seed
    if seed % 3 == 0:
        return SETTINGS
    keep = random.choice((1, 2, 3, 6))
    level, end = Level(keep=keep), Level(grace_days=random.choice((0, 30, 90)), keep=random.choice((1, keep)))
    retention = Retention(revision=random.choice((level, Level())), release=level, end_of_life=end)
    if random.random() < 0.3:
        retention = retention.model_copy(
            update={"stages": Stages(shared=SharedDays(deprecated_days=7, private_days=0))}
        )
    access = random.choice((SETTINGS.access, SETTINGS.access, None))
    return SETTINGS.model_copy(update={"retention": retention, "access": access})


def years(seed: int) -> Iterator[tuple[str, Promises]]:
    """Made-up ones, and two of Alpine's own."""
    yield "made up", live(Calendar.made_up(MADE_UP), MADE_UP, seed)
    start = REAL[seed % len(REAL)]
    yield f"Alpine from {start}", live(Calendar.read(), start, seed)
