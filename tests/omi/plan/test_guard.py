"""What the guard counts, and what it warns of: each rule by itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from omi.config.settings import Level, Retention
from omi.plan import Action, Step
from omi.plan.guard import guarded_names, needless_names, too_many, too_many_losses
from omi.plan.model import Change, ChangeKind
from omi.plan.reasons import Because
from omi.profile.model import Access
from omi.state.ledger import LedgerImage
from omi.state.withdrawal import Stage, Why, Withdrawal
from omi.upstream.model import Upstream
from tests.omi.plan.make import TODAY, after, build, digest, held, ledger, outcome, plan_of, step_of, upstream

IMAGES = [held(build(f"b{number}"), "3.23.6") for number in range(4)]


def prune(image: LedgerImage, level: str = "profile") -> Step:
    return Step(image, Action.PRUNE, Because.SUPERSEDED(), level)


def keep(image: LedgerImage, *changes: Change) -> Step:
    return Step(image, Action.KEEP, Because.SUPERSEDED(), changes=changes)


def waits(
    steps: list[Step],
    retention: Retention,
    *,
    proved: bool = True,
    ended: Collection[LedgerImage] = (),
    has_left: bool = False,
    awaiting: Collection[LedgerImage] = (),
) -> list[str]:
    """Names of the images that wait."""
    known = ledger(*(step.image for step in steps if isinstance(step.image, LedgerImage)))
    held, over = len(known.images), ended.__contains__
    others = {image.name for image in awaiting}
    waiting, refused = too_many_losses(
        steps, retention, held, lambda _: proved, over, has_left=has_left, awaiting=others
    )
    in_turn = {step.name for step in steps if step.image in ended} if retention.max_prunes else set()
    assert bool(waiting.keys() - in_turn) == bool(refused)
    assert all(str(why).startswith("waits") for why in waiting.values())
    return [step.name for step in steps if step.name in waiting]


def test_one_missing_image_is_forgotten_beyond_any_limit_but_two_are_counted() -> None:
    none = Retention(max_prunes=0)
    first, second, third, fourth = IMAGES
    assert waits([prune(first, "gone"), keep(second), keep(third), keep(fourth)], none) == []
    two = [prune(first, "gone"), prune(second, "gone"), keep(third), keep(fourth)]
    assert waits(two, none) == [first.name, second.name]
    mixed = [prune(first, "gone"), prune(second), keep(third), keep(fourth)]
    assert waits(mixed, none) == [second.name], "the missing one is still only forgotten"


@pytest.mark.parametrize("limit", [1, 2])
def test_the_limit_itself_is_allowed(limit: int) -> None:
    steps = [*map(prune, IMAGES[:2]), *map(keep, IMAGES[2:])]
    assert waits(steps, Retention(max_prunes=limit)) == ([] if limit == 2 else [each.name for each in IMAGES[:2]])


def test_more_than_half_counts_from_four_images_up() -> None:
    assert waits([*map(prune, IMAGES[:3]), keep(IMAGES[3])], Retention()) == [each.name for each in IMAGES[:3]]
    assert waits([*map(prune, IMAGES[:2]), keep(IMAGES[2])], Retention()) == []
    assert too_many(2, Retention(), 4) is None
    assert too_many(3, Retention(), 4) == "half of them"


def test_only_a_newer_proved_image_of_the_same_build_that_stays_public_replaces_one() -> None:
    none, of = Retention(max_prunes=0), build()
    old, new = held(of, "3.23.5"), held(of, "3.23.6")
    assert waits([prune(old), keep(new)], none) == []
    assert waits([prune(old), keep(new)], none, proved=False) == [old.name]
    assert waits([prune(new), keep(old)], none) == [new.name], "an older one is not a replacement"
    assert waits([prune(old), keep(held(build("other"), "3.23.6"))], none) == [old.name]
    three = [held(of, f"3.23.{number}") for number in (4, 5, 6)]
    for stay in ([three[0], three[2]], [three[2], three[0]]):
        assert waits([*map(keep, stay), prune(three[1])], none) == [], "the newest that stays, in any order"
    gone = new.published(new.spec.access, Withdrawal(why="superseded", shared=True, deprecated=TODAY, private=TODAY))
    assert waits([prune(old), keep(gone)], none) == [old.name]
    assert waits([prune(old), prune(new)], none) == [old.name, new.name]


def test_to_be_made_private_counts_as_a_loss() -> None:
    change = Change(ChangeKind.MAKE_PRIVATE, Because.SUPERSEDED())
    assert waits([keep(IMAGES[0], change)], Retention(max_prunes=0)) == [IMAGES[0].name]
    assert waits([keep(IMAGES[0], replace(change, kind=ChangeKind.DEPRECATE))], Retention(max_prunes=0)) == []


def test_of_an_ended_version_as_many_as_are_allowed_go_at_once_the_oldest_first_and_nothing_is_refused() -> None:
    of = build()
    newest_first = [held(of, f"3.23.{number}") for number in (3, 2, 1)]
    steps = [*map(prune, newest_first), *map(keep, IMAGES)]
    names = [image.name for image in newest_first]
    assert waits(steps, Retention(max_prunes=2), ended=newest_first) == names[:1]
    assert waits(steps, Retention(max_prunes=3), ended=newest_first) == []
    assert waits(steps, Retention(max_prunes=2)) == names
    assert waits(steps, Retention(max_prunes=0), ended=newest_first) == names, "then only what is named may go"
    few = [*map(prune, newest_first), keep(IMAGES[0])]
    assert waits(few, Retention(), ended=newest_first) == names[:1], "at most half"


PAST = TODAY - timedelta(days=1)
OVER = Retention(end_of_life=Level(), max_prunes=2)


@pytest.mark.parametrize(
    ("later", "retention", "is_refused"),
    [
        (held(build("later", "3.24"), "3.24.0"), OVER, False),
        (held(build("later", "3.24"), "3.24.0"), OVER.model_copy(update={"end_of_life": None}), True),
        (held(build("later", "3.24"), "3.24.0"), Retention(end_of_life=Level(grace_days=1), max_prunes=2), True),
        (held(build("later", "3.24"), "3.24.0", verified=False), OVER, True),
        (held(build("later", "3.24", end_of_life=PAST), "3.24.0"), OVER, True),
        (held(build("later", "3.22"), "3.22.0"), OVER, True),
        (held(build("later", "edge"), "edge-20261122"), OVER, True),
    ],
    ids=["a later one", "no level", "in its grace", "unverified", "ended, too", "an earlier one", "edge"],
)
def test_a_version_has_ended_where_retention_says_so_and_a_later_supported_one_is_there(
    later: LedgerImage, retention: Retention, is_refused: bool
) -> None:
    of = build(end_of_life=PAST)
    images = [held(of, f"3.23.{number}") for number in range(6)]
    live = later.spec.target.model_copy(update={"recorded_release": later.release})
    made = plan_of([live], Upstream(), ledger(*images, later), retention)
    assert bool(made.refused) == is_refused
    going = {step.name for step in made.of(Action.PRUNE)}
    assert going == (set() if is_refused else {image.name for image in images[:2]})


def test_an_image_that_waits_for_another_reason_takes_no_turn() -> None:
    old, older = IMAGES[0], IMAGES[1]
    steps = [prune(old), prune(older), keep(IMAGES[2])]
    one = Retention(max_prunes=1)
    assert waits(steps, one, ended=[old, older]) == [old.name], "the steps have the newest image first"
    assert waits(steps, one, ended=[old, older], awaiting=[older]) == []
    assert waits(steps, Retention(max_prunes=0), awaiting=[older]) == [old.name, older.name], "it counts as a loss"


def test_other_losses_count_among_those_that_go() -> None:
    old = held(build(), "3.23.1")
    steps = [prune(old), *map(prune, IMAGES[:2]), *map(keep, IMAGES[2:]), keep(held(build("b9"), "3.23.6"))]
    assert waits(steps, Retention(max_prunes=2), ended=[old]) == [old.name]
    assert waits(steps, Retention(max_prunes=1), ended=[old]) == [image.name for image in IMAGES[:2]]


def test_of_fewer_than_four_images_half_is_no_limit_for_those_past_their_end_either() -> None:
    ended = IMAGES[:2]
    assert waits([*map(prune, ended), keep(IMAGES[2])], Retention(), ended=ended) == []


@pytest.mark.parametrize("allowed", ["all", "b0", IMAGES[0].name, "eu-west-2"])
def test_what_is_allowed_by_name_does_not_wait(allowed: str) -> None:
    steps = [prune(IMAGES[0]), keep(IMAGES[1])]
    assert waits(steps, Retention(max_prunes=0, allow_mass_prune=(allowed,))) == []
    assert waits(steps, Retention(max_prunes=0, allow_mass_prune=(f"{allowed}2",))) == [IMAGES[0].name]


def test_a_region_that_leaves_waits_however_few_its_images_are() -> None:
    first, second, *others = IMAGES
    assert waits([prune(first, "region")], Retention(), has_left=True) == [first.name]
    shared = [keep(image) for image in (second, *others)]  # they go in stages, later
    assert waits([prune(first, "region"), *shared], Retention(), has_left=True) == [first.name]
    both = [prune(first, "region"), prune(second, "region")]
    assert waits(both, Retention(), has_left=True) == [first.name, second.name]
    assert waits(both, Retention(allow_mass_prune=("eu-west-2",)), has_left=True) == []
    assert waits([prune(first), prune(second)], Retention()) == []
    assert waits([prune(first, "gone"), prune(second, "gone")], Retention(), has_left=True) == []


def test_nothing_becomes_private_in_a_region_that_left_before_a_person_allows_it() -> None:
    private = Change(ChangeKind.MAKE_PRIVATE, Because.REGION_REMOVED(region="eu-west-2"))
    image = IMAGES[0]
    assert waits([keep(image, private)], Retention(), has_left=True) == [image.name]
    assert waits([keep(image, private)], Retention(allow_mass_prune=(image.name,)), has_left=True) == []
    assert waits([keep(image, private)], Retention()) == [], "one of a few in a Region of the config may go"


def needless(steps: list[Step], *allowed: str, proved: bool = True, protect: tuple[str, ...] = ()) -> list[str]:
    """The names of `protect` and `allow_mass_prune` that are warned of; every build is in the profile."""
    retention = Retention(protect=protect, allow_mass_prune=allowed)
    live = {(step.image.profile, step.build): True for step in steps}
    names = guarded_names(steps, live, retention, lambda _: proved, lambda _: proved)
    warned = list(needless_names(steps, retention, names))
    assert all(line.endswith(": take it out") for line in warned)
    return [line.split(" names ")[1].split(",")[0] for line in warned]


def staged(image: LedgerImage, due: date | None, private: date | None = None, why: Why = "superseded") -> Step:
    withdrawal = Withdrawal(why=why, shared=True, deprecated=TODAY, due=due, private=private)
    return keep(image.published(image.spec.access, withdrawal))


def test_names_that_match_nothing_are_warned_of_and_others_not() -> None:
    first, second, third, fourth = IMAGES
    steps = [prune(first), keep(second), keep(third, Change(ChangeKind.MAKE_PRIVATE, Because.SUPERSEDED()))]
    for on_its_way in (staged(fourth, TODAY), staged(fourth, TODAY, TODAY)):
        assert needless([on_its_way], on_its_way.name, "all", "b3", "eu-west-2", "b2") == ["b2"]
    allowed = ("all", first.name, "b0", third.name, second.name, "b1")
    assert needless(steps, "eu-west-2") == []
    assert needless(steps, *allowed, protect=(first.name, second.record.omi, "nobody")) == ["nobody", second.name, "b1"]


def test_a_name_is_needless_where_the_guard_counts_no_image_however_many_are_withdrawn() -> None:
    of, other = build(), IMAGES[0]
    old, new = held(of, "3.23.5"), held(of, "3.23.6")
    for step in (staged(old, None), staged(old, TODAY), staged(old, TODAY, TODAY), prune(old)):
        assert needless([step, keep(new), keep(other)], "all", of.name, old.name) == ["all", old.name, of.name]
    for step in (staged(old, TODAY), staged(old, TODAY, TODAY), prune(old)):
        assert needless([step, keep(new), keep(other)], "all", of.name, old.name, proved=False) == []
        assert needless([step, staged(new, TODAY), keep(other)], "all", old.name) == [], "both go in the end"
    assert needless([staged(old, None, why="end of life")], "all") == ["all"], "no level lets it go"
    assert needless([staged(old, None, TODAY, why="revoked")], "all") == ["all"]
    assert needless([prune(old, "gone"), keep(other)], "all") == ["all"], "one missing image is only forgotten"
    gone = Step(staged(old, TODAY).image, Action.PRUNE, Because.SUPERSEDED(), "gone")
    assert needless([gone, keep(other)], "all") == ["all"], "so it is if its stages had begun"
    assert needless([prune(old, "gone"), prune(other, "gone")], "all") == []
    assert needless([prune(other, "region")], "eu-west-2") == []


def test_the_plan_says_when_a_shared_stack_no_longer_needs_the_name() -> None:
    public = [build(f"b{number}", access=Access(public=True)) for number in range(4)]
    images = ledger(*(held(of, release) for of in public for release in ("3.23.5", "3.23.6")))
    retention = Retention(allow_mass_prune=("all",))
    plan = plan_of(public, upstream("3.23.6"), images, retention)
    assert {step.stage for step in plan.steps} == {Stage.DEPRECATED, Stage.CURRENT}
    assert list(needless_names(plan.steps, retention, plan.guarded)) == [
        "retention.allow_mass_prune names all, but the guard holds back nothing of it: take it out"
    ]
    going = plan_of(public[:1], upstream("3.23.6"), images, retention)
    assert going.guarded >= {"all", "b1", "b2", "b3"}
    assert "b0" not in going.guarded
    assert list(needless_names(going.steps, retention, going.guarded)) == []


def test_a_name_has_its_use_where_a_removed_builds_images_wait_for_another_builds_first() -> None:
    renamed, old = build("new"), [held(build(), release) for release in ("3.23.5", "3.23.6")]
    retention = Retention(allow_mass_prune=("v3_23",))
    plan = plan_of([renamed], upstream("3.23.6"), ledger(*old), retention)
    assert len(plan.of(Action.PRUNE)) == len(old)
    assert plan.guarded >= {"v3_23", *(image.name for image in old)}
    stays = Retention(allow_mass_prune=("v3_23",), protect=(old[1].name,))
    plan = plan_of([renamed], upstream("3.23.6"), ledger(*old), stays)
    assert [step.name for step in plan.of(Action.PRUNE)] == [old[0].name], "no loss, but it would wait"
    assert "v3_23" in plan.guarded


def test_a_removed_builds_images_wait_for_a_build_that_is_refused_too() -> None:
    renamed, old = build("new"), held(build(), "3.23.6")
    shown = "waits until new has a verified image: removed from profile"
    refusals: list[dict[str, Any]] = [
        {"lacking": {"new": ("new: there is no package ngnix",)}},
        {"untrusted": {"new": "no trusted key"}},
        {"revoked_content": {digest(renamed, "3.23.6")}},
    ]
    for why in refusals:
        plan = plan_of([renamed], upstream("3.23.6"), ledger(old), Retention(), **why)
        assert not plan.of(Action.BUILD)
        assert step_of(plan, old.name).reason == shown
    pinned = build("new", prefix=build().prefix, revision=0)
    plan = plan_of([pinned], upstream("3.23.6"), ledger(old), Retention())
    assert step_of(plan, old.name).reason == shown
    (refused,) = plan.refused
    assert refused.startswith(f"new: nothing is built as r0, since {old.name} is an image of the build v3_23: raise or")
    allowed = plan_of([pinned], upstream("3.23.6"), ledger(old), Retention(allow_mass_prune=("v3_23",)))
    assert step_of(allowed, old.name).action is Action.PRUNE, "the message's cure"
    assert outcome(plan_of([pinned], upstream("3.23.6"), after(allowed))) == {old.name: "build"}


def test_no_image_waits_for_a_build_past_its_end_of_life_or_in_a_region_that_left() -> None:
    over, old = build("new", "3.20"), held(build(end_of_life=TODAY - timedelta(days=1)), "3.23.6")
    ended = upstream("3.20.9", end_of_life=TODAY - timedelta(days=1))
    for here in ({}, {"left": "eu-west-2"}):
        plan = plan_of([over], ended, ledger(old), Retention(allow_mass_prune=("eu-west-2",)), **here)
        assert outcome(plan) == {old.name: "prune"}
