"""What the guard counts, and what it warns of: each rule by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omi.config.settings import Retention
from omi.plan import Action, Step
from omi.plan.guard import needless_names, too_many, too_many_losses
from omi.plan.model import Change, ChangeKind
from omi.plan.reasons import Because
from omi.state.ledger import LedgerImage
from omi.state.withdrawal import Withdrawal
from tests.omi.plan.make import TODAY, build, held, ledger

IMAGES = [held(build(f"b{number}"), "3.23.6") for number in range(4)]


def prune(image: LedgerImage, level: str = "profile") -> Step:
    return Step(image, Action.PRUNE, Because.SUPERSEDED(), level)


def keep(image: LedgerImage, *changes: Change) -> Step:
    return Step(image, Action.KEEP, Because.SUPERSEDED(), changes=changes)


def waits(steps: list[Step], retention: Retention, *, proved: bool = True) -> list[str]:
    """Names of the images that wait."""
    known = ledger(*(step.image for step in steps if isinstance(step.image, LedgerImage)))
    waiting, refused = too_many_losses(steps, retention, len(known.images), lambda _: proved)
    assert bool(waiting) == bool(refused)
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
    assert waits([prune(new), keep(old)], none) == [new.name], "an older one is no replacement"
    assert waits([prune(old), keep(held(build("other"), "3.23.6"))], none) == [old.name]
    gone = new.published(new.spec.access, Withdrawal(why="superseded", shared=True, deprecated=TODAY, private=TODAY))
    assert waits([prune(old), keep(gone)], none) == [old.name]
    assert waits([prune(old), prune(new)], none) == [old.name, new.name]


def test_to_be_made_private_counts_as_a_loss() -> None:
    change = Change(ChangeKind.MAKE_PRIVATE, Because.SUPERSEDED())
    assert waits([keep(IMAGES[0], change)], Retention(max_prunes=0)) == [IMAGES[0].name]
    assert waits([keep(IMAGES[0], replace(change, kind=ChangeKind.DEPRECATE))], Retention(max_prunes=0)) == []


@pytest.mark.parametrize("allowed", ["all", "b0", IMAGES[0].name, "eu-west-2"])
def test_what_is_allowed_by_name_does_not_wait(allowed: str) -> None:
    steps = [prune(IMAGES[0]), keep(IMAGES[1])]
    assert waits(steps, Retention(max_prunes=0, allow_mass_prune=(allowed,))) == []
    assert waits(steps, Retention(max_prunes=0, allow_mass_prune=(f"{allowed}2",))) == [IMAGES[0].name]


def test_a_region_that_leaves_waits_however_few_its_images_are() -> None:
    assert waits([prune(IMAGES[0], "region")], Retention()) == [IMAGES[0].name]
    assert waits([prune(IMAGES[0], "region"), prune(IMAGES[1])], Retention()) == []


def test_names_that_match_nothing_are_warned_of_and_others_not() -> None:
    first, second, third, _ = IMAGES
    steps = [prune(first), keep(second), keep(third, Change(ChangeKind.MAKE_PRIVATE, Because.SUPERSEDED()))]
    retention = Retention(
        protect=(first.name, second.record.omi, "nobody"),
        allow_mass_prune=("all", first.name, "b0", third.name, second.name, "b1"),
    )
    assert list(needless_names(steps, retention)) == [
        "retention.protect names nobody, which is no image of the stack: take it out",
        f"retention.allow_mass_prune names {second.name}, of which nothing goes: take it out",
        "retention.allow_mass_prune names b1, of which nothing goes: take it out",
    ]
