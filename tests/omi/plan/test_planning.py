"""From settings and a survey to the plan: its memory, how Regions are reached, what new images are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from omi.config.one_off import OneOff
from omi.config.regions import KnownRegion, regions_of
from omi.config.settings import Level, Retention, Settings
from omi.plan import Action, Plan, PlannedImage
from omi.plan.memory import REMEMBERED
from omi.plan.model import ChangeKind
from omi.plan.planning import plan_stack
from omi.plan.survey import Survey
from omi.profile.load import Profile
from omi.state.account import AccountView
from omi.state.ledger import Ledger, LedgerImage
from tests.omi.plan.make import TODAY, account, build, held, in_region, seen, step_of, upstream
from tests.omi.specs import OWNER

HOME, OTHER = "eu-west-2", "us-east-2"
V23, GONE = build(), build("v3_22", "3.22")
OLD, NEW = held(V23, "3.23.5"), held(V23, "3.23.6")


pytestmark = pytest.mark.usefixtures("varied_by_user")


def plan(
    *images: LedgerImage,
    retention: Retention | None = None,
    views: Mapping[str, AccountView] | None = None,
    known_before: Mapping[str, KnownRegion] | None = None,
    unreached: Mapping[str, str] | None = None,
    days: int = 0,
    **settings: Any,
) -> Plan:
    given = Settings.model_validate({"region": HOME, "retention": retention or Retention(), **settings})
    regions = regions_of(given, Ledger.of(images))
    views = views or {region.name: account(*region.ledger.images) for region in regions}
    known = upstream("3.23.6", "3.22.4")
    survey = Survey(Profile("alpine", (V23,)), known, regions, views, TODAY + timedelta(days=days), OWNER)
    return plan_stack(given, replace(survey, known=known_before or {}, unreached=unreached or {}))


def test_the_next_plan_knows_what_this_one_protects() -> None:
    assert plan(NEW).memory.protected == ()
    assert plan(NEW, retention=Retention(protect=(OLD.name, NEW.name))).memory.protected == (OLD.name, NEW.name)


def test_the_next_plan_knows_what_this_one_lets_go() -> None:
    one = Retention(release=Level())
    assert plan(NEW, retention=one).memory.pruned == {}
    assert plan(OLD, NEW, retention=one).memory.pruned == {OLD.record.omi: TODAY}
    assert plan(OLD, NEW).memory.pruned == {}


def test_a_one_off_run_that_prunes_nothing_lets_nothing_go() -> None:
    given = Settings.model_validate({"region": HOME, "retention": Retention(release=Level())})
    regions = regions_of(given, Ledger.of([OLD, NEW]))
    seen = {HOME: account(OLD, NEW)}
    survey = Survey(Profile("alpine", (V23,)), upstream("3.23.6"), regions, seen, TODAY, OWNER)
    assert plan_stack(given, survey, OneOff(action="build")).memory.pruned == {}
    assert plan_stack(given, survey, OneOff(action="prune")).memory.pruned == {OLD.record.omi: TODAY}


def test_an_image_that_another_stack_made_is_not_let_go_but_left_to_it() -> None:
    external = held(GONE, "3.22.4", adopted=True)
    found = plan(NEW, external)
    assert step_of(found, external.name).action is Action.PRUNE
    assert found.memory.pruned == {}


def test_an_image_that_another_record_holds_is_only_forgotten_and_stays_published() -> None:
    mine = replace(OLD, record=OLD.record.model_copy(update={"claim": "mine"}))
    for tag, leaves in (("theirs", True), ("mine", False)):
        views = {HOME: account(seen(mine, tags={"claim": tag}), NEW)}
        found = plan(mine, NEW, retention=Retention(release=Level()), views=views)
        step = step_of(found, OLD.name)
        assert (step.action, step.forgets) == (Action.PRUNE, leaves)
        assert ("another record holds" in step.reason and "omi claim" in step.reason) is leaves
        assert found.memory.pruned == ({} if leaves else {OLD.record.omi: TODAY})


def test_the_next_plan_knows_the_ends_of_life_of_all_that_is_built_or_held() -> None:
    assert sorted(plan(NEW).memory.end_of_life) == ["3.23"]
    assert sorted(plan(NEW, held(GONE, "3.22.4")).memory.end_of_life) == ["3.22", "3.23"]


def test_a_changed_connection_reaches_what_is_held_and_waits_with_what_goes() -> None:
    one = Retention(release=Level())
    found = plan(OLD, NEW, retention=one, cloud={"osc_profile": "another"})
    assert {step.action for step in found.steps} == {Action.KEEP}
    for step in found.steps:
        assert step.changes[-1].kind is ChangeKind.CONNECT
        assert isinstance(step.image, LedgerImage)
        assert step.image.spec.cloud.osc_profile == "another"


def test_a_region_that_left_the_config_is_reached_as_state_says() -> None:
    there = in_region(NEW, OTHER)
    found = plan(NEW, there, retention=Retention(allow_mass_prune=(OTHER,)), cloud={"osc_profile": "another"})
    (step,) = (step for step in found.steps if step.image.region == OTHER)
    assert isinstance(step.image, LedgerImage)
    assert (step.action, step.level) == (Action.PRUNE, "region")
    assert step.image.spec.cloud == there.spec.cloud


def test_a_new_image_is_called_by_its_region_where_that_is_not_the_home() -> None:
    found = plan(regions={OTHER: {"cloud": {"osc_profile": OTHER}}})
    made = {step.image.region: step.image for step in found.of(Action.BUILD)}
    home, further = made[HOME], made[OTHER]
    assert isinstance(home, PlannedImage)
    assert isinstance(further, PlannedImage)
    assert (home.resource, further.resource) == (None, f"{NEW.name}@{OTHER}")


def test_a_build_that_is_counted_again_and_is_none_is_warned_of() -> None:
    (warning,) = (each for each in plan(NEW, again={"v3_23": 1, "none": 2}).warnings if each.startswith("again"))
    assert "again names none, which is not a build" in warning


@pytest.mark.parametrize("by", ["name", "omi"])
def test_a_revoked_image_that_is_not_the_stacks_own_is_warned_of_by_name_or_id(by: str) -> None:
    external = held(V23, "3.23.6", adopted=True)
    named = external.name if by == "name" else external.record.omi
    found = plan(external, revoked={named: "broken"})
    assert step_of(found, external.name).action is Action.KEEP
    assert [each for each in found.warnings if "can't be made private by this stack" in each]


FURTHER = {OTHER: {"cloud": {"osc_profile": OTHER}}}


def test_a_region_in_which_something_is_made_or_held_is_remembered_with_its_connection_and_account() -> None:
    views = {HOME: account(NEW), OTHER: replace(account(), account="000000000002")}
    settings = Settings.model_validate({"region": HOME, "regions": FURTHER})
    found = plan(NEW, views=views, regions=FURTHER).known
    assert found == {
        HOME: KnownRegion(cloud=settings.cloud_access()),
        OTHER: KnownRegion(cloud=settings.cloud_access(OTHER), account="000000000002"),
    }
    assert plan(NEW, views=views, regions=FURTHER, known_before=found, days=7).known == found, "each run the same"
    renamed = {OTHER: {"cloud": {"osc_profile": "renamed"}}}
    again = plan(NEW, views=views, regions=renamed, known_before=found)
    assert again.known[OTHER].cloud.osc_profile == "renamed"


def test_a_region_that_never_answered_is_not_remembered_and_one_that_answered_once_is_as_it_was_then() -> None:
    views, unreached = {HOME: account(NEW)}, {OTHER: "no answer"}
    assert plan(NEW, views=views, regions=FURTHER, unreached=unreached).known.keys() == {HOME}
    before = plan(NEW, regions=FURTHER).known
    renamed = {OTHER: {"cloud": {"osc_profile": "renamed"}}}
    assert plan(NEW, views=views, regions=renamed, unreached=unreached, known_before=before).known == before


def test_a_region_that_left_the_config_is_remembered_for_a_year_from_that_day() -> None:
    before = plan(NEW, regions=FURTHER).known
    left = plan(NEW, known_before=before).known
    assert left[OTHER] == before[OTHER].model_copy(update={"left": TODAY})
    assert plan(NEW, known_before=left, days=REMEMBERED.days - 1).known == left
    assert plan(NEW, known_before=left, days=REMEMBERED.days).known.keys() == {HOME}
    assert plan(NEW, known_before=left, days=30, regions=FURTHER).known == before, "it is back"


def test_a_region_that_left_the_config_counts_as_left_only_when_its_images_are_gone() -> None:
    there = in_region(NEW, OTHER)
    found = plan(NEW, there).known
    assert found[OTHER] == KnownRegion(cloud=there.spec.cloud)
    assert plan(NEW, known_before=found, days=9).known[OTHER].left == TODAY + timedelta(days=9)


def test_the_home_region_of_an_earlier_config_is_remembered_too() -> None:
    before = plan().known
    assert before.keys() == {HOME}
    found = plan(region=OTHER, known_before=before).known
    assert {name: each.left for name, each in found.items()} == {HOME: TODAY, OTHER: None}


def test_a_region_that_copies_are_made_from_is_remembered_as_such_for_a_year() -> None:
    copying = {OTHER: {"cloud": {"osc_profile": OTHER}, "images": "copy"}}
    found = plan(NEW, regions=copying).known
    assert {name: each.copied for name, each in found.items()} == {HOME: TODAY, OTHER: None}
    done = plan(NEW, in_region(NEW, OTHER), regions=copying, known_before=found, days=7).known
    assert done[HOME].copied == TODAY, "nothing was copied on that day"
    assert plan(NEW, known_before=done, days=REMEMBERED.days).known[HOME].copied is None
    assert plan(NEW, regions=FURTHER).known[HOME].copied is None, "one that is built there needs no bucket"
