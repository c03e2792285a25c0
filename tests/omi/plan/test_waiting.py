"""What holds a prune back, and how an image is kept meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from omi.config.settings import Level, Retention, SharedDays, Stages
from omi.plan import Action
from omi.plan.memory import Memory
from omi.plan.model import ChangeKind, Plan
from omi.profile.model import Access
from omi.state.ledger import LedgerImage
from omi.state.owner import CLAIM
from omi.state.withdrawal import Stage, Withdrawal
from tests.omi.plan.make import TODAY, account, after, build, held, ledger, plan_of, seen, step_of, upstream

UP6 = upstream("3.23.6")
LATEST = Retention(release=Level())
AT_ONCE = Retention(stages=Stages(shared=SharedDays(deprecated_days=0, private_days=0)))
FRIEND = Access(accounts=("666666666666",))


def kinds(plan: Plan, name: str) -> list[ChangeKind]:
    return [change.kind for change in step_of(plan, name).changes]


def claimed(image: LedgerImage, claim: str = "mine") -> LedgerImage:
    return replace(image, record=image.record.model_copy(update={"claim": claim}))


def test_an_image_that_another_record_holds_replaces_none() -> None:
    of = build()
    old, new = claimed(held(of, "3.23.5"), "old"), claimed(held(of, "3.23.6"))
    views = account(seen(old, tags={CLAIM: "old"}), seen(new, tags={CLAIM: "theirs"}))
    plan = plan_of([of], UP6, ledger(old, new), LATEST, account=views)
    assert step_of(plan, old.name).action is Action.KEEP
    views = account(seen(old, tags={CLAIM: "old"}), seen(new, tags={CLAIM: "mine"}))
    plan = plan_of([of], UP6, ledger(old, new), LATEST, account=views)
    assert step_of(plan, old.name).action is Action.PRUNE


@pytest.mark.parametrize("joins", [True, False])
def test_an_image_that_this_update_takes_in_lets_none_of_a_removed_build_go(joins: bool) -> None:
    old, external = held(build("old"), "3.23.6"), held(build("new"), "3.23.6", adopted=True, verified=False)
    joining = {external.name} if joins else set()
    images = ledger(old, external)
    plan = plan_of([build("new")], UP6, images, Retention(), account=account(old, external), joining=joining)
    assert step_of(plan, old.name).action is (Action.KEEP if joins else Action.PRUNE)


def test_an_image_that_is_there_again_is_unmarked_before_it_goes() -> None:
    of = build()
    old, new = held(of, "3.23.5"), held(of, "3.23.6")
    marked = replace(old, record=old.record.model_copy(update={"missing": TODAY}))
    plan = plan_of([of], UP6, ledger(marked, new), LATEST, account=account(old, new))
    assert step_of(plan, old.name).action is Action.KEEP
    assert kinds(plan, old.name) == [ChangeKind.FOUND]
    assert "takes the mark of missing off; then: " in step_of(plan, old.name).reason
    assert [str(change.why) for change in step_of(plan, old.name).changes] == [
        f"{old.record.omi} is in the account again"
    ]
    plan = plan_of([of], UP6, ledger(old, new), LATEST, account=account(old, new))
    assert (step_of(plan, old.name).action, step_of(plan, old.name).forgets) == (Action.PRUNE, False)


def many(count: int = 6) -> Sequence[LedgerImage]:
    """Images of builds that the profile no longer names: too many to go at once."""
    return [held(build(f"gone{number}", access=Access(public=True)), "3.23.6") for number in range(count)]


def test_what_others_change_of_an_image_that_waits_is_put_back() -> None:
    live, gone = held(build("a"), "3.23.6"), many()
    views = [seen(live), *(seen(each, access=FRIEND, open_snapshots=("snap-1",)) for each in gone)]
    plan = plan_of([build("a")], UP6, ledger(live, *gone), AT_ONCE, account=account(*views))
    assert plan.refused
    for image in gone:
        assert step_of(plan, image.name).reason.startswith("waits, since too many would go at once: ")
        assert kinds(plan, image.name) == [ChangeKind.PUT_BACK, ChangeKind.PUT_BACK]
    assert after(plan).images


def test_a_removed_build_that_waits_for_another_has_its_access_put_back() -> None:
    old = held(build("old", access=Access(public=True)), "3.23.6")
    plan = plan_of([build("new")], UP6, ledger(old), AT_ONCE, account=account(seen(old, access=FRIEND)))
    assert step_of(plan, old.name).reason.startswith("waits until new has a verified image: ")
    assert kinds(plan, old.name) == [ChangeKind.PUT_BACK]


def test_only_what_would_go_waits_for_the_image_of_another_build() -> None:
    """One of a removed build that is still shared for some weeks stays for that reason, and is updated meanwhile."""
    old = held(build("old", access=Access(public=True)), "3.23.6")
    step = step_of(plan_of([build("new")], UP6, ledger(old), Retention(), account=account(old)), old.name)
    assert (step.action, step.updates) == (Action.KEEP, True)
    assert "waits until" not in step.reason


def test_what_would_become_private_waits_for_the_image_of_another_build_too() -> None:
    day = TODAY - timedelta(days=40)
    told = Withdrawal(why="removed", shared=True, deprecated=day, due=day)
    old = held(build("old", access=Access(public=True)), "3.23.6").published(Access(public=True), told)
    plan = plan_of([build("a"), build("b")], UP6, ledger(old), Retention(), account=account(old))
    step = step_of(plan, old.name)
    assert (step.action, step.stage) == (Action.KEEP, Stage.DEPRECATED)
    assert step.reason.startswith("waits until a, b have verified images: ")


@pytest.mark.parametrize("verified", [True, False])
def test_only_a_build_of_the_profile_is_waited_for_and_only_by_images_of_others(verified: bool) -> None:
    a, b = build("a"), build("b")
    old, new, gone = held(a, "3.23.5"), held(a, "3.23.6"), held(build("gone"), "3.23.6", verified=verified)
    plan = plan_of([a, b], UP6, ledger(old, new, gone), LATEST)
    assert step_of(plan, old.name).action is Action.PRUNE
    assert step_of(plan, gone.name).reason == "waits until b has a verified image: removed from profile"
    assert step_of(plan_of([a], UP6, ledger(old, new, gone), LATEST), gone.name).action is Action.PRUNE


def test_an_image_that_waits_for_its_protection_to_end_has_its_access_put_back() -> None:
    live, gone = held(build("a"), "3.23.6"), many(1)[0]
    views = account(seen(live), seen(gone, access=FRIEND))
    memory = Memory(protected=(gone.name,))
    plan = plan_of([build("a")], UP6, ledger(live, gone), AT_ONCE, account=views, memory=memory)
    assert step_of(plan, gone.name).unprotects
    assert kinds(plan, gone.name) == [ChangeKind.PUT_BACK]
