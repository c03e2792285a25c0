"""Images that others made, hold or revoked, and those of which only some of the stack's marks are left."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from omi.config.settings import Level, Retention
from omi.plan import Action
from omi.plan.memory import Memory
from omi.profile.model import Access
from omi.state.account import AccountImage
from omi.state.identity import Identity
from omi.state.image import BuildVm, TakeOver
from omi.state.owner import CLAIM, VERIFIED
from tests.omi.plan.make import (
    CLOUD,
    TODAY,
    account,
    aged,
    build,
    digest,
    held,
    ledger,
    plan_of,
    seen,
    step_of,
    upstream,
)
from tests.omi.plan.stacks import HOME, LATEST, UP6, V23, lost, stack

pytestmark = pytest.mark.usefixtures("varied_by_user")


@pytest.mark.parametrize("how", ["connection", "unprotected"])
def test_an_image_that_another_record_holds_is_not_updated(how: str) -> None:
    old, new = held(V23, "3.23.5"), held(V23, "3.23.6")
    old = replace(old, record=old.record.model_copy(update={"claim": "mine"}))
    theirs = seen(old, tags={CLAIM: "theirs"}, access=Access(public=True))
    connection = CLOUD.model_copy(update={"osc_profile": "another"})
    values: dict[str, Any] = {"connection": connection}
    if how == "unprotected":
        values = {"memory": Memory(protected=(old.name,))}
    step = step_of(plan_of([V23], UP6, ledger(old, new), LATEST, account=account(theirs, new), **values), old.name)
    assert not step.updates
    assert step.unprotects is (how == "unprotected")
    assert step.action is (Action.PRUNE if how == "connection" else Action.KEEP)


def test_an_external_image_that_would_be_forgotten_beside_an_interrupted_runs_is_left_alone() -> None:
    lost = held(V23, "3.23.5", 1)
    tags = {**Identity(lost.spec).tags, VERIFIED: "yes"}
    views = {HOME: account(seen(lost, tags=tags), AccountImage("old", "ami-old", access=Access()))}
    entry = {"name": "old", "omi": "ami-old", "build": V23.name, "release": "3.23.4"}
    plan = stack([V23], survey={"accounts": views}, retention=LATEST, adopt=[entry])
    new = V23.image_name("3.23.6", 0)
    assert {step.name: step.action for step in plan.steps} == {new: Action.BUILD, lost.name: Action.RECOVER}
    assert any(warning.startswith("adopt: old is left alone: release: ") for warning in plan.warnings)


def test_a_pinned_revision_of_revoked_content_is_not_built_but_someone_elses_image_is_adopted() -> None:
    pinned = build(revision=3)
    content = {digest(pinned, "3.23.6")}
    plan = plan_of([pinned], UP6, ledger(), revoked_content=content, account=account())
    assert not plan.steps
    assert any("so nothing is built of it" in warning for warning in plan.warnings)
    theirs = AccountImage(pinned.image_name("3.23.6", 3), "ami-theirs", access=Access())
    adopted = plan_of([pinned], UP6, ledger(), revoked_content=content, account=account(theirs))
    assert [step.action for step in adopted.steps] == [Action.ADOPT]
    for named in (theirs.name, theirs.omi):
        refused = plan_of([pinned], UP6, ledger(), account=account(theirs), revoked={named: "bad"})
        assert not refused.steps
        assert f"since {theirs.name} is revoked" in refused.refused[0]


def test_an_interrupted_runs_image_of_revoked_content_is_not_adopted_for_its_age() -> None:
    of = build(max_age=10)
    old, young = aged(held(of, "3.23.6"), 20), held(of, "3.23.6", 1)
    there = account(seen(old), seen(young))
    assert [step.name for step in plan_of([of], UP6, ledger(old), account=there).of(Action.ADOPT)] == [young.name]
    given: dict[str, Any] = {"revoked": {old.name: "bad"}, "revoked_content": {old.digest}}
    assert not plan_of([of], UP6, ledger(old), account=there, **given).of(Action.ADOPT)


def test_another_stacks_image_of_the_wanted_content_is_no_next_revision() -> None:
    old, wanted = held(build(user="admin"), "3.23.6"), held(V23, "3.23.6", 1)
    plan = plan_of([V23], UP6, ledger(old), account=account(seen(old), seen(wanted, managed=False)))
    assert not plan.of(Action.ADOPT)
    assert [step.name for step in plan.of(Action.BUILD)] == [V23.image_name("3.23.6", 2)]


def test_an_external_image_that_retention_would_forget_is_left_alone_whatever_the_guard_allows() -> None:
    entry = {"name": "old", "omi": "ami-old", "build": V23.name, "release": "3.23.4"}
    ended = upstream("3.23.6", end_of_life=TODAY - timedelta(days=1))
    none = Retention(end_of_life=Level(), max_prunes=0)
    newer = held(V23, "3.23.6", 1)
    views = {HOME: account(newer, AccountImage("old", "ami-old", access=Access()))}
    plan = stack([V23], newer, survey={"accounts": views, "upstream": ended}, retention=none, adopt=[entry])
    assert [step.name for step in plan.steps] == [newer.name]
    assert any(warning.startswith("adopt: old is left alone: end-of-life: ") for warning in plan.warnings)


@pytest.mark.parametrize("lost", ["missing", "marked", "doubtful", "revoked", "revoked by its maker"])
def test_an_external_image_that_is_not_there_replaces_nothing(lost: str) -> None:
    """The build was renamed, and an image of its new name is adopted."""
    old, external = held(build("old"), "3.23.6"), held(build("new"), "3.23.6", adopted=True)
    if lost == "marked":
        external = replace(external, record=external.record.model_copy(update={"missing": TODAY}))
    view = account(old, missing=[external] * (lost != "doubtful"))
    if lost.startswith("revoked"):
        there = AccountImage(external.name, external.record.omi, {"why": "revoked"} if "maker" in lost else {})
        view = account(old, there)
    revoked = {external.name: "x"} if lost == "revoked" else {}
    plan = stack([build("new")], old, external, survey={"accounts": {HOME: view}}, revoked=revoked)
    assert step_of(plan, old.name).action is Action.KEEP
    after = stack([build("new")], old, external)
    assert step_of(after, old.name).action is Action.PRUNE


def test_an_external_image_that_its_maker_has_revoked_gets_a_successor_of_ones_own() -> None:
    external = held(V23, "3.23.6", adopted=True)
    there = AccountImage(external.name, external.record.omi, {"stack-id": "0" * 16, "why": "revoked"})
    plan = stack([V23], external, survey={"accounts": {HOME: account(there)}})
    assert [(step.name, step.action) for step in plan.steps] == [
        (f"{external.name[:-1]}1", Action.BUILD),
        (external.name, Action.KEEP),
    ]
    assert "an image of one's own instead of" in plan.steps[0].reason


@pytest.mark.parametrize("digest", [True, False])
def test_an_image_with_some_of_the_stacks_own_tags_is_neither_adopted_nor_built_over(digest: bool) -> None:
    """A person copied the tags of another image, or took some off."""
    stray = held(V23, "3.23.6")
    image = AccountImage(stray.name, stray.record.omi, stray=True, digest=stray.digest if digest else None)
    views = {"accounts": {HOME: account(image)}}
    (step,) = stack([V23], survey=views).steps
    assert (step.name, step.action) == (f"{stray.name[:-1]}1", Action.BUILD)
    pinned = stack([build(revision=0)], survey=views)
    assert pinned.steps == ()
    assert f"{image.omi} ({image.name})" in pinned.refused[0]


def test_an_image_that_another_stack_has_revoked_is_not_adopted() -> None:
    theirs = held(V23, "3.23.6")
    tags = {"stack-id": "0" * 16, "stage": "private", "why": "revoked"}
    image = AccountImage(theirs.name, theirs.record.omi, tags, digest=theirs.digest, access=Access())
    for builds, made in (([V23], f"{theirs.name[:-1]}1"), ([build(revision=0)], None)):
        plan = stack(builds, survey={"accounts": {HOME: account(image)}})
        assert [(step.name, step.action) for step in plan.steps] == ([(made, Action.BUILD)] if made else [])
        assert made or "is revoked" in plan.refused[0]
    good = replace(image, tags={"stack-id": "0" * 16, "why": "superseded"})
    (step,) = stack([V23], survey={"accounts": {HOME: account(good)}}).steps
    assert step.action is Action.ADOPT


def test_an_own_image_that_adopt_names_and_retention_would_let_go_is_recovered_once() -> None:
    older, newer = held(V23, "3.23.5"), held(V23, "3.23.6")
    entry = {"name": older.name, "omi": older.record.omi, "build": "v3_23", "release": "3.23.5"}
    views = {HOME: account(newer, lost(older))}
    plan = stack([V23], newer, survey={"accounts": views}, retention=LATEST, adopt=[entry])
    assert [(step.name, step.action) for step in plan.steps] == [
        (newer.name, Action.KEEP),
        (older.name, Action.RECOVER),
    ]


def test_a_pruned_image_that_was_taken_over_is_remembered_like_any_other() -> None:
    older, newer = held(V23, "3.23.5"), held(V23, "3.23.6")
    taken = TakeOver(omi=older.record.omi, login=None, vm=BuildVm())
    owned = replace(older, spec=older.spec.model_copy(update={"take_over": taken}))
    external = replace(older, record=older.record.model_copy(update={"adopted": True}))
    for image, remembered in ((older, True), (owned, True), (external, False)):
        plan = stack([V23], image, newer, retention=LATEST)
        assert step_of(plan, older.name).action is Action.PRUNE
        assert (older.record.omi in plan.memory.pruned) is remembered
