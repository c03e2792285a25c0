"""Each rule of the planner by example."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest

from omi.account import AccountImage
from omi.errors import PlanError, ProfileError, SettingsError, UpstreamError
from omi.ledger import Ledger
from omi.plan import Action, PlannedImage
from omi.plan.discover import versions_to_discover
from omi.plan.model import ChangeKind
from omi.profile.model import Access
from omi.settings import Level, Retention
from omi.upstream import MirrorRelease, Upstream
from tests.omi.plan.make import (
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

V23 = build()
NAME = "alpine-v3_23-3.23.{}-x86_64-r{}"
R5, R6 = held(V23, "3.23.5"), held(V23, "3.23.6")
UP6 = upstream("3.23.6")
LATEST_ONLY = Retention(release=Level(), revision=Level(), allow_mass_prune=("all",))


class TestReleases:
    def test_first_image(self) -> None:
        (step,) = plan_of([V23], UP6, Ledger()).steps
        assert (step.name, step.action) == (NAME.format(6, 0), Action.BUILD)
        assert step.reason == "first image of v3_23"

    def test_new_release_is_built_beside_the_old_one(self) -> None:
        plan = plan_of([V23], UP6, ledger(R5), LATEST_ONLY)
        assert outcome(plan) == {NAME.format(6, 0): "build", NAME.format(5, 0): "keep"}
        assert step_of(plan, NAME.format(6, 0)).reason == "new release 3.23.6 (was 3.23.5)"

    def test_release_with_two_digits_is_newer(self) -> None:
        nine, ten = held(V23, "3.23.9"), held(V23, "3.23.10")
        plan = plan_of([V23], upstream("3.23.10"), ledger(nine, ten), LATEST_ONLY)
        assert outcome(plan) == {nine.name: "prune", ten.name: "keep"}

    def test_current_image_is_kept_as_state_holds_it(self) -> None:
        plan = plan_of([V23], UP6, ledger(R6))
        assert plan.steps[0].image is R6
        assert plan.steps[0].reason == "current"
        assert not plan.changes

    def test_upstream_that_fell_behind_builds_nothing(self) -> None:
        plan = plan_of([V23], upstream("3.23.5"), ledger(R6))
        assert outcome(plan) == {R6.name: "keep"}
        assert "upstream offers only 3.23.5" in plan.steps[0].reason

    def test_superseded_release_is_not_rebuilt_when_content_changes(self) -> None:
        changed = V23.model_copy(update={"user": "admin"})
        plan = plan_of([changed], UP6, ledger(R5, R6))
        assert outcome(plan) == {NAME.format(6, 1): "build", R6.name: "keep", R5.name: "keep"}

    def test_pinned_release_is_built_and_never_pruned(self) -> None:
        pinned = V23.model_copy(update={"release": "3.23.5"})
        assert outcome(plan_of([pinned], UP6, ledger(R6))) == {NAME.format(5, 0): "build", R6.name: "keep"}
        plan = plan_of([pinned], UP6, ledger(R5, R6), LATEST_ONLY)
        assert outcome(plan) == {R5.name: "keep", R6.name: "keep"}
        assert step_of(plan, R5.name).reason == "current, pinned to release 3.23.5"

    def test_recorded_release_counts_while_upstream_is_down(self) -> None:
        recorded = V23.model_copy(update={"recorded_release": "3.23.4"})
        plan = plan_of([recorded], Upstream(), Ledger())
        assert outcome(plan) == {NAME.format(4, 0): "build"}
        assert "3.23.4 counts as last known" in plan.warnings[0]

    def test_no_known_release_is_an_error_for_a_build_without_images(self) -> None:
        with pytest.raises(UpstreamError, match=r"v3_23: .*3\.23"):
            plan_of([V23], Upstream(), Ledger())

    def test_no_known_release_leaves_the_images_there_are(self) -> None:
        plan = plan_of([V23], Upstream(), ledger(R6))
        assert outcome(plan) == {R6.name: "keep"}
        assert "is not known" in plan.warnings[0]

    def test_build_that_moves_on_to_another_version(self) -> None:
        moved = build(version="3.24")
        plan = plan_of([moved], upstream("3.24.0", "3.23.6"), ledger(R6))
        assert step_of(plan, "alpine-v3_23-3.24.0-x86_64-r0").reason == "new release 3.24.0 (was 3.23.6)"
        assert step_of(plan, R6.name).action is Action.KEEP


class TestEndOfLife:
    OVER = upstream("3.23.6", end_of_life=date(2026, 11, 22))

    def test_no_new_builds_and_the_reason_is_said(self) -> None:
        plan = plan_of([V23], self.OVER, ledger(R5))
        assert outcome(plan) == {R5.name: "keep"}
        assert plan.steps[0].reason == "version 3.23 is past its end of life (2026-11-22): no new images"

    def test_build_without_images_is_told_as_a_warning(self) -> None:
        plan = plan_of([V23], self.OVER, Ledger())
        assert plan.steps == ()
        assert "v3_23: version 3.23 is past its end of life" in plan.warnings[0]

    def test_last_day_is_supported(self) -> None:
        assert outcome(plan_of([V23], upstream("3.23.6", end_of_life=TODAY), Ledger())) == {NAME.format(6, 0): "build"}

    def test_profile_may_prolong(self) -> None:
        longer = V23.model_copy(update={"end_of_life": date(2027, 1, 1)})
        assert outcome(plan_of([longer], self.OVER, Ledger())) == {NAME.format(6, 0): "build"}


class TestEdge:
    EDGE = build("edge", "edge")

    def test_every_day_has_its_image(self) -> None:
        plan = plan_of([self.EDGE], Upstream(), ledger(held(self.EDGE, "edge-20261122")))
        assert outcome(plan) == {
            "alpine-edge-edge-20261123-x86_64-r0": "build",
            "alpine-edge-edge-20261122-x86_64-r0": "keep",
        }

    def test_same_day_changes_nothing(self) -> None:
        assert not plan_of([self.EDGE], Upstream(), ledger(held(self.EDGE, "edge-20261123"))).changes

    def test_only_the_newest_stay(self) -> None:
        images = [held(self.EDGE, f"edge-202611{day}") for day in (19, 20, 21, 22, 23)]
        plan = plan_of([self.EDGE], Upstream(), ledger(*images), edge_keep=2)
        pruned = [step for step in plan.steps if step.action is Action.PRUNE]
        assert [step.name for step in pruned] == [image.name for image in images[2::-1]]
        assert {(step.level, step.reason) for step in pruned} == {("edge", "edge: the newest 2 images are kept")}


class TestRevisions:
    def test_changed_content_makes_the_next_revision_and_says_what_changed(self) -> None:
        changed = V23.model_copy(update={"user": "admin"})
        step = step_of(plan_of([changed], UP6, ledger(R6)), NAME.format(6, 1))
        assert step.action is Action.BUILD
        assert step.reason == "revision r1: user changed in the profile"

    def test_changed_guest_files_say_so(self) -> None:
        before = held(V23, "3.23.6")
        spec = before.spec.model_copy(update={"digest": "sha256:other"})
        image = type(before)(before.resource, spec, before.record, before.command)
        assert "guest files or template changed" in plan_of([V23], UP6, ledger(image)).steps[0].reason

    def test_next_revision_follows_the_highest_number(self) -> None:
        changed = V23.model_copy(update={"user": "admin"})
        images = [held(V23, "3.23.6", revision) for revision in (2, 9, 10)]
        assert outcome(plan_of([changed], UP6, ledger(*images)))[NAME.format(6, 11)] == "build"

    def test_only_the_newest_revision_can_be_current(self) -> None:
        """Content that went back to an older revision's gets a new one, so that the newest is always the right one."""
        changed = V23.model_copy(update={"user": "admin"})
        plan = plan_of([V23], UP6, ledger(R6, held(changed, "3.23.6", 1)))
        assert outcome(plan)[NAME.format(6, 2)] == "build"

    def test_pinned_revision_stays_whatever_the_content(self) -> None:
        pinned = V23.model_copy(update={"user": "admin", "revision": 0})
        plan = plan_of([pinned], UP6, ledger(R6, held(V23, "3.23.6", 1)), LATEST_ONLY)
        assert outcome(plan) == {NAME.format(6, 1): "keep", NAME.format(6, 0): "keep"}
        assert step_of(plan, R6.name).reason == "current, pinned to revision r0"

    def test_pinned_revision_is_built_by_its_number(self) -> None:
        pinned = V23.model_copy(update={"revision": 7})
        assert outcome(plan_of([pinned], UP6, ledger(R6))) == {NAME.format(6, 7): "build", R6.name: "keep"}


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

    def test_level_that_names_no_build_is_told(self) -> None:
        plan = plan_of([V23], UP6, ledger(R6), Retention(release=Level(builds=("v3_2",))))
        assert plan.warnings == ("retention.release.builds names v3_2, which is no build of the profile or the ledger",)

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


class TestOnly:
    OTHER = build("other")

    def test_other_builds_are_left_as_they_are(self) -> None:
        shared = self.OTHER.model_copy(update={"access": Access(public=True), "user": "admin"})
        gone, old = held(build("gone"), "3.23.1"), held(self.OTHER, "3.23.5")
        plan = plan_of([V23, shared], UP6, ledger(R5, old, gone), LATEST_ONLY, only=["v3_23"])
        assert outcome(plan) == {NAME.format(6, 0): "build", R5.name: "keep", old.name: "keep", gone.name: "keep"}
        assert step_of(plan, old.name).image == old
        assert step_of(plan, old.name).reason == "not in this run, which is about v3_23"

    def test_removed_build_may_be_named(self) -> None:
        one, two = held(build("one"), "3.23.1"), held(build("two"), "3.23.1")
        plan = plan_of([V23], UP6, ledger(R5, one, two), only=["one"])
        assert outcome(plan) == {R5.name: "keep", one.name: "prune", two.name: "keep"}

    def test_unknown_name_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(SettingsError, match=r"builds: 'v3_32' is not a build.*did you mean v3_23"):
            plan_of([V23], UP6, Ledger(), only=["v3_32"])


class TestAdoption:
    FOREIGN = AccountImage(NAME.format(6, 0), "ami-foreign")

    def test_foreign_image_of_the_wanted_name(self) -> None:
        plan = plan_of([V23], UP6, Ledger(), account=account(self.FOREIGN))
        (step,) = plan.steps
        assert step.action is Action.ADOPT
        assert step.reason == (
            "ami-foreign of that name is in the account, made by someone else, whose it stays; "
            "its tags don't name its content"
        )
        assert isinstance(step.image, PlannedImage)
        assert step.image.existing == self.FOREIGN

    @pytest.mark.parametrize(
        ("content", "holds"),
        [
            ("sha256:other", "it holds other content (sha256:other)"),
            (f"sha256:{V23.user}", "it holds this very content"),
            (None, "its tags don't name its content"),
        ],
    )
    def test_another_stacks_image_of_the_wanted_name_says_whose_it_is_and_what_it_holds(
        self, content: str | None, holds: str
    ) -> None:
        theirs = AccountImage(NAME.format(6, 0), "ami-theirs", {"stack": "other", "stack-id": "5"}, digest=content)
        plan = plan_of([V23], UP6, Ledger(), account=account(theirs))
        (step,) = plan.steps
        assert step.action is Action.ADOPT
        maker = "made by stack other (id 5)"
        assert step.reason == f"ami-theirs of that name is in the account, {maker}, whose it stays; {holds}"
        differs = content == "sha256:other"
        assert [f"{maker}, holds other content than v3_23" in warning for warning in plan.warnings] == [True] * differs
        held_by_now = plan_of([V23], UP6, after(plan), account=account(theirs))
        assert held_by_now.warnings == plan.warnings
        assert f"{maker}, so never changed" in held_by_now.steps[0].reason

    @pytest.mark.parametrize("name", [{"suffix": "-mine"}, {"prefix": "aaa-"}])
    def test_another_suffix_gives_one_an_image_of_ones_own(self, name: dict[str, str]) -> None:
        theirs = AccountImage(NAME.format(6, 0), "ami-theirs", {"stack": "other", "stack-id": "5"}, digest="sha256:5")
        first = plan_of([V23], UP6, Ledger(), account=account(theirs))
        mine = build(**name)
        plan = plan_of([mine], UP6, after(first), account=account(theirs))
        own = mine.image_name("3.23.6", 0)
        assert outcome(plan) == {own: "build", theirs.name: "keep"}
        assert not plan.warnings
        reason = f"an image of one's own instead of {theirs.name}, which someone else made"
        assert step_of(plan, own).reason == reason
        later = plan_of([mine], UP6, after(plan), account=account(theirs, *after(plan).images[1:]))
        assert next(step.name for step in later.steps) == own

    def test_newest_revision_of_an_old_account_is_adopted(self) -> None:
        images = [AccountImage(NAME.format(6, number), f"ami-{number}") for number in (9, 10)]
        assert outcome(plan_of([V23], UP6, Ledger(), account=account(*images))) == {NAME.format(6, 10): "adopt"}

    def test_adopted_image_is_current_and_its_access_untouched(self) -> None:
        first = plan_of([V23], UP6, Ledger(), account=account(self.FOREIGN))
        public = V23.model_copy(update={"access": Access(public=True)})
        plan = plan_of([public], UP6, after(first), account=account(self.FOREIGN))
        assert not plan.changes
        assert plan.steps[0].reason == "current; made by someone else, so never changed"

    def test_interrupted_runs_image_is_found_again(self) -> None:
        own = seen(held(V23, "3.23.6"))
        plan = plan_of([V23], UP6, ledger(R5), account=account(R5, own))
        assert step_of(plan, own.name).action is Action.ADOPT
        assert "this stack's own, from an interrupted run" in step_of(plan, own.name).reason

    def test_half_made_image_does_not_hold_its_name(self) -> None:
        half = seen(held(V23, "3.23.6"), half_made=True)
        assert outcome(plan_of([V23], UP6, Ledger(), account=account(half))) == {NAME.format(6, 0): "build"}

    def test_own_image_of_other_content_is_passed_over(self) -> None:
        own = seen(held(V23, "3.23.6"), digest="sha256:other")
        assert outcome(plan_of([V23], UP6, Ledger(), account=account(own))) == {NAME.format(6, 1): "build"}

    def test_foreign_image_does_not_answer_to_changed_content(self) -> None:
        changed = V23.model_copy(update={"user": "admin"})
        foreign = AccountImage(NAME.format(6, 1), "ami-foreign")
        plan = plan_of([changed], UP6, ledger(R6), account=account(R6, foreign))
        assert outcome(plan) == {NAME.format(6, 2): "build", R6.name: "keep"}

    def test_own_image_below_the_newest_revision_is_passed_over(self) -> None:
        """Adopting it would leave the newest image with the old content."""
        newest = held(V23.model_copy(update={"user": "admin"}), "3.23.6", 2)
        older = seen(held(V23, "3.23.6", 1))
        plan = plan_of([V23], UP6, ledger(newest), account=account(newest, older))
        assert outcome(plan) == {NAME.format(6, 3): "build", newest.name: "keep"}

    def test_name_that_a_missing_image_has_in_state_is_not_adopted(self) -> None:
        """One name can't be forgotten and adopted in one update."""
        view = account(AccountImage(R6.name, "ami-by-hand"), missing=[R6])
        plan = plan_of([V23], UP6, ledger(R6), account=view)
        assert outcome(plan) == {NAME.format(6, 1): "rebuild", R6.name: "keep"}

    @pytest.mark.parametrize("name", [NAME.format(6, "01"), NAME.format(60, 0), NAME.format(6, 0) + "-x", "other"])
    def test_other_names_are_nobodys(self, name: str) -> None:
        plan = plan_of([V23], UP6, Ledger(), account=account(AccountImage(name, "ami-1")))
        assert outcome(plan) == {NAME.format(6, 0): "build"}

    def test_suffix_is_part_of_the_name(self) -> None:
        suffixed = build(suffix="-r2-x")
        name = NAME.format(6, 7)
        view = account(AccountImage(f"{name}-r2-x", "ami-1"), AccountImage(NAME.format(6, 9), "ami-2"))
        assert outcome(plan_of([suffixed], UP6, Ledger(), account=view)) == {f"{name}-r2-x": "adopt"}

    def test_pinned_revision_is_adopted(self) -> None:
        pinned = V23.model_copy(update={"revision": 3})
        view = account(AccountImage(NAME.format(6, 3), "ami-3"), AccountImage(NAME.format(6, 4), "ami-4"))
        assert outcome(plan_of([pinned], UP6, Ledger(), account=view)) == {NAME.format(6, 3): "adopt"}


class TestMissing:
    """One update marks what no read shows, a later one forgets it; nothing of it is ever deleted."""

    MARKED = replace(R6, record=R6.record.model_copy(update={"missing": TODAY}))

    def test_it_is_marked_and_rebuilt_first_and_forgotten_by_the_next_update(self) -> None:
        plan = plan_of([V23], UP6, ledger(R5, R6), account=account(R5, missing=[R6]))
        assert outcome(plan) == {NAME.format(6, 1): "rebuild", R6.name: "keep", R5.name: "keep"}
        assert step_of(plan, NAME.format(6, 1)).reason == f"revision r1: {R6.record.omi} (r0) is missing"
        marked = step_of(plan, R6.name)
        assert [change.kind for change in marked.changes] == [ChangeKind.MARK_MISSING]
        assert marked.updates
        held_then = after(plan)
        again = plan_of(
            [V23], UP6, held_then, account=account(*held_then.images[:1], held_then.images[2], missing=[R6])
        )
        forgotten = step_of(again, R6.name)
        assert (forgotten.action, forgotten.level, forgotten.forgets) == (Action.PRUNE, "gone", True)
        assert not plan_of([V23], UP6, after(again)).changes

    def test_one_answer_that_lacks_it_changes_nothing(self) -> None:
        for retention in (None, LATEST_ONLY):
            plan = plan_of([V23], UP6, ledger(R5, R6), retention, account=account(R5))
            assert outcome(plan) == {R6.name: "keep", R5.name: "keep"}
            assert not plan.changes
            assert "the account's answers differ" in step_of(plan, R6.name).reason

    def test_what_is_there_again_is_kept(self) -> None:
        plan = plan_of([V23], UP6, ledger(self.MARKED), account=account(R6))
        assert [change.kind for change in step_of(plan, R6.name).changes] == [ChangeKind.FOUND]
        assert not plan_of([V23], UP6, after(plan), account=account(R6)).changes

    def test_rebuild_counts_on_from_what_is_missing(self) -> None:
        gone = held(V23, "3.23.6", 5)
        plan = plan_of([V23], UP6, ledger(R5, gone), account=account(R5, missing=[gone]))
        assert outcome(plan) == {NAME.format(6, 6): "rebuild", gone.name: "keep", R5.name: "keep"}

    def test_forgetting_the_only_image_is_no_mass_prune(self) -> None:
        plan = plan_of([V23], UP6, ledger(self.MARKED), Retention(), account=account(missing=[R6]))
        assert outcome(plan) == {NAME.format(6, 1): "rebuild", R6.name: "prune"}
        assert not plan.refused

    def test_missing_image_is_no_replacement(self) -> None:
        plan = plan_of([V23], UP6, ledger(R5, R6), LATEST_ONLY, account=account(R5, missing=[R6]))
        assert step_of(plan, R5.name).action is Action.KEEP

    def test_pinned_revision_that_is_missing_comes_back_once_it_is_forgotten(self) -> None:
        pinned = V23.model_copy(update={"revision": 0})
        marking = plan_of([pinned], UP6, ledger(R5, R6), account=account(R5, missing=[R6]))
        forgetting = plan_of([pinned], UP6, after(marking), account=account(R5, missing=[R6]))
        assert outcome(forgetting) == {R6.name: "prune", R5.name: "keep"}
        assert outcome(plan_of([pinned], UP6, after(forgetting), account=account(R5)))[R6.name] == "build"


class TestClaim:
    def test_what_another_record_holds_is_left_and_named(self) -> None:
        image = replace(R6, record=R6.record.model_copy(update={"claim": "mine"}))
        public = V23.model_copy(update={"access": Access(public=True)})
        for tag, updates in (("mine", True), (None, True), ("theirs", False)):
            view = account(seen(image, tags={"claim": tag} if tag else {}))
            (step,) = plan_of([public], UP6, ledger(image), account=view).steps
            assert (step.action, step.updates) == (Action.KEEP, updates)
            assert ("another record holds" in step.reason) is not updates


class TestDrift:
    def test_permissions_changed_outside_are_put_back(self) -> None:
        view = account(seen(R6, access=Access(public=True)))
        plan = plan_of([V23], UP6, ledger(R6), account=view)
        (step,) = plan.steps
        assert step.updates
        assert "launch permissions were changed outside and are put back" in step.reason
        (image,) = after(plan).images
        assert image.command.stdin != R6.command.stdin
        assert image.spec == R6.spec
        assert not plan_of([V23], UP6, after(plan), account=account(R6)).changes

    def test_order_of_accounts_is_no_drift(self) -> None:
        shared = V23.model_copy(update={"access": Access(accounts=("1", "2"))})
        image = held(shared, "3.23.6")
        view = account(seen(image, access=Access(accounts=("2", "1"))))
        assert not plan_of([shared], UP6, ledger(image), account=view).changes


class TestAccess:
    def test_change_updates_every_kept_image_of_the_build(self) -> None:
        public = V23.model_copy(update={"access": Access(public=True)})
        plan = plan_of([public], UP6, ledger(R5, R6))
        assert [step.updates for step in plan.steps] == [True, True]
        assert plan.steps[0].reason == "current; everyone may launch it: `access` in the profile"
        assert all('"public":true' in image.command.stdin for image in after(plan).images)


class TestRefusals:
    def test_two_builds_of_one_image_name(self) -> None:
        with pytest.raises(PlanError, match=r"builds v3_23 and zwei would make OMIs of the same name"):
            plan_of([V23, build("zwei", prefix=V23.prefix)], UP6, Ledger())

    def test_two_builds_of_one_name(self) -> None:
        with pytest.raises(ProfileError, match="two builds are named v3_23"):
            plan_of([V23, build(version="3.22")], UP6, Ledger())

    @pytest.mark.parametrize("prefix", ["alpine*", "x" * 120, "é"])
    def test_name_outside_the_clouds_rule(self, prefix: str) -> None:
        with pytest.raises(ProfileError, match="is not allowed: 3 to 128"):
            plan_of([build(prefix=prefix)], UP6, Ledger())


class TestDiscover:
    SUPPORTED = upstream("3.23.6", "3.24.1")

    def test_supported_versions_and_what_the_ledger_holds(self) -> None:
        old = ledger(held(build("v3_22", "3.22"), "3.22.1"))
        found = versions_to_discover(self.SUPPORTED, old, Retention(), TODAY, "alpine", "x86_64")
        assert found == {"3.22", "3.23", "3.24"}

    def test_outage_takes_no_version_away(self) -> None:
        assert versions_to_discover(Upstream(), ledger(R6), Retention(), TODAY, "alpine", "x86_64") == {"3.23"}

    @pytest.mark.parametrize(
        ("mirror", "found"),
        [
            (MirrorRelease(None), {"3.23"}),
            (MirrorRelease(None, stale=True), {"3.23", "3.24"}),
            (MirrorRelease("3.24.1"), {"3.23", "3.24"}),
        ],
    )
    def test_version_that_the_mirror_does_not_have_yet_waits(self, mirror: MirrorRelease, found: set[str]) -> None:
        now = replace(self.SUPPORTED, mirror={("3.24", "x86_64"): mirror})
        assert versions_to_discover(now, Ledger(), Retention(), TODAY, "alpine", "x86_64") == found

    def test_end_of_life_level_lets_a_version_go(self) -> None:
        over = upstream("3.23.6", end_of_life=date(2026, 11, 1))
        levels = [(Level(), set()), (Level(grace_days=22), {"3.23"}), (Level(builds=("other",)), {"3.23"})]
        for level, expected in levels:
            retention = Retention(end_of_life=level)
            assert versions_to_discover(over, ledger(R6), retention, TODAY, "alpine", "x86_64") == expected


def test_mirror_decides_over_releases_json() -> None:
    behind = Upstream(UP6.branches, None, {("3.23", "x86_64"): MirrorRelease("3.23.5")})
    plan = plan_of([V23], behind, Ledger())
    assert outcome(plan) == {NAME.format(5, 0): "build"}
    assert plan.warnings == (
        "Alpine 3.23 for x86_64: releases.json names 3.23.6, but the mirror only has 3.23.5, which counts",
    )
