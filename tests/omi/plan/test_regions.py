"""A stack of several Regions is planned as that many stacks would be, and its resources never share a name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings

from omi.config.regions import regions_of
from omi.config.settings import FurtherRegion, Retention, Settings, SharedDays, Stages
from omi.plan import Action, Plan, PlannedImage, Step
from omi.plan.planning import plan_stack
from omi.plan.report import render_table
from omi.plan.survey import Survey
from omi.profile.load import Profile
from omi.profile.model import Access
from omi.state.account import AccountView
from omi.state.ledger import Ledger, LedgerImage
from omi.state.withdrawal import Stage
from omi.support.errors import UpstreamError
from tests.omi.examples import EXAMPLES
from tests.omi.plan.cases import Case, cases
from tests.omi.plan.make import TODAY, account, applied, build, digest, held, in_region, upstream
from tests.omi.specs import OWNER

HOME, OTHER = "eu-west-2", "us-east-2"
FURTHER = FurtherRegion.model_validate({"cloud": {"osc_profile": OTHER}})
AT_ONCE = Stages(shared=SharedDays(deprecated_days=0, private_days=0))

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="OMI_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


pytestmark = pytest.mark.usefixtures("varied_by_user")


def plan_regions(
    case: Case,
    there: Case | Sequence[LedgerImage],
    *,
    regions: dict[str, FurtherRegion] | None = None,
    revoked: dict[str, str] | None = None,
    **more: Any,
) -> Plan:
    """The stack with the first case's images at home and the second's in the other Region; `more` is of the survey.

    Instead of a case the other Region may have images that are already of that Region.
    """
    config = Settings(
        region=HOME,
        regions={OTHER: FURTHER} if regions is None else regions,
        retention=case.retention,
        revoked=revoked or {},
    )
    further = [in_region(image, OTHER) for image in there.images] if isinstance(there, Case) else there
    ledger = Ledger.of([*case.images, *further])
    known = there.account if isinstance(there, Case) else None
    accounts = {HOME: case.account or account(*case.images), OTHER: known or account(*further)}
    profile = Profile("alpine", case.builds)
    regions_now = regions_of(config, ledger)
    seen = Survey(profile, case.upstream, regions_now, accounts, case.today, OWNER, case.offers, **more)
    try:
        return plan_stack(config, seen)
    except UpstreamError:
        reject()  # a build without any known release, which is the same in every Region


def told(plan: Plan, region: str) -> list[tuple[str, str, str]]:
    return [(step.name, step.action.value, step.reason) for step in plan.steps if step.region == region]


@many
@given(cases, cases)
def test_each_region_is_planned_as_if_it_were_alone(case: Case, there: Case) -> None:
    there = replace(there, builds=case.builds, upstream=case.upstream, offers=case.offers)
    empty = replace(there, images=(), account=AccountView())
    both = plan_regions(case, there)
    assert told(both, HOME) == told(plan_regions(case, empty), HOME)
    nobody = replace(case, images=(), account=AccountView())
    assert told(both, OTHER) == told(plan_regions(nobody, there), OTHER)


@many
@given(cases, cases)
def test_every_image_has_one_step_and_every_declared_resource_a_name_of_its_own(case: Case, there: Case) -> None:
    plan = plan_regions(case, there)
    steps = Counter((step.region, step.name) for step in plan.steps)
    assert set(steps.values()) <= {1}
    assert {(HOME, image.name) for image in case.images} | {(OTHER, image.name) for image in there.images} <= set(steps)
    names = [
        step.image.resource or step.name if isinstance(step.image, PlannedImage) else step.image.resource
        for step in plan.steps
    ]
    assert len(names) == len(set(names))
    assert [step.build for step in plan.steps] == [s.build for name, of_build in plan.by_build() for s in of_build]


@many
@given(cases, cases)
def test_a_region_that_left_the_config_only_loses_images(case: Case, there: Case) -> None:
    plan = plan_regions(case, there, regions={})
    steps = [step for step in plan.steps if step.region == OTHER]
    assert all(isinstance(step.image, LedgerImage) for step in steps)
    assert told(plan, HOME) == told(plan_regions(case, replace(there, images=(), account=None), regions={}), HOME)
    protected = {*case.retention.protect}
    for step in steps:
        if step.action is Action.KEEP:
            assert isinstance(step.image, LedgerImage)
            seen = there.account.by_omi.get(step.image.record.omi) if there.account else None
            if there.account and seen is None:
                continue  # missing, which is marked first, or in doubt
            spared = step.name in protected or step.image.spec.withdrawal is not None or bool(seen and seen.used_by)
            assert spared


def simple(images: int) -> Case:
    builds = tuple(build(name) for name in "abcd"[:images])
    return Case(builds, upstream("3.23.6"), tuple(held(one, "3.23.6") for one in builds), Retention(), None, None)


def test_the_mass_prune_guard_counts_each_region_alone_and_can_be_opened_for_one() -> None:
    case = simple(4)
    plan = plan_regions(replace(case, retention=Retention(stages=AT_ONCE)), case, regions={})
    assert plan.refused[0].startswith(f"Region {OTHER}: 4 of 4 images would be pruned at once")
    assert not plan.of(Action.PRUNE)
    allowed = Retention(stages=AT_ONCE, allow_mass_prune=(OTHER,))
    plan = plan_regions(replace(case, retention=allowed), case, regions={})
    assert {step.region for step in plan.of(Action.PRUNE)} == {OTHER}
    assert {step.level for step in plan.of(Action.PRUNE)} == {"region"}
    assert len(plan.of(Action.KEEP)) == 4


def test_a_region_that_left_the_config_must_be_allowed_however_few_its_images_are() -> None:
    plan = plan_regions(replace(simple(1), retention=Retention(stages=AT_ONCE)), simple(1), regions={})
    assert plan.refused[0].startswith(f"Region {OTHER}: 1 of 1 images would be pruned at once")


def test_the_table_names_the_region_of_each_row_and_what_is_missing_there_alone_is_built() -> None:
    case = simple(1)
    plan = plan_regions(case, replace(case, images=()))
    assert render_table(plan).splitlines() == [
        "   region     build  image                      action  reason",
        f"   {HOME}  a      alpine-a-3.23.6-x86_64-r0  keep    current",
        f"+  {OTHER}  a      alpine-a-3.23.6-x86_64-r0  build   first image of a",
        "1 to build, 1 to keep",
    ]
    (new,) = (step.image for step in plan.of(Action.BUILD))
    assert isinstance(new, PlannedImage)
    assert (new.region, new.resource) == (OTHER, "alpine-a-3.23.6-x86_64-r0@us-east-2")


def test_a_region_that_can_not_be_reached_keeps_what_it_has_and_the_others_go_on() -> None:
    case = simple(2)
    config = Settings(region=HOME, regions={OTHER: FURTHER}, retention=Retention(stages=AT_ONCE))
    images = [in_region(image, OTHER) for image in (*case.images, held(case.builds[0], "3.23.5"))]
    profile = Profile("alpine", case.builds[:1])
    accounts = {HOME: AccountView()}
    why = {OTHER: f"Region {OTHER}: no answer"}
    regions = regions_of(config, Ledger.of(images))
    seen = Survey(profile, case.upstream, regions, accounts, case.today, OWNER, unreached=why)
    plan = plan_stack(config, seen)
    assert [(step.name, step.action) for step in plan.steps if step.region == HOME] == [
        ("alpine-a-3.23.6-x86_64-r0", Action.BUILD)
    ]
    kept = of_other(plan)
    assert {step.action for step in kept} == {Action.KEEP}
    assert [step.image for step in kept] == [images[0], images[2], images[1]], "as state holds them"
    assert plan.warnings[-1].endswith(f"the next one makes up for it: Region {OTHER}: no answer")


COPIED = FurtherRegion.model_validate({"cloud": {"osc_profile": OTHER}, "images": "copy"})


def copies(case: Case, there: Case) -> Plan:
    return plan_regions(case, there, regions={OTHER: COPIED})


def of_other(plan: Plan) -> list[Step]:
    return [step for step in plan.steps if step.region == OTHER]


def carried_over(plan: Plan) -> dict[str, LedgerImage]:
    """The other Region's images once the plan was carried out, by name."""
    found = {}
    for step in of_other(plan):
        if step.action is not Action.PRUNE:
            image = step.image if isinstance(step.image, LedgerImage) else in_region(applied(step.image), OTHER)
            found[image.name] = image
    return found


def test_a_region_that_copies_wants_the_very_image_that_the_home_region_has() -> None:
    (one,) = simple(1).builds
    older = build("a", user="admin")
    case = replace(simple(1), images=(held(older, "3.23.6"), held(one, "3.23.6", 1)))
    plan = copies(case, replace(case, images=()))
    (step,) = of_other(plan)
    assert isinstance(step.image, PlannedImage)
    assert (step.name, step.image.revision, step.image.digest) == (
        "alpine-a-3.23.6-x86_64-r1",
        1,
        digest(one, "3.23.6"),
    )
    assert step.image.target == one, "what the profile says, without the pins that it was planned by"
    assert step.image.copy_from is not None
    assert step.image.copy_from.region == HOME
    assert step.reason == f"revision r1 of {HOME} is copied to {OTHER}"
    again = copies(case, replace(case, images=tuple(carried_over(plan).values())))
    assert not again.changes
    assert [step.reason for step in of_other(again)] == [f"current, as in {HOME}"]


@pytest.mark.parametrize("further", [COPIED, FURTHER])
@pytest.mark.parametrize("by_name", [True, False])
def test_no_region_gets_content_that_is_revoked_at_home(further: FurtherRegion, by_name: bool) -> None:
    (one,) = simple(1).builds
    bad = held(one, "3.23.6", 1)
    revoked = {bad.name if by_name else bad.record.omi: "its sshd takes any key"}
    case = replace(simple(1), images=(bad,))
    plan = plan_regions(case, replace(case, images=()), regions={OTHER: further}, revoked=revoked)
    assert of_other(plan) == []
    assert any("so nothing is built of it" in warning for warning in plan.warnings)


def test_a_region_that_copies_takes_the_newest_image_that_is_not_revoked() -> None:
    (one,) = simple(1).builds
    good, bad = held(build("a", user="admin"), "3.23.6"), held(one, "3.23.6", 1)
    case = replace(simple(1), images=(good, bad))
    revoked = {bad.name: "its sshd takes any key"}
    (step,) = of_other(plan_regions(case, replace(case, images=()), regions={OTHER: COPIED}, revoked=revoked))
    assert isinstance(step.image, PlannedImage)
    assert (step.name, step.image.digest) == (good.name, good.spec.digest)
    assert step.image.copy_from is not None


def test_what_is_to_be_built_at_home_is_carried_over_in_the_same_update() -> None:
    case = replace(simple(1), images=())
    (here, there) = copies(case, case).steps
    assert (here.region, there.region, here.name) == (HOME, OTHER, there.name)
    assert isinstance(here.image, PlannedImage)
    assert isinstance(there.image, PlannedImage)
    assert (here.image.copy_from, here.image.digest) == (None, there.image.digest)
    assert there.image.copy_from is not None


def test_what_another_hand_made_at_home_is_not_carried_over_but_built() -> None:
    case = simple(1)
    foreign = replace(case, images=(held(case.builds[0], "3.23.6", adopted=True, verified=False),))
    (step,) = of_other(copies(foreign, replace(case, images=())))
    assert isinstance(step.image, PlannedImage)
    assert (step.action, step.image.copy_from) == (Action.BUILD, None)


@many
@given(cases, cases)
def test_a_region_that_copies_never_wants_what_the_home_region_has_not(case: Case, there: Case) -> None:
    plan = copies(case, there)
    home = {step.name: step.image for step in plan.steps if step.region == HOME and step.action is not Action.PRUNE}
    for step in of_other(plan):
        if isinstance(step.image, PlannedImage) and step.image.copy_from is not None:
            source = home[step.name]
            same = source.digest if isinstance(source, PlannedImage) else source.spec.digest
            assert step.image.digest == same
    assert told(plan, HOME) == told(plan_regions(case, there), HOME)


def test_content_stays_revoked_after_its_image_is_gone_from_account_and_state() -> None:
    (one,) = simple(1).builds
    bad, reason = held(one, "3.23.6"), {held(one, "3.23.6").name: "its sshd takes any key"}
    case = replace(simple(1), images=(bad,), account=account(bad))
    memory = plan_regions(case, replace(case, images=()), regions={}, revoked=reason).memory
    assert memory.revoked == {bad.name: (bad.spec.digest,)}
    gone = replace(simple(1), images=(), account=account())
    plan = plan_regions(gone, gone, regions={}, revoked=reason, memory=memory)
    assert not plan.steps
    assert any("so nothing is built of it" in warning for warning in plan.warnings)
    assert plan.memory.revoked == memory.revoked
    taken_back = plan_regions(gone, gone, regions={}, memory=memory)
    assert taken_back.memory.revoked is None
    assert [step.action for step in taken_back.steps] == [Action.BUILD]


def test_a_new_region_gets_no_image_of_a_revoked_name() -> None:
    (one,) = simple(1).builds
    bad, good = held(build("a", user="admin"), "3.23.6"), held(one, "3.23.6", 1)
    case = replace(simple(1), images=(bad, good))
    plan = plan_regions(case, replace(case, images=()), revoked={bad.name: "its sshd takes any key"})
    assert [(step.name, step.action) for step in of_other(plan)] == [(good.name, Action.BUILD)]


def test_a_copy_of_an_image_that_nobody_revoked_is_made_though_another_of_its_content_is_revoked() -> None:
    (one,) = simple(1).builds
    bad, good = held(one, "3.23.6"), held(one, "3.23.6", 1)
    case = replace(simple(1), images=(bad, good))
    there = replace(case, images=(bad,))
    plan = plan_regions(case, there, regions={OTHER: COPIED}, revoked={bad.name: "a flaw in openssl"})
    assert {step.name: step.action for step in of_other(plan)} == {bad.name: Action.KEEP, good.name: Action.BUILD}
    assert not [warning for warning in plan.warnings if "nothing is built" in warning]


@pytest.mark.parametrize("copied_too", [True, False])
def test_no_region_builds_what_the_home_region_refuses(copied_too: bool) -> None:
    first, second = simple(2).builds
    case = replace(simple(2), images=(held(first, "3.23.6"),) if copied_too else ())
    untrusted = {second.name: "its index bears no trusted signature"}
    plan = plan_regions(case, replace(case, images=()), regions={OTHER: COPIED}, untrusted=untrusted)
    wanted = [first.name] if not copied_too else []
    assert [step.build for step in plan.of(Action.BUILD) if step.region == HOME] == wanted
    assert [step.build for step in of_other(plan)] == [first.name], "the one that is copied"
    (refused,) = plan.refused
    assert "its index bears no trusted signature" in refused


def test_an_image_of_other_content_in_a_region_is_no_copy_of_the_home_regions() -> None:
    (one,) = simple(1).builds
    case, other = simple(1), held(build("a", user="admin"), "3.23.6")
    plan = copies(case, replace(case, images=(other,)))
    (step,) = of_other(plan)
    assert (step.name, step.action) == (other.name, Action.KEEP)
    assert "current, as in" not in step.reason
    (refused,) = plan.refused
    assert f"nothing is copied, since another image there is named {other.name}: make the next revision by" in refused
    again = replace(case, images=(*case.images, held(one, "3.23.6", 1)))
    cured = copies(again, replace(case, images=(other,)))
    assert not cured.refused
    assert [step.action for step in of_other(cured)] == [Action.BUILD, Action.KEEP]


def test_a_region_that_left_loses_nothing_before_a_person_allows_it_though_its_stages_have_begun() -> None:
    public = replace(simple(1), builds=tuple(build(each.name, access=Access(public=True)) for each in simple(1).builds))
    images = tuple(held(each, "3.23.6") for each in public.builds)
    case = replace(public, images=images, today=TODAY)
    first = plan_regions(case, case, regions={})
    there = tuple(step.image for step in of_other(first) if isinstance(step.image, LedgerImage))
    assert [image.spec.stage for image in there] == [Stage.DEPRECATED]
    later = replace(case, today=TODAY + timedelta(days=31))
    waits = plan_regions(later, there, regions={})
    assert [step.stage for step in of_other(waits)] == [Stage.DEPRECATED]
    assert waits.refused[0].startswith(f"Region {OTHER}: 1 of 1 images would be made private at once")
    assert "in their place, since their Region left the config: " in waits.refused[0]
    allowed = replace(later, retention=Retention(allow_mass_prune=(OTHER,)))
    assert [step.stage for step in of_other(plan_regions(allowed, there, regions={}))] == [Stage.PRIVATE]
