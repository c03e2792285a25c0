"""What the planner builds and keeps: by example."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from omi.config.settings import Level, Retention
from omi.plan import Action
from omi.plan.discover import versions_to_discover
from omi.plan.memory import Memory
from omi.profile.model import Access
from omi.state.ledger import Ledger, LedgerImage
from omi.support.errors import PlanError, ProfileError, UpstreamError
from omi.upstream.model import MirrorRelease, Upstream
from tests.omi.plan.examples import LATEST_ONLY, NAME, R5, R6, UP6, V23
from tests.omi.plan.make import TODAY, account, after, build, held, ledger, outcome, plan_of, seen, step_of, upstream


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

    def test_two_builds_whose_templates_make_one_name(self) -> None:
        other = build("zwei", prefix="", name_template="alpine-v{version}_23-{release}-x86_64-{revision}")
        same = other.model_copy(update={"name_template": f"{V23.prefix}{{release}}-x86_64-{{revision}}"})
        assert len(plan_of([V23, other], UP6, Ledger()).of(Action.BUILD)) == 2
        with pytest.raises(PlanError, match=r"builds v3_23 and zwei would make OMIs of the same name.*name_template"):
            plan_of([V23, same], UP6, Ledger())

    def test_two_builds_of_one_name(self) -> None:
        with pytest.raises(ProfileError, match="two builds are named v3_23"):
            plan_of([V23, build(version="3.22")], UP6, Ledger())

    @pytest.mark.parametrize("prefix", ["alpine*", "x" * 120, "é"])
    def test_name_outside_the_clouds_rule(self, prefix: str) -> None:
        with pytest.raises(ProfileError, match="is not allowed: 3 to 128"):
            plan_of([build(prefix=prefix)], UP6, Ledger())


def discovered(known: Upstream, images: Ledger, retention: Retention | None = None) -> frozenset[str]:
    """The versions of the profile, without a memory."""

    def last_day(image: LedgerImage) -> date | None:
        return Memory().last_day(image.version, [image.spec.end_of_life], known, TODAY)

    return versions_to_discover(known, images, retention or Retention(), TODAY, "alpine", "x86_64", last_day)


class TestDiscover:
    SUPPORTED = upstream("3.23.6", "3.24.1")

    def test_supported_versions_and_what_the_ledger_holds(self) -> None:
        old = ledger(held(build("v3_22", "3.22"), "3.22.1"))
        found = discovered(self.SUPPORTED, old)
        assert found == {"3.22", "3.23", "3.24"}

    def test_outage_takes_no_version_away(self) -> None:
        assert discovered(Upstream(), ledger(R6)) == {"3.23"}

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
        assert discovered(now, Ledger()) == found

    def test_end_of_life_level_lets_a_version_go(self) -> None:
        over = upstream("3.23.6", end_of_life=date(2026, 11, 1))
        levels = [(Level(), set()), (Level(grace_days=22), {"3.23"}), (Level(builds=("other",)), {"3.23"})]
        for level, expected in levels:
            retention = Retention(end_of_life=level)
            assert discovered(over, ledger(R6), retention) == expected


def test_mirror_decides_over_releases_json() -> None:
    behind = Upstream(UP6.branches, {("3.23", "x86_64"): MirrorRelease("3.23.5")})
    plan = plan_of([V23], behind, Ledger())
    assert outcome(plan) == {NAME.format(5, 0): "build"}
    assert plan.warnings == (
        "Alpine 3.23 for x86_64: releases.json names 3.23.6, but the mirror only has 3.23.5, which counts",
    )
