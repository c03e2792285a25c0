"""What a Region of copies wants, and what several Regions must not cost each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from omi.config.settings import Retention
from omi.plan import Action
from omi.profile.model import Access
from omi.state.account import AccountImage
from omi.state.identity import Identity
from omi.state.owner import CLAIM, VERIFIED
from tests.omi.plan.make import (
    TODAY,
    account,
    build,
    held,
    in_region,
    ledger,
    plan_of,
    seen,
    step_of,
)
from tests.omi.plan.stacks import COPY, HOME, LATEST, OTHER, UP6, V23, in_other, lost, stack
from tests.omi.specs import OWNER

pytestmark = pytest.mark.usefixtures("varied_by_user")


@pytest.mark.parametrize("pin", [{"revision": 0, "user": "admin"}, {"release": "3.23.5"}])
def test_a_region_of_copies_follows_a_pin_to_an_older_image(pin: dict[str, Any]) -> None:
    by_revision = "revision" in pin
    good = held(build(user="admin"), "3.23.6") if by_revision else held(V23, "3.23.5")
    bad = held(V23, "3.23.6", 1 if by_revision else 0)
    plan = stack([build(**pin)], good, bad, regions=COPY)
    assert step_of(replace(plan, steps=plan.steps[:2]), good.name).reason.startswith("current, pinned")
    assert list(in_other(plan)) == [good.name]


def test_what_is_copied_is_not_pruned_by_the_next_update() -> None:
    home, pinned = held(V23, "3.23.6"), build(release="3.23.5")
    first = stack([pinned], home, regions=COPY, retention=LATEST)
    older = held(V23, "3.23.5")
    assert [name for name, (action, _) in in_other(first).items() if action is Action.BUILD] == [older.name]
    second = stack([pinned], home, older, in_region(older, OTHER), regions=COPY, retention=LATEST)
    assert in_other(second) == {older.name: (Action.KEEP, f"current, as in {HOME}")}


def test_a_copy_bears_its_sources_name_after_a_change_of_suffix() -> None:
    image = held(V23, "3.23.6")
    first = stack([build(suffix="-b")], image, regions=COPY)
    assert in_other(first) == {image.name: (Action.BUILD, f"revision r0 of {HOME} is copied to {OTHER}")}
    there = in_region(image, OTHER)
    assert in_other(stack([build(suffix="-b")], image, there, regions=COPY))[image.name][0] is Action.KEEP
    changed = stack([build(suffix="-b", user="admin")], image, there, regions=COPY)
    assert f"{image.name.removesuffix('r0')}r1-b" in in_other(changed)


def test_an_image_that_the_home_region_misses_is_no_source() -> None:
    image = held(V23, "3.23.6")
    absent = {"v3_23": {"https://x": "v3_23: there is no such repository"}}
    for missing in (image, replace(image, record=image.record.model_copy(update={"missing": TODAY}))):
        views = {HOME: account(missing=[missing]), OTHER: account()}
        survey = {"accounts": views, "absent": absent}
        for retention in (Retention(), Retention(protect=(image.name,))):
            assert in_other(stack([V23], missing, regions=COPY, survey=survey, retention=retention)) == {}


def test_a_region_is_known_once_something_is_made_or_held_there() -> None:
    assert stack([]).known == {}
    plan = stack([V23], regions=COPY)
    assert set(plan.known) == {HOME, OTHER}


def test_images_of_a_region_that_does_not_answer_stay_protected() -> None:
    one, other = in_region(held(V23, "3.23.6"), OTHER), in_region(held(V23, "3.23.5"), OTHER)
    further = {OTHER: {"cloud": {"osc_profile": OTHER}}}
    config: dict[str, Any] = {"regions": further, "retention": Retention(protect=(one.name,))}
    survey = {"accounts": {HOME: account()}, "unreached": {OTHER: "no answer"}}
    steps = [step for step in stack([V23], one, other, survey=survey, **config).steps if step.region == OTHER]
    assert [(step.action, step.protected) for step in steps] == [(Action.KEEP, True), (Action.KEEP, False)]


@pytest.mark.parametrize("why", ["untrusted", "absent"])
def test_what_home_no_longer_builds_is_still_copied(why: str) -> None:
    image = held(V23, "3.23.6")
    survey: dict[str, Any] = {"untrusted": {"v3_23": "no trusted key has signed its index"}}
    if why == "absent":
        survey = {"absent": {"v3_23": {"https://x": "v3_23: there is no such repository"}}}
    assert in_other(stack([V23], image, regions=COPY, survey=survey))[image.name][0] is Action.BUILD


def test_what_a_silent_region_holds_may_need_any_name_of_consent() -> None:
    one = in_region(held(V23, "3.23.6"), OTHER)
    survey = {"accounts": {HOME: account()}, "unreached": {OTHER: "no answer"}}
    plan = stack([V23], one, regions={OTHER: {"cloud": {"osc_profile": OTHER}}}, survey=survey)
    assert plan.guarded >= {"all", OTHER, "v3_23", one.name}
    assert plan.regions == (HOME, OTHER)
    (step,) = (step for step in plan.steps if step.region == OTHER)
    assert OTHER in step.reason


def test_only_a_verified_image_of_the_stack_itself_is_copied() -> None:
    name, own = V23.image_name("3.23.6", 0), f"first image of {V23.name}"
    views = {HOME: account(AccountImage(name, "ami-old", access=Access())), OTHER: account()}
    external = stack([V23], regions=COPY, survey={"accounts": views})
    assert [step.action for step in external.steps] == [Action.ADOPT, Action.BUILD]
    assert in_other(external) == {name: (Action.BUILD, own)}
    unverified = held(V23, "3.23.6", verified=False)
    assert in_other(stack([V23], unverified, regions=COPY)) == {name: (Action.BUILD, own)}
    verified = held(V23, "3.23.6")
    assert in_other(stack([V23], verified, regions=COPY))[name][1] == f"revision r0 of {HOME} is copied to {OTHER}"


def test_in_a_region_that_left_no_image_waits_for_a_build_that_is_still_wanted_elsewhere() -> None:
    old = held(build("old"), "3.23.6")
    allowed = Retention(allow_mass_prune=("eu-west-2",))
    assert step_of(plan_of([V23], UP6, ledger(old), allowed, left="eu-west-2"), old.name).action is Action.PRUNE


def test_a_name_that_is_taken_in_a_region_of_copies_is_named_with_its_cure() -> None:
    image, cure = held(V23, "3.23.6"), "make the next revision by `python -m omi build -s STACK v3_23 --again --yes`"
    other = held(build(user="admin"), "3.23.6")
    tags = {**Identity(other.spec).tags, VERIFIED: "yes", CLAIM: "lost"}
    lost = stack(
        [V23], image, regions=COPY, survey={"accounts": {HOME: account(image), OTHER: account(seen(other, tags=tags))}}
    )
    renamed = held(build("before", prefix=V23.prefix), "3.23.6")
    taken = stack([V23], image, in_region(renamed, OTHER), regions=COPY)
    for plan in (lost, taken):
        (line,) = plan.refused
        assert f"nothing is copied, since another image there is named {image.name}: {cure}" in line
    external = in_region(held(build(user="admin"), "3.23.6", adopted=True), OTHER)
    assert not stack([V23], image, external, regions=COPY).refused


def test_a_recovery_copies_no_image_that_the_profile_is_pinned_away_from() -> None:
    older, newer, pinned = held(V23, "3.23.5"), held(V23, "3.23.6"), build(release="3.23.5")
    there = in_region(older, OTHER)
    assert {step.action for step in stack([pinned], older, newer, there, regions=COPY).steps} == {Action.KEEP}
    views = {HOME: account(*map(lost, (older, newer))), OTHER: account(lost(there))}
    recover = {"stack_id": OWNER.stack_id}
    plan = stack([pinned], survey={"accounts": views}, regions=COPY, recover=recover)
    assert [(step.name, step.region, step.action) for step in plan.steps] == [
        (newer.name, HOME, Action.RECOVER),
        (older.name, HOME, Action.RECOVER),
        (older.name, OTHER, Action.RECOVER),
    ]
