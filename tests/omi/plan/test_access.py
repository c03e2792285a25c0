"""Who may launch an image: what a plan tells of each change, and whose word counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omi.plan import Plan
from omi.plan.model import ChangeKind
from omi.plan.report import plan_json, render_table
from omi.profile.model import Access
from omi.state.account import AccountImage
from omi.state.ledger import Ledger, LedgerImage
from tests.omi.plan.make import account, after, build, held, ledger, plan_of, seen, step_of, upstream

MINE, ONE, TWO = "123456789012", "111111111111", "222222222222"
PROFILE, STACK = "`access` in the profile", "`access` in the stack's config"
UP6 = upstream("3.23.6")
ONE_MAY = Access(accounts=(ONE,))


def changes(plan: Plan, name: str) -> list[tuple[str, str]]:
    return [(change.kind.value, change.reason) for change in step_of(plan, name).changes]


def test_a_new_image_that_will_be_shared_has_a_row_for_it() -> None:
    plan = plan_of([build(access=ONE_MAY)], UP6, Ledger())
    assert render_table(plan).splitlines()[1:] == [
        "+  v3_23  alpine-v3_23-3.23.6-x86_64-r0  build   first image of v3_23",
        f"~  v3_23  alpine-v3_23-3.23.6-x86_64-r0  share   {ONE} may launch it once it is verified: {PROFILE}",
        "1 to build, 1 to share",
    ]
    assert '"change": "share"' in plan_json(plan)


def test_one_of_another_hand_is_not_shared() -> None:
    theirs = AccountImage("alpine-v3_23-3.23.6-x86_64-r0", "ami-theirs")
    (step,) = plan_of([build(access=ONE_MAY)], UP6, Ledger(), account=account(theirs)).steps
    assert step.changes == ()


def test_what_comes_and_what_goes_are_changes_of_their_own() -> None:
    image = held(build(access=ONE_MAY), "3.23.6")
    plan = plan_of([build(access=Access(accounts=(TWO,)))], UP6, ledger(image))
    assert changes(plan, image.name) == [
        ("share", f"{TWO} may launch it: {PROFILE}"),
        ("unshare", f"{ONE} may no longer launch it: {PROFILE}"),
    ]
    assert render_table(plan).splitlines()[-1] == "1 to share, 1 to unshare"
    assert not plan_of([build(access=Access(accounts=(TWO,)))], UP6, after(plan)).changes


@pytest.mark.parametrize(
    ("profile", "stack", "told"),
    [
        (Access(public=True), Access(), [("unshare", f"{ONE} may no longer launch it: {STACK}")]),
        (Access(), Access(public=True, accounts=(ONE,)), [("share", f"everyone may launch it: {STACK}")]),
        (Access(), ONE_MAY, []),
        (ONE_MAY, None, []),
    ],
)
def test_the_stack_goes_before_the_profile(profile: Access, stack: Access | None, told: list[tuple[str, str]]) -> None:
    image = held(build(access=ONE_MAY), "3.23.6")
    assert changes(plan_of([build(access=profile)], UP6, ledger(image), access=stack), image.name) == told


def test_a_new_image_is_built_with_the_stacks_word() -> None:
    plan = plan_of([build()], UP6, Ledger(), access=ONE_MAY)
    (image,) = after(plan).images
    assert image.spec.access == ONE_MAY


def test_the_own_account_makes_no_difference_and_is_told() -> None:
    image = held(build(access=ONE_MAY), "3.23.6")
    plan = plan_of([build(access=Access(accounts=(ONE, MINE)))], UP6, ledger(image))
    assert not plan.changes
    assert plan.warnings == (f"{PROFILE} names {MINE}, which is this account itself: it may launch its images anyway",)
    step = step_of(plan, image.name)
    assert isinstance(step.image, LedgerImage)
    assert step.image.command == image.command


def test_what_drifted_is_told_beside_what_changes() -> None:
    image = held(build(access=ONE_MAY), "3.23.6")
    view = account(seen(image, access=Access(public=True), open_snapshots=("snap-1",)))
    plan = plan_of([build(access=Access())], UP6, ledger(image), account=view)
    assert [kind for kind, _ in changes(plan, image.name)] == ["unshare", "put back", "put back"]
    drifted = f"launch permissions were changed outside and are put back (+everyone -{ONE})"
    assert changes(plan, image.name)[1:] == [
        ("put back", drifted),
        ("put back", "others may use snap-1, which is put back: snapshots stay private"),
    ]


def test_an_open_snapshot_alone_makes_the_update_run() -> None:
    image = held(build(), "3.23.6")
    view = account(replace(seen(image), open_snapshots=("snap-1",)))
    plan = plan_of([build()], UP6, ledger(image), account=view)
    assert [change.kind for change in step_of(plan, image.name).changes] == [ChangeKind.PUT_BACK]
    (kept,) = after(plan).images
    assert kept.spec == image.spec
    assert kept.command.stdin != image.command.stdin
