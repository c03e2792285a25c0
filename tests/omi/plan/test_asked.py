"""Runs that a person asks for: they do that alone, and nothing else stops them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from omi.config.one_off import OneOff
from omi.config.settings import Level, Retention
from omi.plan import Action
from omi.support.errors import ProfileError
from tests.omi.plan.make import (
    TODAY,
    build,
    held,
    ledger,
    plan_of,
    step_of,
    upstream,
)
from tests.omi.plan.stacks import LATEST, PUBLIC, UP6, V23, stack

pytestmark = pytest.mark.usefixtures("varied_by_user")


@pytest.mark.parametrize("action", ["build", "prune"])
def test_a_one_off_run_is_not_stopped_by_a_build_that_it_is_not_about(action: Any) -> None:
    first, second = build("a"), build("b")
    survey = {"untrusted": {"b": "no trusted key has signed its index"}}
    run = OneOff(action=action, builds=("a",))
    plan = stack([first, second], held(first, "3.23.6"), survey=survey, one_off=run)
    assert not plan.of(Action.BUILD)


def test_a_prune_that_is_asked_for_needs_no_stages_and_no_consent() -> None:
    old, new = held(PUBLIC, "3.23.5"), held(PUBLIC, "3.23.6")
    for one_off, action in ((None, Action.KEEP), (OneOff(action="prune", builds=("v3_23",)), Action.PRUNE)):
        plan = stack([PUBLIC], old, new, retention=Retention(release=Level()), one_off=one_off)
        assert step_of(plan, old.name).action is action


def test_a_one_off_run_has_the_surveys_warnings_but_none_of_settings_that_others_need() -> None:
    settings: dict[str, Any] = {"retention": Retention(protect=("nobody",)), "again": {"none": 1}}
    survey = {"warnings": ("a key is withdrawn",)}
    plan = stack([V23], held(V23, "3.23.6"), survey=survey, **settings)
    told = [warning.partition(",")[0] for warning in plan.warnings]
    assert told == ["a key is withdrawn", "retention.protect names nobody", "again names none"]
    once = stack([V23], held(V23, "3.23.6"), survey=survey, one_off=OneOff(action="build"), **settings)
    assert once.warnings == ("a key is withdrawn",)


@pytest.mark.parametrize("builds", [("a",), ()])
def test_who_asks_for_a_build_that_no_trusted_key_has_signed_is_told_at_once(builds: tuple[str, ...]) -> None:
    survey = {"untrusted": {"a": "no trusted key has signed its index"}}
    with pytest.raises(ProfileError, match="no trusted key"):
        stack([build("a")], survey=survey, one_off=OneOff(action="build", builds=builds))
    assert stack([build("a")], survey=survey, one_off=OneOff(action="prune", builds=builds)).steps == ()


def test_a_one_off_run_does_only_what_it_is_asked_for() -> None:
    changed = [build("a", user="admin"), build("b", user="admin")]
    images = [held(build(name), "3.23.6") for name in "ab"]
    plan = stack(changed, *images, one_off=OneOff(action="build", builds=("a",)))
    assert [step.build for step in plan.steps if step.action is not Action.KEEP] == ["a"]
    assert len(stack(changed, *images).of(Action.BUILD)) == 2


def test_the_guard_refuses_nothing_that_a_person_asks_for_and_warnings_of_upstream_are_shown() -> None:
    images = [held(build(name), "3.23.6") for name in "abcd"]
    known = replace(UP6, warnings=("the mirror lags",))
    for asked, count in ((None, 0), ((), 4)):
        plan = plan_of([], known, ledger(*images), Retention(), asked=asked)
        assert len(plan.of(Action.PRUNE)) == count
        assert bool(plan.refused) is (asked is None)
        assert "the mirror lags" in plan.warnings


@pytest.mark.parametrize(("level", "stays"), [("end-of-life", False), ("revision", True), (None, True)])
def test_only_a_person_who_asks_for_the_end_of_life_lets_the_newest_image_go(level: Any, stays: bool) -> None:
    over = upstream("3.23.6", end_of_life=TODAY - timedelta(days=1))
    levels = Retention(end_of_life=Level(), release=Level(), revision=Level())
    old, new = held(V23, "3.23.5"), held(V23, "3.23.6")
    run = OneOff(action="prune", builds=("v3_23",), level=level)
    plan = stack([V23], old, new, retention=levels, survey={"upstream": over}, one_off=run)
    assert (step_of(plan, new.name).action is Action.KEEP) is stays
    update = stack([V23], old, new, retention=levels, survey={"upstream": over})
    assert step_of(update, new.name).action is Action.KEEP


@pytest.mark.parametrize("why", ["lacking", "untrusted"])
def test_the_refusal_of_one_build_does_not_end_a_prune_that_a_person_asks_for(why: str) -> None:
    older, newer, bare = held(V23, "3.23.5"), held(V23, "3.23.6"), build("bare")
    survey: dict[str, Any] = {"absent": {"bare": {"https://x": "bare: there is no such repository"}}}
    survey = survey if why == "lacking" else {"untrusted": {"bare": "bare: no trusted key has signed it"}}
    assert stack([V23, bare], older, newer, survey=survey, retention=LATEST).refused
    plan = stack([V23, bare], older, newer, survey=survey, retention=LATEST, one_off=OneOff(action="prune"))
    assert (plan.refused, step_of(plan, older.name).action) == ((), Action.PRUNE)
    assert any("bare" in line for line in plan.warnings)


def test_a_one_off_run_still_says_which_builds_are_past_their_end() -> None:
    over = upstream("3.23.6", end_of_life=TODAY - timedelta(days=1))
    plan = stack([V23], survey={"upstream": over}, one_off=OneOff(action="prune"))
    assert any("version 3.23 is past its end of life" in line for line in plan.warnings)
