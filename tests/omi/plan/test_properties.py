"""What must hold for every plan, over random problems; the environment's OMI_EXAMPLES sets how many of each."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace
from random import Random

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from omi.config.settings import Level, Retention
from omi.plan import Action, Plan, PlannedImage, Step
from omi.plan.report import plan_json, render_table
from omi.state.account import AccountView
from omi.state.ledger import LedgerImage
from omi.state.withdrawal import Stage
from omi.upstream.model import Upstream
from tests.omi.examples import EXAMPLES
from tests.omi.plan.cases import Case, builds_of, cases, upstreams
from tests.omi.plan.make import after, seen

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="OMI_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def pruned(plan: Plan) -> set[str]:
    return {step.name for step in plan.of(Action.PRUNE)}


def gone(case: Case) -> set[str]:
    if case.account is None:
        return set()
    return {image.name for image in case.images if image.record.omi in case.account.missing}


def unseen(case: Case) -> set[str]:
    """With those of which the account's answers differ."""
    if case.account is None:
        return set()
    return {image.name for image in case.images if image.record.omi not in case.account.by_omi}


def account_after(case: Case, plan: Plan) -> AccountView | None:
    """The account once the engine has carried the plan out: what the ledger has is there, with its access."""
    if case.account is None:
        return None
    ledger = after(plan)
    held = {image.record.omi: image for image in ledger.images}
    deleted = {step.image.record.omi for step in plan.of(Action.PRUNE) if isinstance(step.image, LedgerImage)}
    for step in plan.of(Action.PRUNE):
        if step.forgets and isinstance(step.image, LedgerImage):
            deleted.discard(step.image.record.omi)
    made = {image.name for image in ledger.images}
    spared = [
        image
        for image in case.account.images
        if not {image.omi} & (held.keys() | deleted) and not (image.half_made and image.name in made)
    ]
    used = {image.omi: image.used_by for image in case.account.images}
    there = [image for image in held.values() if image.record.omi in used or image.name not in case_names(case)]
    views = [*spared, *(seen(image, used_by=used.get(image.record.omi, ())) for image in there)]
    return AccountView.of(views, None, case.account.missing & held.keys())


def case_after(case: Case, plan: Plan) -> Case:
    """The next run's problem."""
    images = after(plan).images
    return replace(case, images=images, account=account_after(case, plan))


def case_names(case: Case) -> set[str]:
    return {image.name for image in case.images}


@many
@given(cases, st.randoms(use_true_random=False))
def test_order_of_inputs_does_not_matter(case: Case, random: Random) -> None:
    plan = case.plan()
    builds, images, branches = list(case.builds), list(case.images), list(case.upstream.branches)
    random.shuffle(builds)
    random.shuffle(images)
    random.shuffle(branches)
    account = case.account and AccountView.of(reversed(case.account.images), None, case.account.missing)
    upstream = replace(case.upstream, branches=tuple(branches))
    again = case.plan(builds=tuple(builds), images=tuple(images), account=account, upstream=upstream)
    assert again == plan
    assert render_table(again) == render_table(plan)
    assert plan_json(again) == plan_json(plan)


@many
@given(cases)
def test_every_image_has_exactly_one_step(case: Case) -> None:
    plan = case.plan()
    names = Counter(step.name for step in plan.steps)
    assert set(names.values()) <= {1}
    assert case_names(case) <= set(names)
    held = {step.name for step in plan.steps if isinstance(step.image, LedgerImage)}
    assert held == case_names(case)
    assert all((step.action in {Action.KEEP, Action.PRUNE}) == (step.name in held) for step in plan.steps)
    assert all(step.reason for step in plan.steps)


@many
@given(cases)
def test_names_are_valid_and_of_their_build(case: Case) -> None:
    for step in case.plan().steps:
        if isinstance(step.image, PlannedImage):
            assert re.fullmatch(r"[A-Za-z0-9_ ()/.\-]{3,128}", step.name)
            assert step.name not in case_names(case)
            assert step.image.target in case.builds
            taken = case.account.by_name if case.account else {}
            assert (step.action is Action.ADOPT) == (step.name in taken)


@many
@given(cases)
def test_newest_verified_image_of_a_live_build_stays(case: Case) -> None:
    plan, missing = case.plan(), unseen(case)
    for build in case.builds:
        proved = [
            image
            for image in case.images
            if image.build == build.name and image.record.verified and image.name not in missing
        ]
        if proved:
            assert max(proved, key=lambda image: image.order).name not in pruned(plan)


@many
@given(cases)
def test_protected_and_used_images_stay(case: Case) -> None:
    plan, missing = case.plan(), gone(case)
    used = {image.omi for image in case.account.images if image.used_by} if case.account else set()
    for image in case.images:
        spared = image.name in case.retention.protect or image.record.omi in used
        if spared and image.name not in missing:
            assert image.name not in pruned(plan)


def late(step: Step, first: Plan) -> bool:
    """Whether it is built for its age or its packages, which nobody knew when the run before adopted the image."""
    adopted = {each.build for each in first.of(Action.ADOPT)}
    return step.build in adopted and bool(re.search("max_age is|its packages are not known", step.reason))


@many
@given(cases)
def test_planning_again_builds_nothing_and_a_third_time_changes_nothing(case: Case) -> None:
    """What a run builds counts as a replacement from the next run on, so that one may prune; then all is settled."""
    first = case.plan()
    second_case = case_after(case, first)
    second = second_case.plan()
    pin_comes_back = any(build.revision is not None for build in case.builds) and gone(case)
    if not pin_comes_back:
        assert not [step for step in second.steps if isinstance(step.image, PlannedImage) and not late(step, first)]
    built = any(isinstance(step.image, PlannedImage) for step in first.steps)
    if not built and not gone(case):
        assert not second.changes
    for _ in range(2):
        second_case = case_after(second_case, second)
        second = second_case.plan()
    assert not second.changes


@many
@given(cases)
def test_adding_a_build_never_prunes(case: Case) -> None:
    assume(case.builds)
    *fewer, _ = case.builds
    assert pruned(case.plan()) <= pruned(case.plan(builds=tuple(fewer)))


@many
@given(cases, st.sampled_from(("revision", "release", "end_of_life")), st.integers(0, 2), st.integers(0, 30))
def test_tighter_level_prunes_a_superset(case: Case, key: str, keep: int, grace: int) -> None:
    level = getattr(case.retention, key)
    if level is None:
        tight = Level(keep=keep + 1)
    else:
        tight = Level(keep=max(1, level.keep - keep), builds=level.builds, grace_days=max(0, level.grace_days - grace))
    tighter = case.retention.model_copy(update={key: tight})
    assert pruned(case.plan()) <= pruned(case.plan(retention=tighter))


@many
@given(cases)
def test_prunes_have_a_level_that_is_set(case: Case) -> None:
    retention, live = case.retention, {build.name for build in case.builds}
    levels = {"revision": retention.revision, "release": retention.release, "end-of-life": retention.end_of_life}
    for step in case.plan().of(Action.PRUNE):
        if step.level in levels:
            level = levels[step.level]
            assert level is not None
            assert not level.builds or step.build in level.builds
            assert step.build in live
        elif step.level == "edge":
            assert case.edge_keep is not None
        elif step.level == "profile":
            assert step.build not in live
            assert step.reason.startswith("removed from profile")
        else:
            assert step.level == "gone"
            assert step.name in gone(case)
            assert step.forgets


@many
@given(cases, upstreams, st.data())
def test_older_checkout_and_upstream_prune_only_by_retention_or_removal(
    case: Case, older: Upstream, data: st.DataObject
) -> None:
    """Whatever core profiles, recorded releases and upstream say: without levels only a removed build loses images."""
    builds = tuple(data.draw(builds_of[build.name]) for build in case.builds)
    plan = case.plan(builds=builds, upstream=older, retention=Retention(allow_mass_prune=("all",)), edge_keep=None)
    live = {build.name for build in builds}
    for step in plan.of(Action.PRUNE):
        assert step.level == "gone" or (step.build not in live and step.reason.startswith("removed from profile"))


@many
@given(cases)
def test_nothing_goes_for_the_sake_of_what_this_update_makes(case: Case) -> None:
    """So a build that fails loses nothing, even if the engine goes on with the rest."""
    retention = case.retention.model_copy(update={"allow_mass_prune": (), "max_prunes": 99})
    plan, missing = case.plan(retention=retention), unseen(case)
    proved = [step.image for step in plan.steps if isinstance(step.image, LedgerImage) and step.action is Action.KEEP]
    proved = [image for image in proved if image.record.verified and image.name not in missing]
    live = {build.name for build in case.builds}
    making = {step.build for step in plan.steps if isinstance(step.image, PlannedImage)}
    relied_on = {step.build for step in plan.steps if isinstance(step.image, LedgerImage) and step.image.record.adopted}
    relied_on |= {image.build for image in proved}
    for step in plan.of(Action.PRUNE):
        image = step.image
        assert isinstance(image, LedgerImage)
        if step.level == "gone" or image.record.adopted:
            continue
        if step.build in live:
            assert any(other.build == step.build and other.order > image.order for other in proved)
        else:
            assert making <= relied_on


@many
@given(cases)
def test_kept_images_are_declared_as_state_holds_them_but_for_access(case: Case) -> None:
    before = {image.name: image for image in case.images}
    access = {build.name: build.access for build in case.builds}
    for step in case.plan().of(Action.KEEP):
        image = step.image
        assert isinstance(image, LedgerImage)
        old = before[step.name]
        assert (image.record, image.resource) == (old.record, old.resource)
        assert image.command.delete == old.command.delete
        assert step.updates == (image.command.stdin != old.command.stdin)
        assert old.name not in unseen(case) - gone(case) or not step.updates
        published = {"access": old.spec.access, "withdrawal": old.spec.withdrawal, "recipe": old.spec.recipe}
        withdrawal = image.spec.withdrawal
        assert image.spec.recipe == old.spec.recipe or (withdrawal is not None and withdrawal.why == "superseded")
        assert image.spec.model_copy(update=published) == old.spec
        if old.record.adopted:
            assert not step.updates or old.name in gone(case)
        elif step.updates and step.stage is not Stage.PRIVATE:
            assert image.spec.access in (access.get(step.build), old.spec.access)


@many
@given(cases)
def test_builds_and_prunes_of_one_run_never_rely_on_each_other(case: Case) -> None:
    """What is pruned is the same whether or not this run's builds succeed: only the ledger counts as a replacement."""
    plan = case.plan()
    there = [image for image in case.images if image.record.verified and image.name not in unseen(case)]
    for build in case.builds:
        proved = {image.name for image in there if image.build == build.name}
        assert bool(proved - pruned(plan)) == bool(proved)
