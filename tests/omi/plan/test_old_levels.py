"""The prune levels against those of the old tool, as docs/retention.md compares them."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omi.config.settings import Level, Retention, SharedDays, Stages
from omi.plan import Action
from omi.state.ledger import LedgerImage
from tests.omi.ancestor import old_script, where_it_is_here
from tests.omi.plan.make import TODAY, build, held, ledger, plan_of, upstream

BUILDS = (build("v3_22", "3.22"), build("v3_23"), build("other", "3.23"))
IMAGES = [
    held(one, f"{one.version}.{release}", revision)
    for one in BUILDS
    for release in (4, 5, 10)
    for revision in (0, 9, 10)
]
UP = upstream("3.22.10", "3.23.10")
AT_ONCE = Stages(shared=SharedDays(deprecated_days=0, private_days=0))
accounts = st.lists(st.sampled_from(IMAGES), unique_by=lambda image: image.name)


def ours(images: Iterable[LedgerImage], **levels: Level) -> set[str]:
    """The images that a plan prunes; the newest of each build is the wanted one, so nothing else is of interest."""
    retention = Retention(stages=AT_ONCE, allow_mass_prune=("all",), **levels)
    return {step.name for step in plan_of(BUILDS, UP, ledger(*images), retention).of(Action.PRUNE)}


def old(images: Iterable[LedgerImage], basis: Callable[[LedgerImage], object], keep: int = 0) -> set[str]:
    """What the old tool prunes at a level: all that are older than the `keep` + 1 newest of a build and `basis`."""
    gone = set[str]()
    of_basis: dict[object, list[LedgerImage]] = {}
    for image in images:
        of_basis.setdefault((image.build, basis(image)), []).append(image)
    for group in of_basis.values():
        newest_first = sorted(group, key=lambda image: image.order, reverse=True)
        gone |= {image.name for image in newest_first[keep + 1 :]}
    return gone


def by_release(image: LedgerImage) -> object:
    return image.release


def by_version(image: LedgerImage) -> object:
    return image.version


@given(accounts, st.integers(0, 3))
def test_revision_is_its_revision_and_keep_counts_one_more(images: list[LedgerImage], more: int) -> None:
    assert ours(images, revision=Level(keep=more + 1)) == old(images, by_release, more)


@given(accounts)
def test_release_and_revision_together_are_its_release(images: list[LedgerImage]) -> None:
    assert ours(images, release=Level(), revision=Level()) == old(images, by_version)


@given(accounts)
def test_release_alone_keeps_the_revisions_of_the_newest_release(images: list[LedgerImage]) -> None:
    newest = {
        one: max((i.order[1] for i in images if i.build == one), default=None) for one in {i.build for i in images}
    }
    spared = {image.name for image in images if image.order[1] == newest[image.build]}
    assert ours(images, release=Level()) == old(images, by_version) - spared


def test_end_of_life_spares_the_newest_of_each_build_which_the_old_tool_takes_too() -> None:
    past = upstream("3.22.10", "3.23.10", end_of_life=date(2026, 11, 13))
    images = IMAGES[:9]
    retention = Retention(end_of_life=Level(), stages=AT_ONCE, allow_mass_prune=("all",))
    plan = plan_of(BUILDS, past, ledger(*images), retention)
    assert {step.name for step in plan.steps} - {step.name for step in plan.of(Action.PRUNE)} == {images[-1].name}
    waits = retention.model_copy(update={"end_of_life": Level(grace_days=11)})
    assert not plan_of(BUILDS, past, ledger(*images), waits).of(Action.PRUNE)


@where_it_is_here
def test_the_old_tool_prunes_what_is_said_of_it_here(monkeypatch: pytest.MonkeyPatch) -> None:
    script = old_script(monkeypatch)
    for level, basis in (("revision", by_release), ("release", by_version)):
        for keep in (0, 1, 3):
            assert _pruned(script, level, keep) == old(IMAGES, basis, keep)
    assert _pruned(script, "end-of-life", 0) == {image.name for image in IMAGES if image.version == "3.22"}


def _pruned(script: dict[str, Any], level: str, keep: int) -> set[str]:
    """By its own code, of images that were built in their order, those of 3.22 past their end of life."""
    releases: dict[str, dict[str, dict[str, Any]]] = {}
    for number, image in enumerate(sorted(IMAGES, key=lambda image: image.order)):
        past = image.version == "3.22"
        told = {
            "version": image.version,
            "build_time": number,
            "end_of_life": "2020-01-01" if past else datetime(TODAY.year + 50, 1, 1, tzinfo=UTC).date().isoformat(),
            "artifacts": {"eu-west-2": image.name},
        }
        releases.setdefault(image.release, {}).setdefault(image.build, {})[image.name] = told
    account = SimpleNamespace(
        releases=releases, images={}, load_profile_images=lambda log: None, build_releases=lambda: None
    )
    prune = script["PruneAMIs"]()
    prune.find_pruneable(account, Namespace(level=level, builds=[], keep=keep, defer_eol=0), logging.getLogger())
    return set(prune.pruneable["eu-west-2"])
