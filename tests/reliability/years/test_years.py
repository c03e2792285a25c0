"""Two simulated years keep every promise, whatever goes wrong; `make soak` goes on by seed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from omi.config.settings import Level, Retention
from omi.profile.model import Access
from tests.reliability.years.calendar import Calendar
from tests.reliability.years.lives import MADE_UP, REAL, live, world_of
from tests.reliability.years.promises import Promises
from tests.reliability.years.weather import Week
from tests.reliability.years.world import World


@pytest.mark.parametrize("seed", [None, 1, 3])
def test_made_up_years_keep_every_promise(seed: int | None) -> None:
    found = live(Calendar.made_up(MADE_UP), MADE_UP, seed)
    assert found.broken == []
    assert found.refused == []
    assert found.stopped == []


@pytest.mark.parametrize(("start", "seed"), [(REAL[0], None), (REAL[-1], 6)])
def test_years_of_alpines_own_calendar_keep_every_promise(start: date, seed: int | None) -> None:
    found = live(Calendar.read(), start, seed)
    assert found.broken == []
    assert found.refused == []


def test_in_fair_weather_no_release_is_older_than_a_week_when_its_image_is_there() -> None:
    assert live(Calendar.read(), REAL[3], None).days_behind == 0


def test_a_branch_of_which_many_images_are_kept_ends_without_a_hand() -> None:
    world = world_of(Calendar.made_up(MADE_UP), MADE_UP, None, 60)
    many = Retention(revision=Level(keep=3), release=Level(keep=3), end_of_life=Level(grace_days=30))
    world.settings = world.settings.model_copy(update={"retention": many})
    promises = Promises(world, keeps=timedelta(weeks=60))
    for run in world.runs():
        promises.check(run)
    assert promises.broken == []
    assert promises.refused == []


@pytest.mark.parametrize("profile_recorded", [True, False])
def test_a_branch_whose_longer_support_is_taken_back_for_a_week_loses_nothing(
    profile_recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its images bear the first day, which is over by then: nothing was released since it was extended."""
    if not profile_recorded:
        monkeypatch.setattr(World, "_record", lambda *_: None)
    branches = dict(Calendar.made_up(MADE_UP).branches)
    line, extended, first_end = branches["3.31"], MADE_UP + timedelta(weeks=6), MADE_UP + timedelta(weeks=15)
    releases = {name: day for name, day in line.releases.items() if day < extended}
    branches["3.31"] = replace(line, releases=releases, first_end=first_end, extended=extended)
    world = world_of(Calendar(branches), MADE_UP, None, 60)
    weeks = [Week(taken_back="3.31" if number == 20 else None) for number in range(60)]
    world.weather = replace(world.weather, weeks=tuple(weeks))
    at_once = world.settings.retention.model_copy(update={"end_of_life": Level()})
    world.settings = world.settings.model_copy(update={"access": None, "retention": at_once})
    promises = Promises(world)
    for run in world.runs():
        promises.check(run)
        held = {image.version for image in world.ledger.values()}
        recorded = {image.spec.end_of_life for image in world.ledger.values() if image.version == "3.31"}
        if run.number in (19, 20, 21):
            assert ("3.31" in held, recorded) == (True, {first_end}), run
    assert promises.broken == []
    assert promises.refused == []
    assert "3.31" not in held, "it goes after its real end"


def test_a_branch_that_is_signed_by_another_key_waits_for_a_person_and_holds_no_other_up() -> None:
    world = world_of(Calendar.made_up(MADE_UP), MADE_UP, None, 40)
    world.weather = replace(world.weather, unsigned=("3.35", range(25, 33)))
    promises = Promises(world)
    for run in world.runs():
        promises.check(run)
    assert promises.broken == []
    assert [int(line.split()[1].rstrip(":")) for line in promises.refused] == list(range(25, 33))
    assert all("v3_35-x86_64: Alpine has deprecated every key" in line for line in promises.refused)


def test_an_image_that_is_older_than_its_limit_is_noticed() -> None:
    world = world_of(Calendar.made_up(MADE_UP), MADE_UP, None, 3)
    promises = Promises(world, max_age=6)
    for run in world.runs():
        promises.check(run)
    assert "week 2 (2027-01-18): alpine-3.34.0-x86_64-r1 is 7 days old" in promises.broken


def test_the_same_seed_makes_the_same_years() -> None:
    assert str(live(Calendar.read(), REAL[1], 5, weeks=30)) == str(live(Calendar.read(), REAL[1], 5, weeks=30))


def test_what_is_lost_left_or_withdrawn_too_soon_is_noticed() -> None:
    world = world_of(Calendar.made_up(MADE_UP), MADE_UP, None, 6)
    promises = Promises(world)
    for run in world.runs():
        newest = promises.newest()
        if run.number == 4:
            lost, private = (world.account[newest[build].record.omi] for build in ("v3_33-x86_64", "v3_34-x86_64"))
            del world.account[lost.omi]
            world.account[private.omi] = replace(private, access=Access())
            world.account["ami-1"] = replace(lost, omi="ami-1", name="alpine-3.33.99-x86_64-r0")
            world.left.add("alpine-edge-20270101-x86_64-r0")
        promises.check(run)
    said = " ".join(promises.broken)
    assert f"lost: {lost.name} is gone, and nothing replaces it" in said
    assert f"private too soon: {private.name}" in said
    assert "left: alpine-3.33.99-x86_64-r0, verified and in no state" in said
    assert "left: a VM or keypair of alpine-edge-20270101-x86_64-r0" in said


def test_a_wrong_end_of_life_that_was_announced_once_loses_nothing_in_weeks_without_an_answer() -> None:
    world = world_of(Calendar.made_up(MADE_UP), MADE_UP, None, 30)
    silent = dict.fromkeys(range(21, 26), Week(away=True))
    weeks = {20: Week(wrong_end="3.32"), **silent}
    world.weather = replace(world.weather, weeks=tuple(weeks.get(number, Week()) for number in range(30)))
    at_once = world.settings.retention.model_copy(update={"end_of_life": Level()})
    world.settings = world.settings.model_copy(update={"access": None, "retention": at_once})
    promises = Promises(world)
    for run in world.runs():
        promises.check(run)
        if run.number >= 20:
            assert "3.32" in {image.version for image in world.ledger.values()}
    assert promises.broken == []
