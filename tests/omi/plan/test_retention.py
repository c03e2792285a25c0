"""Which images are pruned, and which stay: by example."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest

from omi.config.settings import Level, Retention
from omi.plan import Action
from omi.state.ledger import Ledger
from omi.upstream.model import Branch, MirrorRelease, Upstream
from tests.omi.plan.examples import LATEST_ONLY, NAME, R5, R6, UP6, V23
from tests.omi.plan.make import (
    FAR,
    TODAY,
    account,
    after,
    build,
    held,
    ledger,
    outcome,
    plan_of,
    seen,
    step_of,
    upstream,
)


class TestRetention:
    def images(self) -> Ledger:
        releases = [("3.23.4", 0), ("3.23.4", 9), ("3.23.4", 10), ("3.23.5", 0), ("3.23.6", 0)]
        return ledger(*(held(V23, release, revision) for release, revision in releases))

    def test_without_a_level_everything_stays(self) -> None:
        assert set(outcome(plan_of([V23], UP6, self.images())).values()) == {"keep"}

    def test_revision_level(self) -> None:
        retention = Retention(revision=Level(), allow_mass_prune=("all",))
        plan = plan_of([V23], UP6, self.images(), retention)
        assert [step.name for step in plan.of(Action.PRUNE)] == [NAME.format(4, 9), NAME.format(4, 0)]
        assert plan.of(Action.PRUNE)[0].level == "revision"
        assert plan.of(Action.PRUNE)[0].reason == "revision: the newest revision of release 3.23.4 is kept"

    def test_release_level_keeps_all_revisions_of_what_it_keeps(self) -> None:
        retention = Retention(release=Level(keep=2), allow_mass_prune=("all",))
        plan = plan_of([V23], UP6, self.images(), retention)
        assert [step.name for step in plan.of(Action.PRUNE)] == [NAME.format(4, n) for n in (10, 9, 0)]
        assert plan.of(Action.PRUNE)[0].reason == "release: the newest 2 releases of version 3.23 are kept"

    def test_release_level_counts_releases_and_not_their_revisions(self) -> None:
        images = ledger(R5, R6, held(V23, "3.23.6", 1))
        assert not plan_of([V23], UP6, images, Retention(release=Level(keep=2))).of(Action.PRUNE)
        plan = plan_of([V23], UP6, images, Retention(release=Level()))
        assert [step.name for step in plan.of(Action.PRUNE)] == [R5.name]

    def test_unverified_image_does_not_count_among_those_that_are_kept(self) -> None:
        images = ledger(held(V23, "3.23.4"), R5, held(V23, "3.23.6", verified=False, adopted=True))
        assert not plan_of([V23], UP6, images, Retention(release=Level(keep=2))).of(Action.PRUNE)

    def test_end_of_life_level_waits_for_its_grace_and_keeps_the_newest(self) -> None:
        over = upstream("3.23.6", end_of_life=date(2026, 11, 13))
        retention = Retention(end_of_life=Level(grace_days=10), allow_mass_prune=("all",))
        assert not plan_of([V23], over, self.images(), retention).of(Action.PRUNE)
        plan = plan_of([V23], over, self.images(), retention, today=date(2026, 11, 24))
        assert [step.name for step in plan.of(Action.KEEP)] == [NAME.format(6, 0)]
        reason = "end-of-life: version 3.23 is past 2026-11-13 and the grace of 10 days"
        assert {step.reason for step in plan.of(Action.PRUNE)} == {reason}

    def test_level_for_named_builds_alone(self) -> None:
        other = build("other")
        images = ledger(R5, R6, held(other, "3.23.5"), held(other, "3.23.6"))
        plan = plan_of([V23, other], UP6, images, Retention(release=Level(builds=("other",))))
        assert [step.name for step in plan.of(Action.PRUNE)] == ["alpine-other-3.23.5-x86_64-r0"]

    @pytest.mark.parametrize("level", ["revision", "release", "end_of_life"])
    def test_each_level_spares_the_builds_that_it_does_not_name(self, level: str) -> None:
        over = upstream("3.23.6", end_of_life=date(2026, 11, 13))
        for named, pruned in (("v3_23", [NAME.format(6, 0)]), ("other", [])):
            retention = Retention.model_validate({level: {"builds": [named]}, "allow_mass_prune": ["all"]})
            images = ledger(R5, R6, held(V23, "3.23.6", 1)) if level == "revision" else ledger(R6, held(V23, "3.23.7"))
            plan = plan_of([V23, build("other")], over, images, retention)
            assert [step.name for step in plan.of(Action.PRUNE)] == pruned

    def test_an_end_of_life_without_grace_has_a_reason_without_it(self) -> None:
        over = upstream("3.23.6", end_of_life=date(2026, 11, 13))
        plan = plan_of([V23], over, ledger(R5, R6), Retention(end_of_life=Level(), allow_mass_prune=("all",)))
        assert step_of(plan, R5.name).reason == "end-of-life: version 3.23 is past 2026-11-13"

    def test_edges_number_counts_images_of_edge_alone(self) -> None:
        rolling = build("rolling", "edge")
        images = ledger(held(rolling, "3.23.5"), held(rolling, "3.23.6"), held(rolling, "20261122"))
        plan = plan_of([rolling], Upstream(), images, Retention(allow_mass_prune=("all",)), edge_keep=1)
        assert not plan.of(Action.PRUNE)

    def test_level_that_names_no_build_is_told(self) -> None:
        plan = plan_of([V23], UP6, ledger(R6), Retention(release=Level(builds=("v3_2",))))
        assert plan.warnings == (
            "retention.release.builds names v3_2, which is not a build of the profile or the ledger",
        )

    def test_unverified_image_is_no_replacement(self) -> None:
        unproved = held(V23, "3.23.6", verified=False, adopted=True)
        assert not plan_of([V23], UP6, ledger(R5, unproved), LATEST_ONLY).of(Action.PRUNE)

    def test_what_this_run_builds_is_no_replacement(self) -> None:
        plan = plan_of([V23], UP6, ledger(held(V23, "3.23.4"), R5), LATEST_ONLY)
        assert [step.name for step in plan.of(Action.PRUNE)] == [NAME.format(4, 0)]
        assert step_of(plan, R5.name).reason == "the newest verified image of its build"

    @pytest.mark.parametrize("what", [R5.name, R5.record.omi])
    def test_protected_by_name_or_id(self, what: str) -> None:
        retention = LATEST_ONLY.model_copy(update={"protect": (what,)})
        plan = plan_of([V23], UP6, ledger(R5, R6), retention)
        assert step_of(plan, R5.name).action is Action.KEEP
        assert step_of(plan, R5.name).reason.startswith("protected by retention.protect (release: ")

    def test_in_use(self) -> None:
        view = account(R6, seen(R5, used_by=("i-12345678",)))
        plan = plan_of([V23], UP6, ledger(R5, R6), LATEST_ONLY, account=view)
        assert step_of(plan, R5.name).reason.startswith("in use by i-12345678 (release: ")

    def test_adopted_image_is_only_forgotten(self) -> None:
        foreign = held(V23, "3.23.5", verified=False, adopted=True)
        step = step_of(plan_of([V23], UP6, ledger(foreign, R6), LATEST_ONLY), foreign.name)
        assert step.action is Action.PRUNE
        assert step.forgets
        assert "made by someone else, so only forgotten" in step.reason


class TestRemovedBuilds:
    OTHER = build("v3_22", "3.22")
    OLD = held(OTHER, "3.22.1")

    def test_images_go_with_the_reason(self) -> None:
        plan = plan_of([V23], UP6, ledger(R6, self.OLD))
        step = step_of(plan, self.OLD.name)
        assert (step.action, step.level, step.reason) == (Action.PRUNE, "profile", "removed from profile")

    @pytest.mark.parametrize("change", [{"name": "new"}, {"profile": "other"}])
    def test_of_a_renamed_build_they_wait_until_the_new_name_has_a_verified_image(self, change: dict[str, str]) -> None:
        renamed = V23.model_copy(update=change)
        first = plan_of([renamed], UP6, ledger(R6), Retention())
        old = step_of(first, R6.name)
        assert (old.action, old.image) == (Action.KEEP, R6)
        assert old.reason == f"waits until {renamed.name} has a verified image: removed from profile"
        assert step_of(plan_of([renamed], UP6, after(first), Retention()), R6.name).action is Action.PRUNE
        unverified = held(renamed, "3.23.6", revision=1, verified=False)
        assert step_of(plan_of([renamed], UP6, ledger(R6, unverified), Retention()), R6.name).action is Action.KEEP

    def test_they_go_at_once_if_allowed_by_name_or_if_missing(self) -> None:
        renamed = build("new")
        allowed = plan_of([renamed], UP6, ledger(R6), Retention(allow_mass_prune=(V23.name,)))
        assert step_of(allowed, R6.name).action is Action.PRUNE
        missing = replace(R6, record=R6.record.model_copy(update={"missing": TODAY}))
        forgotten = plan_of([renamed], UP6, ledger(missing), Retention(), account=account(missing=[missing]))
        assert step_of(forgotten, R6.name).level == "gone"

    def test_all_builds_are_told_and_declared_only_with_images(self) -> None:
        plan = plan_of([V23], UP6, ledger(R6, self.OLD))
        assert [name for name, _ in plan.by_build()] == ["v3_23", "v3_22"]
        assert [(name, [step.name for step in steps]) for name, steps in plan.declared()] == [("v3_23", [R6.name])]

    def test_one_in_use_or_protected_stays_declared(self) -> None:
        view = account(R6, seen(self.OLD, used_by=("i-1",)))
        plan = plan_of([V23], UP6, ledger(R6, self.OLD), account=view)
        assert step_of(plan, self.OLD.name).reason == "removed from profile, but in use by i-1"
        assert [name for name, _ in plan.declared()] == ["v3_23", "v3_22"]
        protected = Retention(protect=(self.OLD.name,))
        assert step_of(plan_of([V23], UP6, ledger(R6, self.OLD), protected), self.OLD.name).action is Action.KEEP

    def test_renamed_build_does_not_take_a_name_that_is_still_in_state(self) -> None:
        renamed = build("new", prefix=V23.prefix)
        plan = plan_of([renamed], UP6, ledger(R6))
        assert outcome(plan) == {NAME.format(6, 1): "build", R6.name: "prune"}

    def test_same_build_of_another_profile_is_removed(self) -> None:
        elsewhere = build(profile="other", prefix="other-")
        plan = plan_of([V23], UP6, ledger(R6, held(elsewhere, "3.23.6")))
        assert outcome(plan) == {R6.name: "keep", "other-3.23.6-x86_64-r0": "prune"}


class TestMassPrune:
    OTHERS = tuple(build(f"b{number}") for number in range(7))
    IMAGES = tuple(held(other, "3.23.6") for other in OTHERS)
    KEPT = tuple(held(V23, "3.23.6", revision) for revision in range(8))

    def test_more_than_half_waits_with_names_and_cure(self) -> None:
        images = ledger(R6, *self.IMAGES[:3])
        plan = plan_of([V23, build("new", "3.23")], UP6, images, Retention())
        assert {step.name for step in plan.of(Action.BUILD)} == {"alpine-new-3.23.6-x86_64-r0"}, "builds go on"
        assert not plan.of(Action.PRUNE)
        assert after(plan).images[-1] in images.images
        (refusal,) = plan.refused
        assert re.search(r"3 of 4 images .* half of them.*alpine-b0-3\.23\.6.*retention\.allow_mass_prune", refusal)
        assert all("waits, since too many" in step_of(plan, image.name).reason for image in self.IMAGES[:3])

    def test_half_counts_from_four_images_on(self) -> None:
        images = ledger(*self.IMAGES[:3])
        assert len(plan_of([], UP6, images, Retention()).of(Action.PRUNE)) == 3
        assert len(plan_of([V23], UP6, ledger(R6, *self.IMAGES[:2], R5), Retention()).of(Action.PRUNE)) == 2

    def test_more_than_max_prunes_waits(self) -> None:
        images = ledger(*self.IMAGES, *self.KEPT)
        (refusal,) = plan_of([V23], UP6, images, Retention()).refused
        assert re.search(r"7 of 15 images .* more than 5 \(retention\.max_prunes\)", refusal)
        assert len(plan_of([V23], UP6, images, Retention(max_prunes=7)).of(Action.PRUNE)) == 7

    def test_superseded_images_go_in_any_number(self) -> None:
        """A release day of six builds that keep one image each."""
        builds = [build(f"b{number}") for number in range(6)]
        images = ledger(*(held(of, release) for of in builds for release in ("3.23.5", "3.23.6")))
        plan = plan_of(builds, UP6, images, LATEST_ONLY.model_copy(update={"allow_mass_prune": ()}))
        assert len(plan.of(Action.PRUNE)) == 6
        assert not plan.refused

    def test_only_a_verified_image_that_stays_supersedes(self) -> None:
        newer = held(V23, "3.23.7", verified=False)
        images = ledger(held(V23, "3.23.6"), newer, *self.IMAGES)
        plan = plan_of([], UP6, images, Retention(max_prunes=8))
        assert len(plan.refused) == 1
        assert "9 of 9 images" in plan.refused[0]

    def test_a_missing_or_doubtful_image_supersedes_none(self) -> None:
        old, new = held(V23, "3.23.5"), held(V23, "3.23.6")
        images = ledger(old, new, *self.IMAGES[:2])
        seen_ones = (old, *self.IMAGES[:2])
        for view in (account(*seen_ones, missing=[new]), account(*seen_ones)):
            plan = plan_of([], UP6, images, Retention(max_prunes=2), account=view)
            assert "3 of 4 images" in plan.refused[0], "the older one is a loss, too"

    @pytest.mark.parametrize("allowed", [("all",), ("b0", "b1"), (IMAGES[0].name, IMAGES[6].name)])
    def test_allowed_by_name(self, allowed: tuple[str, ...]) -> None:
        images = ledger(*self.IMAGES, *self.KEPT)
        assert len(plan_of([V23], UP6, images, Retention(allow_mass_prune=allowed)).of(Action.PRUNE)) == 7

    def test_naming_too_few_does_not_help_but_lets_the_named_go(self) -> None:
        plan = plan_of([V23], UP6, ledger(*self.IMAGES, *self.KEPT), Retention(allow_mass_prune=("b0",)))
        assert "6 of 15" in plan.refused[0]
        assert [step.build for step in plan.of(Action.PRUNE)] == ["b0"]


@pytest.mark.parametrize(("ended", "gone"), [(1, ["3.22.3"]), (0, [])])
def test_of_a_build_that_has_moved_on_each_image_goes_by_the_end_of_its_own_version(
    ended: int, gone: list[str]
) -> None:
    """Mixed versions: the build makes 3.23 now, whose support lasts, and holds images of 3.22."""
    rolling = build("rolling", end_of_life=FAR)
    releases = ("3.22.3", "3.22.4", "3.23.6")
    images = [held(rolling.model_copy(update={"end_of_life": None}), release) for release in releases]
    branches = tuple(
        Branch(version, (release,), day, ("x86_64",))
        for version, release, day in (("3.22", "3.22.4", TODAY - timedelta(days=ended)), ("3.23", "3.23.6", FAR))
    )
    known = Upstream(branches, {("3.23", "x86_64"): MirrorRelease("3.23.6")})
    retention = Retention(end_of_life=Level(keep=2), allow_mass_prune=("all",))
    plan = plan_of([rolling], known, ledger(*images), retention)
    pruned = [step.image.release for step in plan.of(Action.PRUNE)]
    assert pruned == gone
