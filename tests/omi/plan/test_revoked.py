"""Images that must not be launched: private at once, behind no pointer, and taken back the same way."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from omi.config.settings import Level, Retention
from omi.plan import Action, PlannedImage
from omi.plan.model import ChangeKind, Plan
from omi.plan.stages import revoke
from omi.profile.model import Access
from omi.publish.outputs import newest, output_of
from omi.state.ledger import LedgerImage
from omi.state.withdrawal import Stage, Withdrawal
from tests.omi.plan.make import TODAY, account, after, build, held, ledger, outcome, plan_of, seen, step_of, upstream

PUBLIC = build(access=Access(public=True))
OLD, NEW = held(PUBLIC, "3.23.5"), held(PUBLIC, "3.23.6")
UP6 = upstream("3.23.6")
WHY = "its sshd takes any key"


def revoked(name: str = NEW.name, today: date = TODAY, images: tuple[LedgerImage, ...] = (OLD, NEW)) -> Plan:
    return plan_of([PUBLIC], UP6, ledger(*images), Retention(), revoked={name: WHY}, today=today)


def kept(plan: Plan) -> tuple[LedgerImage, ...]:
    return tuple(step.image for step in plan.steps if isinstance(step.image, LedgerImage))


@pytest.mark.parametrize("name", [NEW.name, NEW.record.omi])
def test_it_becomes_private_at_once_with_its_reason(name: str) -> None:
    step = step_of(revoked(name), NEW.name)
    assert [change.kind for change in step.changes] == [ChangeKind.MAKE_PRIVATE]
    assert step.reason == f"revoked: {WHY}"
    assert isinstance(step.image, LedgerImage)
    assert (step.image.spec.stage, step.image.is_revoked) == (Stage.PRIVATE, True)
    assert step.image.spec.launch_access == Access()


def test_nothing_is_built_for_it_and_a_later_run_changes_nothing() -> None:
    first = revoked()
    assert not first.of(Action.BUILD)
    assert not revoked(images=kept(first), today=TODAY + timedelta(days=40)).changes


def test_an_image_that_was_private_already_is_revoked_on_the_day_on_which_somebody_does() -> None:
    gone = Withdrawal(why="superseded", shared=True, private=TODAY - timedelta(days=9))
    told = revoke(gone, True, WHY, TODAY)
    assert told.since == TODAY
    assert revoke(told, True, WHY, TODAY + timedelta(days=1)) == told


def test_the_image_before_it_is_the_latest_and_goes_for_no_revoked_one() -> None:
    images = ledger(OLD, NEW)
    plan = plan_of([PUBLIC], UP6, images, Retention(release=Level()), revoked={NEW.name: WHY})
    assert step_of(plan, OLD.name).action is Action.KEEP
    assert step_of(plan, OLD.name).stage is Stage.CURRENT
    told = [output_of(image.spec, image.record) for image in reversed(kept(plan))]
    told.sort(key=lambda each: str(each["name"]), reverse=True)
    assert told[0]["revoked"] == WHY
    latest = newest(told, several=False)
    assert latest is not None
    assert latest["name"] == OLD.name
    assert newest(told[:1], several=False) is None


def test_taken_back_it_is_shared_again() -> None:
    images = ledger(*kept(revoked()))
    back = plan_of(
        [PUBLIC],
        UP6,
        images,
        Retention(),
        account=account(*(seen(each, access=each.spec.launch_access) for each in images.images)),
    )
    assert [change.kind for change in step_of(back, NEW.name).changes] == [ChangeKind.RESTORE]
    assert step_of(back, NEW.name).stage is Stage.CURRENT
    again = plan_of([PUBLIC], UP6, after(back), Retention())
    assert not step_of(again, NEW.name).changes


def test_a_revoked_superseded_image_taken_back_is_deprecated_from_then_on() -> None:
    images = ledger(*kept(revoked(OLD.name)))
    back = plan_of([PUBLIC], UP6, images, Retention())
    assert step_of(back, OLD.name).stage is Stage.DEPRECATED


def test_an_image_of_someone_else_is_left_alone() -> None:
    theirs = held(PUBLIC, "3.23.6", adopted=True)
    plan = plan_of([PUBLIC], UP6, ledger(theirs), Retention(), revoked={theirs.name: WHY})
    assert not step_of(plan, theirs.name).changes


def test_no_retention_prunes_it_while_it_is_revoked() -> None:
    images: tuple[LedgerImage, ...] = (OLD, NEW)
    for days in (0, 10, 100):
        plan = plan_of(
            [PUBLIC], UP6, ledger(*images), Retention(release=Level()),
            revoked={OLD.name: WHY}, today=TODAY + timedelta(days=days),
        )  # fmt: skip
        assert step_of(plan, OLD.name).action is Action.KEEP
        assert step_of(plan, OLD.name).reason == f"revoked: {WHY}"
        images = kept(plan)


def test_the_guard_holds_no_revocation_back() -> None:
    builds = [build(name=name, prefix=f"{name}-", access=Access(public=True)) for name in "abcd"]
    images = [held(each, "3.23.6") for each in builds]
    reasons = {image.name: WHY for image in images}
    plan = plan_of(builds, UP6, ledger(*images), Retention(), revoked=reasons)
    assert not plan.refused
    assert {step.stage for step in plan.steps} == {Stage.PRIVATE}


def test_no_removed_build_that_waits_holds_a_revocation_back() -> None:
    old = held(build("old", access=Access(public=True)), "3.23.6")
    plan = plan_of([build("new")], UP6, ledger(old), Retention(), account=account(old), revoked={old.name: WHY})
    assert step_of(plan, old.name).stage is Stage.PRIVATE


def test_nothing_is_built_of_revoked_content() -> None:
    image = kept(revoked(images=(NEW,)))[0]
    content = {NEW.spec.digest}
    asked = {"revoked": {NEW.name: WHY}, "revoked_content": content}
    gone = plan_of([PUBLIC], UP6, ledger(image), Retention(), account=account(missing=[image]), **asked)
    assert not [step for step in gone.steps if isinstance(step.image, PlannedImage)]
    assert any("so nothing is built of it" in warning for warning in gone.warnings)
    empty = plan_of([PUBLIC], UP6, ledger(), Retention(), **asked)
    assert not empty.steps
    changed = PUBLIC.model_copy(update={"user": "other"})
    plan = plan_of([changed], UP6, ledger(image), Retention(), **asked)
    assert [step.action for step in plan.steps if isinstance(step.image, PlannedImage)] == [Action.BUILD]


def test_no_new_image_gets_a_name_that_is_revoked() -> None:
    other = PUBLIC.model_copy(update={"user": "other"})
    fresh = plan_of([other], UP6, ledger(), Retention(), revoked={NEW.name: WHY})
    (step,) = fresh.steps
    assert (step.name, step.action) == (f"{NEW.name.removesuffix('r0')}r1", Action.BUILD)
    pinned = other.model_copy(update={"revision": 0})
    refused = plan_of([pinned], UP6, ledger(OLD), Retention(), revoked={NEW.name: WHY})
    assert outcome(refused) == {OLD.name: "keep"}
    assert refused.refused == (
        f"v3_23: nothing is built as r0, since {NEW.name} is revoked: raise or take out `revision` in the profile",
    )


def test_a_revoked_image_that_nobody_else_could_launch_is_not_pruned_either() -> None:
    private = build()
    old, new = held(private, "3.23.5"), held(private, "3.23.6")
    plan = plan_of([private], UP6, ledger(old, new), Retention(release=Level()), revoked={old.name: WHY})
    assert step_of(plan, old.name).action is Action.KEEP
    removed = plan_of([], UP6, ledger(old), revoked={old.name: WHY})
    assert step_of(removed, old.name).action is Action.KEEP


def test_a_revocation_that_is_taken_back_after_months_leaves_the_image_its_stages() -> None:
    long_ago = OLD.published(OLD.spec.access, revoke(None, True, WHY, TODAY - timedelta(days=90)))
    assert long_ago.is_revoked
    plan = plan_of([PUBLIC], UP6, ledger(long_ago, NEW), Retention(release=Level()))
    step = step_of(plan, OLD.name)
    assert (step.action, step.stage) == (Action.KEEP, Stage.DEPRECATED)
