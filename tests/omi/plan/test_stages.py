"""How shared images go: by example, and what must hold over many days and changes of mind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omi.config.settings import Level, Retention, SharedDays, StageDays, Stages
from omi.plan import Action, Plan
from omi.plan.model import ChangeKind
from omi.plan.stages import revocation, withdraw
from omi.profile.model import Access
from omi.state.account import AccountView
from omi.state.ledger import LedgerImage
from omi.state.withdrawal import Stage, Why, Withdrawal
from tests.omi.plan.cases import Case, cases
from tests.omi.plan.make import TODAY, account, after, build, held, ledger, outcome, plan_of, seen, step_of, upstream
from tests.omi.plan.test_properties import case_after, gone, many

PUBLIC = build(access=Access(public=True))
OLD, NEW = held(PUBLIC, "3.23.5"), held(PUBLIC, "3.23.6")
UP6 = upstream("3.23.6")
BY_RELEASE = Retention(release=Level())
WHYS: tuple[Why, ...] = ("superseded", "end of life", "removed")


def day(number: int) -> date:
    return TODAY + timedelta(days=number)


def kinds(plan: Plan, name: str) -> list[ChangeKind]:
    return [change.kind for change in step_of(plan, name).changes]


class TestWay:
    """One shared image, from the day on which its successor is in the ledger."""

    def test_it_is_deprecated_then_private_then_deregistered_each_on_its_day(self) -> None:
        images, reached = ledger(OLD, NEW), dict[str, int]()
        for number in range(62):
            plan = plan_of([PUBLIC], UP6, images, BY_RELEASE, today=day(number))
            step = step_of(plan, OLD.name)
            what = "pruned" if step.action is Action.PRUNE else step.stage.value
            reached.setdefault(what, number)
            if step.action is Action.PRUNE:
                break
            assert step.updates == (number in (0, 30)), "once for each stage, and no day moves"
            images = after(plan)
        assert reached == {"deprecated": 0, "private": 30, "pruned": 60}

    def test_one_that_nobody_else_could_launch_goes_at_once_though_its_build_is_shared_by_now(self) -> None:
        private = held(build(), "3.23.5")
        public = build(access=Access(public=True))
        assert step_of(plan_of([public], UP6, ledger(private, NEW), BY_RELEASE), private.name).action is Action.PRUNE

    def test_one_that_is_shared_today_and_superseded_counts_as_shared_from_now_on(self) -> None:
        private = held(build(), "3.23.5")
        public = build(access=Access(public=True))
        step = step_of(plan_of([public], UP6, ledger(private, NEW), Retention()), private.name)
        assert isinstance(step.image, LedgerImage)
        assert step.image.spec.withdrawal is not None
        assert (step.image.spec.withdrawal.shared, step.image.spec.access.public) == (True, True)

    def test_a_preview_tells_what_comes_and_when_before_it_comes(self) -> None:
        first = plan_of([PUBLIC], UP6, ledger(OLD, NEW), BY_RELEASE)
        (change,) = step_of(first, OLD.name).changes
        assert change.kind is ChangeKind.DEPRECATE
        assert change.reason == (
            "release: the newest release of version 3.23 is kept; deprecated since 2026-11-23, "
            "becomes private on 2026-12-23, is deregistered from 2027-01-22 on"
        )
        second = plan_of([PUBLIC], UP6, after(first), BY_RELEASE, today=day(9))
        assert step_of(second, OLD.name).reason == change.reason
        third = plan_of([PUBLIC], UP6, after(second), BY_RELEASE, today=day(33))
        (change,) = step_of(third, OLD.name).changes
        assert change.kind is ChangeKind.MAKE_PRIVATE
        assert "private since 2026-12-26, is deregistered from 2027-01-25 on" in change.reason
        last = plan_of([PUBLIC], UP6, after(third), BY_RELEASE, today=day(63))
        assert step_of(last, OLD.name).reason.endswith("private since 2026-12-26, is deregistered from 2027-01-25 on")

    def test_a_private_image_keeps_the_days_of_private_ones(self) -> None:
        mine = build()
        days = Stages(private=StageDays(deprecated_days=3))
        kept = BY_RELEASE.model_copy(update={"stages": days})
        images = ledger(held(mine, "3.23.5"), held(mine, "3.23.6"))
        first = plan_of([mine], UP6, images, kept)
        second = plan_of([mine], UP6, after(first), kept, today=day(1))
        assert not second.changes
        assert (
            step_of(plan_of([mine], UP6, after(second), kept, today=day(3)), held(mine, "3.23.5").name).action
            is Action.PRUNE
        )

    def test_a_private_image_goes_at_once_as_ever(self) -> None:
        mine = build()
        plan = plan_of([mine], UP6, ledger(held(mine, "3.23.5"), held(mine, "3.23.6")), BY_RELEASE)
        assert step_of(plan, held(mine, "3.23.5").name).action is Action.PRUNE

    def test_a_superseded_image_that_is_kept_is_deprecated_without_a_date(self) -> None:
        plan = plan_of([PUBLIC], UP6, ledger(OLD, NEW), Retention())
        assert kinds(plan, OLD.name) == [ChangeKind.DEPRECATE]
        image = step_of(plan, OLD.name).image
        assert isinstance(image, LedgerImage)
        assert image.spec.withdrawal == Withdrawal(why="superseded", shared=True, deprecated=TODAY)
        later = plan_of([PUBLIC], UP6, after(plan), BY_RELEASE, today=day(100))
        assert kinds(later, OLD.name) == [ChangeKind.ANNOUNCE]
        assert "deprecated since 2026-11-23, becomes private on 2027-04-02" in step_of(later, OLD.name).reason

    def test_the_newest_of_a_version_past_its_end_is_deprecated_and_stays(self) -> None:
        over = upstream("3.23.6", end_of_life=TODAY - timedelta(days=1))
        retention = Retention(end_of_life=Level(), release=Level())
        images = ledger(NEW)
        for number in (0, 40, 400):
            plan = plan_of([PUBLIC], over, images, retention, today=day(number))
            assert (step_of(plan, NEW.name).action, step_of(plan, NEW.name).stage) == (Action.KEEP, Stage.DEPRECATED)
            images = after(plan)
        assert '"why":"end of life"' in images.images[0].command.stdin

    def test_a_build_taken_out_of_the_profile_withdraws_its_shared_images_and_brings_them_back(self) -> None:
        other = build("other", access=Access(accounts=("210987654321",)))
        image = held(other, "3.23.6")
        removed = plan_of([PUBLIC], UP6, ledger(NEW, image), Retention())
        assert kinds(removed, image.name) == [ChangeKind.DEPRECATE]
        private = plan_of([PUBLIC], UP6, after(removed), Retention(), today=day(30))
        assert kinds(private, image.name) == [ChangeKind.MAKE_PRIVATE]
        back = plan_of([PUBLIC, other], UP6, after(private), Retention(), today=day(31))
        (change,) = step_of(back, image.name).changes
        assert (change.kind, change.reason) == (ChangeKind.RESTORE, "current; 210987654321 may launch it again")
        assert {one.name: one.command.stdin for one in after(back).images}[image.name] == image.command.stdin

    def test_protected_it_is_shared_again_and_in_use_it_is_only_not_deregistered(self) -> None:
        withdrawal = Withdrawal(
            why="superseded", shared=True, deprecated=day(-60), due=day(-60), private=day(-30), removal=TODAY
        )
        private = OLD.published(PUBLIC.access, withdrawal)
        assert outcome(plan_of([PUBLIC], UP6, ledger(private, NEW), BY_RELEASE))[OLD.name] == "prune"
        protect = BY_RELEASE.model_copy(update={"protect": (OLD.name,)})
        plan = plan_of([PUBLIC], UP6, ledger(private, NEW), protect)
        assert (kinds(plan, OLD.name), step_of(plan, OLD.name).stage) == ([ChangeKind.RESTORE], Stage.DEPRECATED)
        used = account(NEW, seen(private, used_by=("i-1",), access=Access()))
        plan = plan_of([PUBLIC], UP6, ledger(private, NEW), BY_RELEASE, account=used)
        assert (kinds(plan, OLD.name), step_of(plan, OLD.name).stage) == ([], Stage.PRIVATE)
        assert step_of(plan, OLD.name).reason.startswith("in use by i-1 (release: ")

    @pytest.mark.parametrize(
        ("deprecated", "private", "stages"),
        [(0, 0, ["pruned"]), (0, 5, ["private", "pruned"]), (5, 0, ["deprecated", "pruned"])],
    )
    def test_a_stage_of_no_days_is_left_out(self, deprecated: int, private: int, stages: list[str]) -> None:
        days = SharedDays(deprecated_days=deprecated, private_days=private)
        retention = BY_RELEASE.model_copy(update={"stages": Stages(shared=days)})
        images, seen_stages = ledger(OLD, NEW), []
        for number in (0, 5, 10):
            plan = plan_of([PUBLIC], UP6, images, retention, today=day(number))
            if OLD.name in outcome(plan):
                step = step_of(plan, OLD.name)
                seen_stages.append("pruned" if step.action is Action.PRUNE else step.stage.value)
            images = after(plan)
        assert seen_stages == stages

    def test_many_made_private_at_once_wait_as_many_prunes_do(self) -> None:
        others = [build(f"b{number}", access=Access(public=True)) for number in range(3)]
        images = ledger(NEW, *(held(other, "3.23.6") for other in others))
        images = after(plan_of([PUBLIC], UP6, images, Retention()))
        assert not plan_of([PUBLIC], UP6, images, Retention(), today=day(29)).changes
        plan = plan_of([PUBLIC], UP6, images, Retention(), today=day(30))
        assert plan.refused[0].startswith("3 of 4 images would be made private at once without a newer verified image")
        assert not plan.changes, "they wait as they are"

    def test_superseded_ones_are_made_private_in_any_number(self) -> None:
        builds = [build(f"b{number}", access=Access(public=True)) for number in range(6)]
        images = ledger(*(held(of, release) for of in builds for release in ("3.23.5", "3.23.6")))
        retention = BY_RELEASE.model_copy(update={"allow_mass_prune": ()})
        images = after(plan_of(builds, UP6, images, retention))
        plan = plan_of(builds, UP6, images, retention, today=day(30))
        assert Counter(step.stage for step in plan.steps) == {Stage.PRIVATE: 6, Stage.CURRENT: 6}

    def test_access_that_drifts_while_private_is_put_back_to_nobody(self) -> None:
        withdrawal = Withdrawal(
            why="superseded", shared=True, deprecated=day(-9), due=day(-9), private=TODAY, removal=day(30)
        )
        private = OLD.published(PUBLIC.access, withdrawal)
        view = account(NEW, seen(private, access=Access(public=True)))
        plan = plan_of([PUBLIC], UP6, ledger(private, NEW), BY_RELEASE, account=view)
        assert kinds(plan, OLD.name) == [ChangeKind.PUT_BACK]


days = st.builds(StageDays, deprecated_days=st.integers(0, 4), private_days=st.integers(0, 4))
RANK = (Stage.CURRENT, Stage.DEPRECATED, Stage.PRIVATE)


@many
@given(days, st.lists(st.tuples(st.sampled_from(WHYS), st.integers(0, 3)), min_size=1, max_size=20))
def test_what_is_due_only_moves_forward_and_never_before_the_day_that_was_told(
    days: StageDays, runs: list[tuple[Why, int]]
) -> None:
    old, today, told = None, TODAY, None
    for why, later in runs:
        today += timedelta(days=later)
        now = withdraw(old, why, True, False, days, today)
        before = old.stage if old else Stage.CURRENT
        if now.over:
            assert told is None or today >= told
            assert old is not None or days == StageDays()
            return
        assert now.withdrawal is not None
        assert RANK.index(now.withdrawal.stage) >= RANK.index(before)
        assert now.withdrawal.removal is not None
        assert told is None or now.withdrawal.removal >= told
        if old is not None and now.withdrawal.stage is before:
            assert now.withdrawal == old.model_copy(update={"why": why})
        old, told = now.withdrawal, now.withdrawal.removal


def withdrawals(case: Case) -> dict[str, Withdrawal | None]:
    """Of the images that others may launch, or might before they were made private."""
    images = [image for image in case.images if image.spec.access != Access() and not image.record.adopted]
    return {image.name: image.spec.withdrawal for image in images}


@many
@given(cases, st.integers(0, 70), st.integers(0, 70))
def test_a_shared_image_is_never_deregistered_without_having_been_private_for_its_days(
    case: Case, first: int, second: int
) -> None:
    plan = case.plan()
    taken = {step.name for step in plan.of(Action.PRUNE) if step.level != "gone"}
    assert not taken & withdrawals(case).keys()
    later = case_after(case, plan)
    for number in (first, first + second):
        later = replace(later, today=day(number))
        plan = later.plan()
        shared = withdrawals(later)
        for step in plan.of(Action.PRUNE):
            if step.level != "gone" and step.name in shared:
                withdrawal = shared[step.name]
                assert withdrawal is not None
                assert withdrawal.private is not None
                assert later.today >= withdrawal.private + timedelta(days=30)
        later = case_after(later, plan)


@many
@given(cases)
def test_what_is_current_or_newest_is_never_made_private(case: Case) -> None:
    missing = gone(case)
    for number in (0, 30, 60):
        plan = replace(case, today=day(number)).plan()
        for one in case.builds:
            images = [i for i in case.images if i.build == one.name and i.record.verified and i.name not in missing]
            if images:
                assert step_of(plan, max(images, key=lambda image: image.order).name).stage is not Stage.PRIVATE


@many
@given(cases)
def test_a_plan_of_the_same_day_or_the_next_changes_no_stage_again(case: Case) -> None:
    first = case.plan()
    second = case_after(case, first)
    plan = replace(second, today=day(1)).plan()
    stages = {step.name: step for step in first.steps if isinstance(step.image, LedgerImage)}
    for step in plan.steps:
        before = stages.get(step.name)
        if before is not None and before.action is Action.KEEP and before.stage is Stage.DEPRECATED:
            was, now = before.image, step.image
            assert isinstance(was, LedgerImage)
            assert isinstance(now, LedgerImage)
            if step.stage is Stage.DEPRECATED and now.spec.withdrawal and was.spec.withdrawal:
                assert now.spec.withdrawal.deprecated == was.spec.withdrawal.deprecated


def test_the_account_alone_changes_no_stage() -> None:
    """Who launches it from other accounts can't be seen, so what can't be seen decides nothing."""
    view = AccountView.of([seen(OLD), seen(NEW)])
    with_account = plan_of([PUBLIC], UP6, ledger(OLD, NEW), BY_RELEASE, account=view)
    assert with_account == plan_of([PUBLIC], UP6, ledger(OLD, NEW), BY_RELEASE)


def test_without_a_private_stage_the_reason_names_the_day_on_which_it_is_deregistered() -> None:
    days = Stages(shared=SharedDays(deprecated_days=10, private_days=0))
    step = step_of(plan_of([PUBLIC], UP6, ledger(OLD, NEW), Retention(release=Level(), stages=days)), OLD.name)
    assert step.reason.endswith(f"; deprecated since {TODAY}, is deregistered from {day(10)} on")


def test_a_revoked_image_stays_one_that_was_shared_though_nobody_may_launch_it_any_more() -> None:
    private = OLD.published(Access(), Withdrawal(why="superseded", shared=True, deprecated=TODAY))
    assert revocation(private, "bad", TODAY).shared
    assert not revocation(OLD.published(Access(), None), "bad", TODAY).shared
