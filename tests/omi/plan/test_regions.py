"""A stack of several Regions is planned as that many stacks would be, and its resources never share a name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, reject, settings

from omi.account import AccountView
from omi.errors import PlanError, UpstreamError
from omi.ledger import Ledger, LedgerImage
from omi.plan import Action, Plan, PlannedImage
from omi.planning import plan_stack
from omi.profile.load import Profile
from omi.report import render_table
from omi.settings import FurtherRegion, Retention, Settings, SharedDays, Stages
from omi.survey import Survey
from tests.omi.examples import EXAMPLES
from tests.omi.plan.cases import Case, cases
from tests.omi.plan.make import account, build, digest, held, in_region, upstream

HOME, OTHER = "eu-west-2", "us-east-2"
FURTHER = FurtherRegion.model_validate({"cloud": {"osc_profile": "us"}})
AT_ONCE = Stages(shared=SharedDays(deprecated_days=0, private_days=0))

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="OMI_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True, scope="module")
def digests() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("omi.planning._digest", digest)
        yield


def plan_regions(case: Case, there: Case, *, regions: dict[str, FurtherRegion] | None = None) -> Plan:
    """The stack with the first case's images at home and the second's in the other Region."""
    builds = {one.name for one in case.builds}
    only = tuple(name for name in case.only if name in builds)
    config = Settings(
        region=HOME,
        regions={OTHER: FURTHER} if regions is None else regions,
        retention=case.retention,
        builds=only,
    )
    ledger = Ledger.of([*case.images, *(in_region(image, OTHER) for image in there.images)])
    accounts = {name: part.account or account(*part.images) for name, part in ((HOME, case), (OTHER, there))}
    profile = Profile("alpine", case.builds)
    seen = Survey(profile, case.upstream, accounts, case.today, "alpine-omi", "test", case.packages)
    try:
        return plan_stack(config, ledger, seen)
    except UpstreamError:
        reject()  # a build without any known release, which is the same in every Region


def told(plan: Plan, region: str) -> list[tuple[str, str, str]]:
    return [(step.name, step.action.value, step.reason) for step in plan.steps if step.region == region]


@many
@given(cases, cases)
def test_each_region_is_planned_as_if_it_were_alone(case: Case, there: Case) -> None:
    there = replace(there, builds=case.builds, upstream=case.upstream, packages=case.packages)
    empty = replace(there, images=(), account=AccountView())
    both = plan_regions(case, there)
    assert told(both, HOME) == told(plan_regions(case, empty), HOME)
    nobody = replace(case, images=(), account=AccountView(), only=case.only)
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
            spared = step.name in protected or step.image.spec.withdrawal is not None or bool(seen and seen.used_by)
            assert spared or "not in this run" in step.reason


def simple(images: int) -> Case:
    builds = tuple(build(name) for name in "abcd"[:images])
    return Case(builds, upstream("3.23.6"), tuple(held(one, "3.23.6") for one in builds), Retention(), None, (), None)


def test_the_mass_prune_guard_counts_each_region_alone_and_can_be_opened_for_one() -> None:
    case = simple(4)
    with pytest.raises(PlanError, match=f"^Region {OTHER}: 4 of 4 images would be pruned at once, more than half"):
        plan_regions(replace(case, retention=Retention(stages=AT_ONCE)), case, regions={})
    allowed = Retention(stages=AT_ONCE, allow_mass_prune=(OTHER,))
    plan = plan_regions(replace(case, retention=allowed), case, regions={})
    assert {step.region for step in plan.of(Action.PRUNE)} == {OTHER}
    assert {step.level for step in plan.of(Action.PRUNE)} == {"region"}
    assert len(plan.of(Action.KEEP)) == 4


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


def test_a_build_that_only_another_region_has_images_of_may_be_named_in_the_settings() -> None:
    case = simple(2)
    gone = replace(case, builds=case.builds[:1], only=("a",))
    plan = plan_regions(replace(gone, retention=Retention(revision=None)), replace(case, images=case.images[1:]))
    assert {step.name for step in plan.of(Action.BUILD)} == {"alpine-a-3.23.6-x86_64-r0"}
