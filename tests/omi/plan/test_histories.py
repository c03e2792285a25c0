"""What edits of config and profile must not cost: the shortest histories that once did, found by random ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from omi.config.one_off import OneOff
from omi.config.regions import regions_of
from omi.config.settings import Level, Retention, Settings, SharedDays, StageDays, Stages
from omi.plan import Action, Plan, PlannedImage
from omi.plan.memory import Memory
from omi.plan.model import ChangeKind
from omi.plan.planning import plan_stack
from omi.plan.survey import Survey
from omi.profile.load import Profile
from omi.profile.model import Access, Target
from omi.state.account import AccountImage
from omi.state.identity import Identity
from omi.state.image import BuildVm, TakeOver
from omi.state.ledger import Ledger, LedgerImage
from omi.state.owner import CLAIM, VERIFIED
from omi.state.withdrawal import Withdrawal
from omi.support.errors import PlanError, ProfileError
from tests.omi.plan.make import (
    CLOUD,
    TODAY,
    account,
    after,
    aged,
    build,
    digest,
    held,
    in_region,
    ledger,
    offer,
    plan_of,
    seen,
    step_of,
    upstream,
)
from tests.omi.specs import OWNER

HOME, OTHER = "eu-west-2", "us-east-2"
COPY = {OTHER: {"cloud": {"osc_profile": OTHER}, "images": "copy"}}
UP6 = upstream("3.23.6")
V23, PUBLIC = build(), build(access=Access(public=True))
LATEST = Retention(release=Level())


pytestmark = pytest.mark.usefixtures("varied_by_user")


def stack(
    builds: Sequence[Target],
    *images: LedgerImage,
    survey: dict[str, Any] | None = None,
    one_off: OneOff | None = None,
    **settings: Any,
) -> Plan:
    """The plan of a stack with these images; the accounts hold them, unless `survey` has other accounts."""
    given = Settings.model_validate({"region": HOME, **settings})
    regions = regions_of(given, Ledger.of(images))
    views = {each.name: account(*each.ledger.images) for each in regions}
    facts = Survey(Profile("alpine", tuple(builds)), UP6, regions, views, TODAY, OWNER)
    return plan_stack(given, replace(facts, **(survey or {})), one_off)


def in_other(plan: Plan) -> dict[str, tuple[Action, str]]:
    return {step.name: (step.action, step.reason) for step in plan.steps if step.region == OTHER}


def kinds(plan: Plan, name: str) -> list[ChangeKind]:
    return [change.kind for change in step_of(plan, name).changes]


@pytest.mark.parametrize("pin", [{"revision": 0, "user": "admin"}, {"release": "3.23.5"}])
def test_a_region_of_copies_follows_a_pin_to_an_older_image(pin: dict[str, Any]) -> None:
    by_revision = "revision" in pin
    good = held(build(user="admin"), "3.23.6") if by_revision else held(V23, "3.23.5")
    bad = held(V23, "3.23.6", 1 if by_revision else 0)
    plan = stack([build(**pin)], good, bad, regions=COPY)
    assert step_of(replace(plan, steps=plan.steps[:2]), good.name).reason.startswith("current, pinned")
    assert list(in_other(plan)) == [good.name]


def test_what_is_copied_is_not_pruned_by_the_next_update() -> None:
    home, pinned = held(V23, "3.23.6"), build(release="3.23.5")
    first = stack([pinned], home, regions=COPY, retention=LATEST)
    older = held(V23, "3.23.5")
    assert [name for name, (action, _) in in_other(first).items() if action is Action.BUILD] == [older.name]
    second = stack([pinned], home, older, in_region(older, OTHER), regions=COPY, retention=LATEST)
    assert in_other(second) == {older.name: (Action.KEEP, f"current, as in {HOME}")}


def test_a_copy_bears_its_sources_name_after_a_change_of_suffix() -> None:
    image = held(V23, "3.23.6")
    first = stack([build(suffix="-b")], image, regions=COPY)
    assert in_other(first) == {image.name: (Action.BUILD, f"revision r0 of {HOME} is copied to {OTHER}")}
    there = in_region(image, OTHER)
    assert in_other(stack([build(suffix="-b")], image, there, regions=COPY))[image.name][0] is Action.KEEP
    changed = stack([build(suffix="-b", user="admin")], image, there, regions=COPY)
    assert f"{image.name.removesuffix('r0')}r1-b" in in_other(changed)


def test_an_image_that_the_home_region_misses_is_no_source() -> None:
    image = held(V23, "3.23.6")
    absent = {"v3_23": {"https://x": "v3_23: there is no such repository"}}
    for missing in (image, replace(image, record=image.record.model_copy(update={"missing": TODAY}))):
        views = {HOME: account(missing=[missing]), OTHER: account()}
        survey = {"accounts": views, "absent": absent}
        for retention in (Retention(), Retention(protect=(image.name,))):
            assert in_other(stack([V23], missing, regions=COPY, survey=survey, retention=retention)) == {}


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


@pytest.mark.parametrize("action", ["build", "prune"])
def test_a_one_off_run_is_not_stopped_by_a_build_that_it_is_not_about(action: Any) -> None:
    first, second = build("a"), build("b")
    survey = {"untrusted": {"b": "no trusted key has signed its index"}}
    run = OneOff(action=action, builds=("a",))
    plan = stack([first, second], held(first, "3.23.6"), survey=survey, one_off=run)
    assert not plan.of(Action.BUILD)


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


def test_a_prune_that_is_asked_for_needs_no_stages_and_no_consent() -> None:
    old, new = held(PUBLIC, "3.23.5"), held(PUBLIC, "3.23.6")
    for one_off, action in ((None, Action.KEEP), (OneOff(action="prune", builds=("v3_23",)), Action.PRUNE)):
        plan = stack([PUBLIC], old, new, retention=Retention(release=Level()), one_off=one_off)
        assert step_of(plan, old.name).action is action


def test_settings_of_the_stack_reach_the_builds() -> None:
    limited = build(max_missing_fixes=3)
    for given, expected in ((build(user="admin"), None), (limited.model_copy(update={"user": "admin"}), "https://s")):
        plan = stack([given], held(V23, "3.23.6"), again={"v3_23": 2}, upstream={"security": "https://s"})
        (image,) = (step.image for step in plan.of(Action.BUILD))
        assert isinstance(image, PlannedImage)
        assert (image.target.again, image.target.security) == (2, expected)


def test_a_one_off_run_has_the_surveys_warnings_but_none_of_settings_that_others_need() -> None:
    settings: dict[str, Any] = {"retention": Retention(protect=("nobody",)), "again": {"none": 1}}
    survey = {"warnings": ("a key is withdrawn",)}
    plan = stack([V23], held(V23, "3.23.6"), survey=survey, **settings)
    told = [warning.partition(",")[0] for warning in plan.warnings]
    assert told == ["a key is withdrawn", "retention.protect names nobody", "again names none"]
    once = stack([V23], held(V23, "3.23.6"), survey=survey, one_off=OneOff(action="build"), **settings)
    assert once.warnings == ("a key is withdrawn",)


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


def test_a_region_is_known_once_something_is_made_or_held_there() -> None:
    assert stack([]).known == {}
    plan = stack([V23], regions=COPY)
    assert set(plan.known) == {HOME, OTHER}


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


def test_images_of_a_region_that_does_not_answer_stay_protected() -> None:
    one, other = in_region(held(V23, "3.23.6"), OTHER), in_region(held(V23, "3.23.5"), OTHER)
    further = {OTHER: {"cloud": {"osc_profile": OTHER}}}
    config: dict[str, Any] = {"regions": further, "retention": Retention(protect=(one.name,))}
    survey = {"accounts": {HOME: account()}, "unreached": {OTHER: "no answer"}}
    steps = [step for step in stack([V23], one, other, survey=survey, **config).steps if step.region == OTHER]
    assert [(step.action, step.protected) for step in steps] == [(Action.KEEP, True), (Action.KEEP, False)]


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


def test_an_external_image_that_would_be_forgotten_beside_an_interrupted_runs_is_left_alone() -> None:
    lost = held(V23, "3.23.5", 1)
    tags = {**Identity(lost.spec).tags, VERIFIED: "yes"}
    views = {HOME: account(seen(lost, tags=tags), AccountImage("old", "ami-old", access=Access()))}
    entry = {"name": "old", "omi": "ami-old", "build": V23.name, "release": "3.23.4"}
    plan = stack([V23], survey={"accounts": views}, retention=LATEST, adopt=[entry])
    new = V23.image_name("3.23.6", 0)
    assert {step.name: step.action for step in plan.steps} == {new: Action.BUILD, lost.name: Action.RECOVER}
    assert any(warning.startswith("adopt: old is left alone: release: ") for warning in plan.warnings)


@pytest.mark.parametrize("builds", [("a",), ()])
def test_who_asks_for_a_build_that_no_trusted_key_has_signed_is_told_at_once(builds: tuple[str, ...]) -> None:
    survey = {"untrusted": {"a": "no trusted key has signed its index"}}
    with pytest.raises(ProfileError, match="no trusted key"):
        stack([build("a")], survey=survey, one_off=OneOff(action="build", builds=builds))
    assert stack([build("a")], survey=survey, one_off=OneOff(action="prune", builds=builds)).steps == ()


def test_a_one_off_run_does_only_what_it_is_asked_for() -> None:
    changed = [build("a", user="admin"), build("b", user="admin")]
    images = [held(build(name), "3.23.6") for name in "ab"]
    plan = stack(changed, *images, one_off=OneOff(action="build", builds=("a",)))
    assert [step.build for step in plan.steps if step.action is not Action.KEEP] == ["a"]
    assert len(stack(changed, *images).of(Action.BUILD)) == 2


@pytest.mark.parametrize("why", ["untrusted", "absent"])
def test_what_home_no_longer_builds_is_still_copied(why: str) -> None:
    image = held(V23, "3.23.6")
    survey: dict[str, Any] = {"untrusted": {"v3_23": "no trusted key has signed its index"}}
    if why == "absent":
        survey = {"absent": {"v3_23": {"https://x": "v3_23: there is no such repository"}}}
    assert in_other(stack([V23], image, regions=COPY, survey=survey))[image.name][0] is Action.BUILD


def test_a_missing_revoked_image_is_forgotten_without_a_warning() -> None:
    gone = held(V23, "3.23.6")
    gone = replace(gone, record=gone.record.model_copy(update={"missing": TODAY}))
    views = {HOME: account(missing=[gone])}
    plan = stack([V23], gone, revoked={gone.name: "bad"}, survey={"accounts": views})
    assert step_of(plan, gone.name).action is Action.PRUNE
    assert not [warning for warning in plan.warnings if "can't be made private" in warning]


def test_what_a_silent_region_holds_may_need_any_name_of_consent() -> None:
    one = in_region(held(V23, "3.23.6"), OTHER)
    survey = {"accounts": {HOME: account()}, "unreached": {OTHER: "no answer"}}
    plan = stack([V23], one, regions={OTHER: {"cloud": {"osc_profile": OTHER}}}, survey=survey)
    assert plan.guarded >= {"all", OTHER, "v3_23", one.name}
    assert plan.regions == (HOME, OTHER)
    (step,) = (step for step in plan.steps if step.region == OTHER)
    assert OTHER in step.reason


def test_only_a_verified_image_of_the_stack_itself_is_copied() -> None:
    name, own = V23.image_name("3.23.6", 0), f"first image of {V23.name}"
    views = {HOME: account(AccountImage(name, "ami-old", access=Access())), OTHER: account()}
    external = stack([V23], regions=COPY, survey={"accounts": views})
    assert [step.action for step in external.steps] == [Action.ADOPT, Action.BUILD]
    assert in_other(external) == {name: (Action.BUILD, own)}
    unverified = held(V23, "3.23.6", verified=False)
    assert in_other(stack([V23], unverified, regions=COPY)) == {name: (Action.BUILD, own)}
    verified = held(V23, "3.23.6")
    assert in_other(stack([V23], verified, regions=COPY))[name][1] == f"revision r0 of {HOME} is copied to {OTHER}"


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


def test_in_a_region_that_left_no_image_waits_for_a_build_that_is_still_wanted_elsewhere() -> None:
    old = held(build("old"), "3.23.6")
    allowed = Retention(allow_mass_prune=("eu-west-2",))
    assert step_of(plan_of([V23], UP6, ledger(old), allowed, left="eu-west-2"), old.name).action is Action.PRUNE


def test_the_guard_refuses_nothing_that_a_person_asks_for_and_warnings_of_upstream_are_shown() -> None:
    images = [held(build(name), "3.23.6") for name in "abcd"]
    known = replace(UP6, warnings=("the mirror lags",))
    for asked, count in ((None, 0), ((), 4)):
        plan = plan_of([], known, ledger(*images), Retention(), asked=asked)
        assert len(plan.of(Action.PRUNE)) == count
        assert bool(plan.refused) is (asked is None)
        assert "the mirror lags" in plan.warnings


def test_without_the_level_an_image_waits_until_the_end_of_life_of_its_builds_new_name() -> None:
    only = held(build("old", prefix="alpine-"), "3.23.6")
    for days, action in ((0, Action.KEEP), (1, Action.PRUNE)):
        known = upstream("3.23.6", end_of_life=TODAY - timedelta(days=days))
        plan = plan_of([build("new", prefix="alpine-", revision=0)], known, ledger(only), Retention())
        assert step_of(plan, only.name).action is action


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


def test_a_name_that_is_taken_in_a_region_of_copies_is_named_with_its_cure() -> None:
    image, cure = held(V23, "3.23.6"), "make the next revision by `python -m omi build -s STACK v3_23 --again --yes`"
    other = held(build(user="admin"), "3.23.6")
    tags = {**Identity(other.spec).tags, VERIFIED: "yes", CLAIM: "lost"}
    lost = stack(
        [V23], image, regions=COPY, survey={"accounts": {HOME: account(image), OTHER: account(seen(other, tags=tags))}}
    )
    renamed = held(build("before", prefix=V23.prefix), "3.23.6")
    taken = stack([V23], image, in_region(renamed, OTHER), regions=COPY)
    for plan in (lost, taken):
        (line,) = plan.refused
        assert f"nothing is copied, since another image there is named {image.name}: {cure}" in line
    external = in_region(held(build(user="admin"), "3.23.6", adopted=True), OTHER)
    assert not stack([V23], image, external, regions=COPY).refused


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


@pytest.mark.parametrize(("level", "stays"), [("end-of-life", False), ("revision", True), (None, True)])
def test_only_a_person_who_asks_for_the_end_of_life_lets_the_newest_image_go(level: Any, stays: bool) -> None:
    over = upstream("3.23.6", end_of_life=TODAY - timedelta(days=1))
    levels = Retention(end_of_life=Level(), release=Level(), revision=Level())
    old, new = held(V23, "3.23.5"), held(V23, "3.23.6")
    run = OneOff(action="prune", builds=("v3_23",), level=level)
    plan = stack([V23], old, new, retention=levels, survey={"upstream": over}, one_off=run)
    assert (step_of(plan, new.name).action is Action.KEEP) is stays
    update = stack([V23], old, new, retention=levels, survey={"upstream": over})
    assert step_of(update, new.name).action is Action.KEEP


def test_an_external_image_that_retention_would_forget_is_left_alone_whatever_the_guard_allows() -> None:
    entry = {"name": "old", "omi": "ami-old", "build": V23.name, "release": "3.23.4"}
    ended = upstream("3.23.6", end_of_life=TODAY - timedelta(days=1))
    none = Retention(end_of_life=Level(), max_prunes=0)
    newer = held(V23, "3.23.6", 1)
    views = {HOME: account(newer, AccountImage("old", "ami-old", access=Access()))}
    plan = stack([V23], newer, survey={"accounts": views, "upstream": ended}, retention=none, adopt=[entry])
    assert [step.name for step in plan.steps] == [newer.name]
    assert any(warning.startswith("adopt: old is left alone: end-of-life: ") for warning in plan.warnings)


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


def test_a_recovery_copies_no_image_that_the_profile_is_pinned_away_from() -> None:
    older, newer, pinned = held(V23, "3.23.5"), held(V23, "3.23.6"), build(release="3.23.5")
    there = in_region(older, OTHER)
    assert {step.action for step in stack([pinned], older, newer, there, regions=COPY).steps} == {Action.KEEP}
    views = {HOME: account(*map(lost, (older, newer))), OTHER: account(lost(there))}
    recover = {"stack_id": OWNER.stack_id}
    plan = stack([pinned], survey={"accounts": views}, regions=COPY, recover=recover)
    assert [(step.name, step.region, step.action) for step in plan.steps] == [
        (newer.name, HOME, Action.RECOVER),
        (older.name, HOME, Action.RECOVER),
        (older.name, OTHER, Action.RECOVER),
    ]


def lost(image: LedgerImage) -> AccountImage:
    """It as the account holds it when no state does."""
    tags = {**Identity(image.spec).tags, VERIFIED: "yes"}
    return AccountImage(
        image.name, image.record.omi, tags, managed=True, digest=image.digest, access=image.spec.launch_access
    )


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


@pytest.mark.parametrize("why", ["lacking", "untrusted"])
def test_the_refusal_of_one_build_does_not_end_a_prune_that_a_person_asks_for(why: str) -> None:
    older, newer, bare = held(V23, "3.23.5"), held(V23, "3.23.6"), build("bare")
    survey: dict[str, Any] = {"absent": {"bare": {"https://x": "bare: there is no such repository"}}}
    survey = survey if why == "lacking" else {"untrusted": {"bare": "bare: no trusted key has signed it"}}
    assert stack([V23, bare], older, newer, survey=survey, retention=LATEST).refused
    plan = stack([V23, bare], older, newer, survey=survey, retention=LATEST, one_off=OneOff(action="prune"))
    assert (plan.refused, step_of(plan, older.name).action) == ((), Action.PRUNE)
    assert any("bare" in line for line in plan.warnings)
