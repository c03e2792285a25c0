"""What a one-off run does of a plan, and that all else stays as state holds it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omi.config.one_off import OneOff, PruneLevel
from omi.plan import Action, Plan, Step
from omi.plan.model import Change, ChangeKind
from omi.plan.narrow import narrowed
from omi.plan.reasons import Because
from omi.profile.model import Access
from omi.state.ledger import LedgerImage
from omi.support.errors import SettingsError
from tests.omi.plan.make import build, held, in_region

ONE, TWO = build("one"), build("two")
OLD, NEW, OTHER = held(ONE, "3.23.5"), held(ONE, "3.23.6"), held(TWO, "3.23.6")
IMAGES = (OLD, NEW, OTHER)
WHY = Because.LEVEL_RELEASE(of="3.23")
BUILDS = frozenset({"build", "adopt", "recover"})


def plan(*steps: Step, **more: object) -> Plan:
    values: dict[str, object] = {"builds": ("one", "two"), "regions": ("eu-west-2",), **more}
    return replace(Plan(steps, (), ()), **values)  # type: ignore[arg-type]


def prune(image: LedgerImage, level: str) -> Step:
    return Step(image, Action.PRUNE, WHY, level)


def shared(image: LedgerImage) -> Step:
    """A step that would change who may launch it."""
    change = Change(ChangeKind.SHARE, Because.NEWEST_VERIFIED())
    return Step(image.published(Access(public=True)), Action.KEEP, Because.NEWEST_VERIFIED(), changes=(change,))


def done(one_off: OneOff, *steps: Step) -> dict[str, str]:
    """Name to action, of what isn't just kept; all that is kept is so to the byte."""
    narrow = narrowed(plan(*steps), IMAGES, one_off)
    by_name = {(image.region, image.name): image for image in IMAGES}
    for step in narrow.of(Action.KEEP):
        assert step.image is by_name[step.image.region or "", step.name]
        assert (step.changes, step.level) == ((), None)
    return {step.name: step.action.value for step in narrow.steps if step.action is not Action.KEEP}


@pytest.mark.parametrize("level", ["revision", "edge", "end-of-life", "profile", "region", "gone"])
def test_a_prune_by_level_leaves_what_any_other_level_would_take(level: str) -> None:
    one_off = OneOff(action="prune", level=PruneLevel.RELEASE)
    assert done(one_off, prune(OLD, level), prune(OTHER, "release")) == {OTHER.name: "prune"}
    assert done(OneOff(action="prune"), prune(OLD, level)) == {OLD.name: "prune"}, "of no level, all that is due"


def test_a_prune_of_named_builds_leaves_the_others() -> None:
    one_off = OneOff(action="prune", builds=("two",))
    assert done(one_off, prune(OLD, "release"), shared(NEW), prune(OTHER, "release")) == {OTHER.name: "prune"}


@pytest.mark.parametrize("action", list(Action))
def test_a_run_does_its_own_actions_alone(action: Action) -> None:
    step = Step(NEW, action, WHY)
    assert done(OneOff(action="build"), step) == ({NEW.name: action.value} if action.value in BUILDS else {})
    assert done(OneOff(action="prune"), step) == ({NEW.name: "prune"} if action is Action.PRUNE else {})
    assert done(OneOff(action="build", builds=("two",)), step) == {}


def test_what_state_does_not_hold_and_nobody_asked_for_is_not_declared() -> None:
    """A new image of another build: it is neither built nor kept."""
    new = Step(NEW, Action.BUILD, WHY)
    assert narrowed(plan(new), (OLD,), OneOff(action="prune")).steps == ()
    assert narrowed(plan(new), (OLD,), OneOff(action="build", builds=("two",))).steps == ()


def test_the_image_of_its_own_region_is_kept() -> None:
    there = in_region(OLD, "us-east-2")
    narrow = narrowed(plan(prune(OLD, "release"), prune(there, "release")), (OLD, there), OneOff(action="build"))
    assert [(step.action, step.image) for step in narrow.steps] == [(Action.KEEP, OLD), (Action.KEEP, there)]


def test_why_an_image_stays_is_its_own_reason_or_that_nobody_asked() -> None:
    kept = Step(NEW, Action.KEEP, Because.NEWEST_VERIFIED())
    steps = (prune(OLD, "release"), kept, Step(OTHER, Action.KEEP, Because.NEWEST_VERIFIED()))
    first, second, third = narrowed(plan(*steps), IMAGES, OneOff(action="build", builds=("one",))).steps
    assert second.why == kept.why
    assert "one" in first.reason
    assert first.why == third.why != kept.why
    (of_all,) = narrowed(plan(steps[0]), IMAGES, OneOff(action="build")).steps
    assert "all builds" in of_all.reason


def test_only_a_prune_fails_for_prunes_that_were_refused() -> None:
    too_many = plan(prune(OLD, "release"), refused=("too many",))
    assert narrowed(too_many, IMAGES, OneOff(action="prune")).refused == ("too many",)
    assert narrowed(too_many, IMAGES, OneOff(action="build")).refused == ()


def test_a_build_that_is_none_is_refused() -> None:
    for name, hint in (("three", "; there are: one, two"), ("onne", r" \(did you mean 'one'\?\)")):
        with pytest.raises(
            SettingsError, match=rf"^prune: '{name}' is not a build of the profile or the ledger{hint}$"
        ):
            narrowed(plan(), IMAGES, OneOff(action="prune", builds=(name,)))
