"""What edits of config and profile must not cost: the shortest histories that once did, found by random ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from omi.config.settings import Level, Retention, SharedDays, StageDays, Stages
from omi.plan import Action, PlannedImage
from omi.plan.memory import Memory
from omi.plan.model import ChangeKind
from omi.profile.model import Access
from omi.state.identity import Identity
from omi.state.ledger import LedgerImage
from omi.state.owner import CLAIM, VERIFIED
from omi.state.withdrawal import Withdrawal
from omi.support.errors import PlanError
from tests.omi.plan.make import (
    TODAY,
    account,
    after,
    aged,
    build,
    held,
    ledger,
    offer,
    plan_of,
    seen,
    step_of,
    upstream,
)
from tests.omi.plan.stacks import HOME, LATEST, PUBLIC, UP6, V23, kinds, stack
from tests.omi.specs import OWNER

pytestmark = pytest.mark.usefixtures("varied_by_user")


def test_the_stacks_access_reaches_images_of_removed_builds() -> None:
    gone, live = held(build("gone", access=Access(public=True)), "3.23.6"), held(PUBLIC, "3.23.6")
    plan = stack([V23], live, gone, access="private")
    images = [step.image for step in plan.steps if isinstance(step.image, LedgerImage)]
    assert {image.name: image.spec.launch_access.public for image in images} == {live.name: False, gone.name: False}


def test_the_stacks_access_reaches_images_that_wait_and_shares_none_of_them_anew() -> None:
    old = held(build("old", access=Access(public=True)), "3.23.6")
    private = held(build("old2"), "3.23.6")
    for access, public in ((Access(), False), (Access(public=True), True)):
        plan = plan_of([build("new")], UP6, ledger(old, private), Retention(), access=access)
        shown = {step.name: step.image for step in plan.steps if isinstance(step.image, LedgerImage)}
        assert shown[old.name].spec.access.public is public
        assert not shown[private.name].spec.access.public


def test_a_missing_image_that_is_still_protected_says_so() -> None:
    gone, here = held(V23, "3.23.6"), held(V23, "3.23.6", 1)
    gone = replace(gone, record=gone.record.model_copy(update={"missing": TODAY}))
    memory, protect = Memory(protected=(gone.name,)), Retention(protect=(gone.name,))
    views = account(here, missing=[gone])
    step = step_of(plan_of([V23], UP6, ledger(gone, here), protect, account=views, memory=memory), gone.name)
    said = f"{gone.record.omi} is missing from the account; retention.protect names it: take it out"
    assert (step.action, step.reason, step.updates) == (Action.KEEP, said, False)
    ends = step_of(plan_of([V23], UP6, ledger(gone, here), Retention(), account=views, memory=memory), gone.name)
    assert (ends.action, ends.unprotects) == (Action.KEEP, True)


def test_no_image_becomes_private_for_one_that_is_only_being_recovered() -> None:
    old, new = held(PUBLIC, "3.23.6"), held(PUBLIC, "3.23.6", 1)
    tags = {**Identity(new.spec).tags, VERIFIED: "yes", CLAIM: "lost"}
    views = {HOME: account(old, seen(new, tags=tags))}
    at_once = Retention(revision=Level(), stages=Stages(shared=SharedDays(deprecated_days=0)))
    asked: dict[str, Any] = {"survey": {"accounts": views}, "recover": {"stack_id": OWNER.stack_id}}
    plan = stack([PUBLIC], old, retention=at_once, **asked)
    assert step_of(plan, new.name).action is Action.RECOVER
    assert (step_of(plan, old.name).image, step_of(plan, old.name).updates) == (old, False)
    assert step_of(plan, old.name).reason.startswith("waits for those that are recovered: ")
    revoked = stack([PUBLIC], old, retention=at_once, revoked={old.name: "a flaw"}, **asked)
    assert kinds(revoked, old.name) == [ChangeKind.MAKE_PRIVATE], "a person asked for it"


def test_a_revocation_that_is_taken_back_ends_though_the_prune_of_its_image_waits() -> None:
    image = held(V23, "3.23.6")
    bad = plan_of([V23], UP6, ledger(image), Retention(), account=account(image), revoked={image.name: "bad"})
    revoked = step_of(bad, image.name).image
    assert isinstance(revoked, LedgerImage)
    assert revoked.is_revoked
    plan = plan_of([], UP6, ledger(revoked), Retention(max_prunes=0), account=account(revoked))
    assert plan.refused
    waiting = step_of(plan, image.name).image
    assert isinstance(waiting, LedgerImage)
    assert not waiting.is_revoked


def test_an_image_on_its_way_out_is_not_shared_and_keeps_its_announced_day() -> None:
    old, new = held(V23, "3.23.5"), held(V23, "3.23.6")
    days = Stages(private=StageDays(deprecated_days=7), shared=SharedDays(deprecated_days=0, private_days=0))
    retention = Retention(release=Level(), stages=days)
    first = plan_of([PUBLIC], UP6, ledger(old, new), retention)
    assert ChangeKind.SHARE not in kinds(first, old.name)
    assert ChangeKind.SHARE in kinds(first, new.name)
    assert step_of(plan_of([PUBLIC], UP6, after(first), retention), old.name).action is Action.KEEP


def test_settings_of_the_stack_reach_the_builds() -> None:
    limited = build(max_missing_fixes=3)
    for given, expected in ((build(user="admin"), None), (limited.model_copy(update={"user": "admin"}), "https://s")):
        plan = stack([given], held(V23, "3.23.6"), again={"v3_23": 2}, upstream={"security": "https://s"})
        (image,) = (step.image for step in plan.of(Action.BUILD))
        assert isinstance(image, PlannedImage)
        assert (image.target.again, image.target.security) == (2, expected)


def test_what_an_update_lets_go_is_remembered_from_its_first_day() -> None:
    external = held(build("other"), "3.23.5", adopted=True)
    old, new, other = held(V23, "3.23.5"), held(V23, "3.23.6"), held(build("other"), "3.23.6")
    before, kept = TODAY - timedelta(days=7), Memory(pruned={"ami-x": TODAY, new.record.omi: TODAY})
    for memory, day in ((kept, TODAY), (kept.model_copy(update={"pruned": {old.record.omi: before}}), before)):
        builds = [V23, build("other")]
        plan = stack(builds, external, old, new, other, retention=LATEST, survey={"memory": memory})
        assert {step.name for step in plan.of(Action.PRUNE)} == {external.name, old.name}
        found = dict(plan.memory.pruned)
        found.pop("ami-x", None)
        assert found == {old.record.omi: day}, "an external one is only forgotten, and what is held is not gone"


def test_revoked_content_is_that_of_the_stacks_own_images_and_of_lost_ones() -> None:
    other = build(user="admin")
    external = held(other, "3.23.6", adopted=True)
    why: dict[str, Any] = {"revoked": {external.name: "bad"}}
    assert stack([V23], external, **why).memory.revoked is None
    views = {HOME: account(seen(external, digest="sha256:other"))}
    assert stack([V23], external, survey={"accounts": views}, **why).memory.revoked is None
    lost = stack([V23], survey={"accounts": views}, **why)
    assert lost.memory.revoked == {external.name: ("sha256:other",)}
    unknown = {HOME: account(seen(external, digest=None))}
    assert stack([V23], survey={"accounts": unknown}, **why).memory.revoked is None
    own = held(other, "3.23.6")
    drifted = {HOME: account(seen(own, digest="sha256:other"))}
    assert stack([V23], own, survey={"accounts": drifted}, **why).memory.revoked == {own.name: (own.digest,)}


def test_a_revoked_image_that_the_stack_holds_has_no_needless_warning() -> None:
    image = held(V23, "3.23.6")
    for named in (image.name, image.record.omi):
        assert not [
            each for each in stack([V23], image, revoked={named: "bad"}).warnings if "revoked" in each.split(":")[0]
        ]
    claimed = replace(image, record=image.record.model_copy(update={"claim": "mine"}))
    views = {HOME: account(seen(claimed, tags={CLAIM: "theirs"}))}
    (warning,) = (
        each
        for each in stack([V23], claimed, revoked={image.name: "bad"}, survey={"accounts": views}).warnings
        if each.startswith("revoked: ")
    )
    assert warning.startswith(f"revoked: {image.name} can't be made private by this stack: left as it is")


def test_edge_waits_for_its_min_interval_with_a_pinned_revision_too() -> None:
    edge = build("edge", "edge", min_interval=7)
    made = aged(held(edge, "edge-20261120"), 3)
    for of in (edge, edge.model_copy(update={"revision": 0})):
        assert not plan_of([of], UP6, ledger(made)).changes
    asked = plan_of([edge.model_copy(update={"revision": 1})], UP6, ledger(made))
    assert [step.name for step in asked.of(Action.BUILD)] == [edge.image_name("edge-20261123", 1)]


def test_min_interval_holds_for_an_image_that_is_not_revoked_whatever_else_of_its_content_is() -> None:
    of = build(min_interval=7, rebuild_on="packages")
    bad = aged(held(of, "3.23.6", installed={"openssl": "3.5.1-r0"}), 20)
    good = aged(held(of, "3.23.6", 1, installed={"openssl": "3.5.1-r0"}), 1)
    given: dict[str, Any] = {"offers": {of.name: offer(openssl="3.5.2-r0")}}
    for revoked in ({}, {bad.name: "bad"}):
        content = {bad.spec.digest} if revoked else {}
        plan = plan_of([of], UP6, ledger(bad, good), revoked=revoked, revoked_content=content, **given)
        assert not plan.of(Action.BUILD)
    both = {bad.name: "bad", good.name: "bad"}
    plan = plan_of([of], UP6, ledger(bad, good), revoked=both, revoked_content={bad.spec.digest}, **given)
    assert plan.of(Action.BUILD), "nobody may launch it"


def test_an_image_waits_for_its_builds_new_name_until_the_grace_after_its_end_of_life_is_over() -> None:
    only = held(build("old", prefix="alpine-"), "3.23.6")
    level = Retention(end_of_life=Level(grace_days=30))
    for days, action in ((0, Action.KEEP), (1, Action.KEEP), (30, Action.KEEP), (31, Action.PRUNE)):
        known = upstream("3.23.6", end_of_life=TODAY - timedelta(days=days))
        plan = plan_of([build("new", prefix="alpine-", revision=0)], known, ledger(only), level)
        assert step_of(plan, only.name).action is action, days


def test_a_revoked_image_of_a_release_that_upstream_took_back_holds_up_no_changed_profile() -> None:
    bad = held(V23, "3.23.7")
    given: dict[str, Any] = {"revoked": {bad.name: "bad"}, "revoked_content": {bad.spec.digest}}
    assert not plan_of([V23], UP6, ledger(bad), **given).of(Action.BUILD)
    changed = plan_of([build(user="admin")], UP6, ledger(bad), **given)
    assert [step.name for step in changed.of(Action.BUILD)] == [V23.image_name("3.23.6", 0)]
    assert not plan_of([build(user="admin")], UP6, ledger(bad)).of(Action.BUILD), "one that may be launched is newer"


def test_a_missing_revoked_image_is_forgotten_without_a_warning() -> None:
    gone = held(V23, "3.23.6")
    gone = replace(gone, record=gone.record.model_copy(update={"missing": TODAY}))
    views = {HOME: account(missing=[gone])}
    plan = stack([V23], gone, revoked={gone.name: "bad"}, survey={"accounts": views})
    assert step_of(plan, gone.name).action is Action.PRUNE
    assert not [warning for warning in plan.warnings if "can't be made private" in warning]


def test_the_newest_release_counts_and_only_of_the_builds_version() -> None:
    for releases in (("3.23.5", "3.23.7"), ("3.23.7",)):
        plan = plan_of([V23], UP6, ledger(*(held(V23, release) for release in releases)))
        assert not plan.of(Action.BUILD), "upstream took 3.23.7 back"
    moved = plan_of([V23], UP6, ledger(held(V23, "3.24.1")))
    assert [step.name for step in moved.of(Action.BUILD)] == [V23.image_name("3.23.6", 0)]


def test_a_revoked_image_of_a_release_that_upstream_took_back_is_replaced_by_no_older_release() -> None:
    bad = held(V23, "3.23.7")
    assert not plan_of([V23], UP6, ledger(bad), revoked={bad.name: "bad"}).of(Action.BUILD)


def test_a_missing_image_of_an_earlier_release_is_what_the_new_one_follows() -> None:
    gone = held(V23, "3.23.5")
    plan = plan_of([V23], UP6, ledger(gone), account=account(missing=[gone]))
    assert [step.reason for step in plan.of(Action.BUILD)] == ["new release 3.23.6 (was 3.23.5)"]


def test_edges_min_interval_holds_back_neither_a_pin_nor_what_replaces_a_missing_image() -> None:
    edge = build("edge", "edge", min_interval=7)
    young = aged(held(edge, "edge-20261120"), 3)
    pinned = edge.model_copy(update={"release": "edge-20261122"})
    assert plan_of([pinned], UP6, ledger(young)).of(Action.BUILD)
    assert plan_of([edge], UP6, ledger(young), account=account(missing=[young])).of(Action.BUILD)
    assert not plan_of([edge], UP6, ledger(young), account=account(young)).of(Action.BUILD)


def test_builds_come_by_version_and_name() -> None:
    builds = [build("a", "3.23"), build("c", "3.22"), build("b", "3.22")]
    assert plan_of(builds, upstream("3.22.4", "3.23.6"), ledger()).builds == ("b", "c", "a")


def test_two_builds_of_one_name_are_refused_though_one_of_them_has_its_image() -> None:
    first, second = build("a", prefix="alpine-"), build("b", prefix="alpine-")
    with pytest.raises(PlanError, match="the builds a and b would make OMIs of the same name"):
        plan_of([first, second], UP6, ledger(held(first, "3.23.6")))


def test_without_the_level_an_image_waits_until_the_end_of_life_of_its_builds_new_name() -> None:
    only = held(build("old", prefix="alpine-"), "3.23.6")
    for days, action in ((0, Action.KEEP), (1, Action.PRUNE)):
        known = upstream("3.23.6", end_of_life=TODAY - timedelta(days=days))
        plan = plan_of([build("new", prefix="alpine-", revision=0)], known, ledger(only), Retention())
        assert step_of(plan, only.name).action is action


def test_a_name_that_another_builds_image_holds_is_named_with_that_build_unless_it_is_missing() -> None:
    old, more = held(build("old", prefix="alpine-"), "3.23.6"), held(build("more"), "3.23.6")
    pinned = build("new", prefix="alpine-", revision=0)
    for images in ((old, more), (more, old)):
        (line,) = plan_of([pinned, build("more")], UP6, ledger(*images), account=account(*images)).refused
        assert f"{old.name} is an image of the build old" in line
    views = account(more, missing=[old])
    missing = plan_of([pinned, build("more")], UP6, ledger(old, more), account=views)
    assert not missing.refused
    assert "new: the next update can make r0, once its name is free" in missing.warnings


def test_an_image_of_a_removed_build_says_whether_its_version_has_ended() -> None:
    old, live = held(build("old", access=Access(public=True)), "3.23.6"), held(build("new", "3.22"), "3.22.4")
    over = "removed from profile; version 3.23 is past its end of life"
    for days, why in ((0, "removed"), (1, "end of life")):
        known = upstream("3.23.6", end_of_life=TODAY - timedelta(days=days))
        known = replace(known, branches=(*known.branches, *upstream("3.22.4").branches))
        step = step_of(plan_of([build("new", "3.22")], known, ledger(old, live), Retention()), old.name)
        assert isinstance(step.image, LedgerImage)
        assert step.image.spec.withdrawal is not None
        assert (step.image.spec.withdrawal.why, step.reason.startswith(over)) == (why, days == 1)


def test_a_build_past_its_end_of_life_is_warned_of_only_if_it_has_no_image() -> None:
    known = upstream("3.23.6", end_of_life=TODAY - timedelta(days=1))
    said = f"v3_23: version 3.23 is past its end of life ({TODAY - timedelta(days=1)}): no new images"
    assert said in plan_of([V23], known, ledger()).warnings
    assert said not in plan_of([V23], known, ledger(held(V23, "3.23.6"))).warnings


def test_what_is_held_back_from_a_prune_follows_the_stacks_access_too() -> None:
    at_once = Retention(stages=Stages(shared=SharedDays(deprecated_days=0, private_days=0)))
    old = held(build("old", access=Access(public=True)), "3.23.6")
    plan = plan_of([build("new")], UP6, ledger(old), at_once, access=Access())
    step = step_of(plan, old.name)
    assert step.reason.startswith("waits until new has a verified image: ")
    assert isinstance(step.image, LedgerImage)
    assert not step.image.spec.access.public


def test_a_spared_image_is_shared_like_the_others_of_its_build() -> None:
    old, new = held(V23, "3.23.5"), held(V23, "3.23.6")
    spares = Retention(release=Level(), protect=(old.name,))
    plan = plan_of([PUBLIC], UP6, ledger(old, new), spares)
    assert [ChangeKind.SHARE in kinds(plan, image.name) for image in (old, new)] == [True, True]


def test_an_image_that_was_shared_keeps_the_shared_ones_days_after_sharing_ended() -> None:
    told = Withdrawal(why="superseded", shared=True, deprecated=TODAY, due=TODAY)
    old, new = held(V23, "3.23.5").published(Access(), told), held(V23, "3.23.6")
    assert step_of(plan_of([V23], UP6, ledger(old, new), LATEST), old.name).action is Action.KEEP


def test_a_moved_releases_folder_reaches_every_kept_image_before_any_goes() -> None:
    older, newer = held(V23, "3.23.5"), held(V23, "3.23.6")
    first = stack([V23], older, newer, retention=LATEST, releases_dir="feeds/a")
    assert {step.action for step in first.steps} == {Action.KEEP}
    assert "waits for one update with the new settings" in step_of(first, older.name).reason
    moved = [step.image for step in first.steps if isinstance(step.image, LedgerImage)]
    assert [kinds(first, image.name) for image in moved] == [[ChangeKind.CONNECT]] * 2
    assert {image.spec.releases_dir for image in moved} == {"feeds/a"}
    external = replace(older, record=older.record.model_copy(update={"adopted": True}))
    waits = stack([V23], external, newer, retention=LATEST, releases_dir="feeds/a")
    assert step_of(waits, older.name).action is Action.KEEP, "else the old folder alone would forget it"
    second = stack([V23], *moved, retention=LATEST, releases_dir="feeds/a")
    assert (kinds(second, newer.name), step_of(second, older.name).action) == ([], Action.PRUNE)
