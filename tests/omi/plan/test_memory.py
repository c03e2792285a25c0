"""Which end of life counts, and what one update leaves for the next."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from omi.config.settings import Level, Retention, Settings
from omi.plan import Action
from omi.plan.memory import PATIENCE, REMEMBERED, AnnouncedEnd, Memory
from omi.plan.model import ChangeKind
from omi.plan.survey import expand_profile
from omi.profile.load import load_profile
from omi.profile.model import Access
from omi.upstream.model import Branch, Upstream
from tests.omi.plan.make import TODAY, account, after, build, held, ledger, plan_of, seen, step_of, upstream

V23 = build()
RIGHT, WRONG = date(2027, 11, 1), date(2026, 1, 1)


def say(day: date | None) -> Upstream:
    return upstream("3.23.6", end_of_life=day)


@pytest.mark.parametrize(
    ("recorded", "said", "expected"),
    [(None, None, None), (2026, None, 2026), (None, 2027, 2027), (2026, 2027, 2027), (2028, 2027, 2028)],
)
def test_the_later_day_counts(recorded: int | None, said: int | None, expected: int | None) -> None:
    days = [date(year, 11, 1) if year else None for year in (recorded, said, expected)]
    known = Upstream((Branch("3.23", (), days[1]),))
    memory = Memory().today(known, ["3.23"], TODAY)
    assert memory.last_day("3.23", [days[0]], known, TODAY) == days[2]
    assert Memory().last_day("3.23", [days[0]], known, TODAY) == days[2]


def test_a_pruned_omi_is_remembered_for_a_year() -> None:
    memory = Memory().let_go({"ami-1"}, set(), TODAY)
    for days, is_known in ((364, True), (365, False)):
        assert ("ami-1" in memory.let_go(set(), set(), TODAY + timedelta(days=days)).pruned) is is_known


def test_of_several_recorded_days_the_latest_counts_where_upstream_announces_none() -> None:
    days = [WRONG, None, RIGHT]
    assert Memory().last_day("3.23", days, say(None), TODAY) == RIGHT


def test_an_earlier_day_counts_once_upstream_has_said_it_for_thirty_days() -> None:
    memory = Memory().today(say(WRONG), ["3.23"], TODAY)
    assert memory.end_of_life == {"3.23": AnnouncedEnd(day=WRONG, since=TODAY)}
    for days in (0, 29):
        then = TODAY + timedelta(days=days)
        assert memory.today(say(WRONG), ["3.23"], then) == memory, "what is said again is remembered from its first day"
        assert memory.last_day("3.23", [RIGHT], say(WRONG), then) == RIGHT
    then = TODAY + PATIENCE
    confirmed = memory.today(say(WRONG), ["3.23"], then)
    assert confirmed.end_of_life == {"3.23": AnnouncedEnd(day=WRONG, since=TODAY, confirmed=then)}
    assert confirmed.last_day("3.23", [RIGHT], say(WRONG), then) == WRONG
    assert confirmed.today(say(WRONG), ["3.23"], then + PATIENCE) == confirmed


def test_a_day_that_upstream_announced_once_does_not_count_while_it_gives_no_answer() -> None:
    memory = Memory().today(say(WRONG), ["3.23"], TODAY)
    for days in (30, 35, 400):
        then = TODAY + timedelta(days=days)
        for silent in (Upstream(), replace(say(WRONG), stale=True)):
            assert memory.today(silent, ["3.23"], then) == memory
            assert memory.last_day("3.23", [RIGHT], silent, then) == RIGHT
    mended = memory.today(say(RIGHT), ["3.23"], TODAY + timedelta(days=35))
    assert mended.last_day("3.23", [], say(RIGHT), TODAY + timedelta(days=35)) == RIGHT


def test_a_mended_digit_begins_anew_and_an_unreachable_upstream_changes_nothing() -> None:
    wrong = Memory().today(say(WRONG), ["3.23"], TODAY)
    mended = wrong.today(say(RIGHT), ["3.23"], TODAY + timedelta(days=3))
    assert mended.end_of_life["3.23"].day == RIGHT
    again = mended.today(say(WRONG), ["3.23"], TODAY + timedelta(days=40))
    assert again.last_day("3.23", [RIGHT], say(WRONG), TODAY + timedelta(days=40)) == RIGHT
    assert wrong.today(Upstream(), ["3.23"], TODAY + PATIENCE) == wrong


def test_a_later_day_that_was_announced_counts_beside_an_earlier_one_for_thirty_days_too() -> None:
    first, extended = date(2026, 11, 1), date(2027, 5, 1)
    memory = Memory().today(say(first), ["3.23"], TODAY - timedelta(days=90))
    memory = memory.today(say(extended), ["3.23"], TODAY - timedelta(days=60))
    assert memory.end_of_life["3.23"].later is None
    for back in (first, extended - timedelta(days=1), first):  # of several earlier answers none is the first one's echo
        memory = memory.today(say(back), ["3.23"], TODAY)
        assert memory.end_of_life["3.23"] == AnnouncedEnd(day=back, since=TODAY, later=extended)
        assert memory.last_day("3.23", [first, None], say(back), TODAY) == extended
    for days, expected in ((29, extended), (30, first)):
        then = TODAY + timedelta(days=days)
        told = memory.today(say(first), ["3.23"], then)
        assert told.last_day("3.23", [first], say(first), then) == expected
        assert told.last_day("3.23", [], say(first), then) == expected
    over = told.today(say(first - timedelta(days=9)), ["3.23"], TODAY + PATIENCE)
    assert over.end_of_life["3.23"].later == first, "what was taken back for good counts no more"
    assert memory.today(say(extended), ["3.23"], TODAY + timedelta(days=7)).end_of_life["3.23"].later is None


def test_a_memory_without_a_later_day_is_read() -> None:
    old = {"protected": [], "end_of_life": {"3.23": {"day": "2026-01-01", "since": "2026-11-23"}}, "pruned": {}}
    memory = Memory.model_validate_json(json.dumps(old))
    assert memory.end_of_life == {"3.23": AnnouncedEnd(day=WRONG, since=TODAY)}
    assert memory.last_day("3.23", [RIGHT], say(WRONG), TODAY) == RIGHT


@pytest.mark.parametrize("known_by", ["memory", "core profile"])
def test_a_discovered_version_stays_while_an_extended_end_of_life_is_taken_back(known_by: str, root: Path) -> None:
    first, extended = date(2026, 11, 1), date(2027, 5, 1)
    detected = f"end_of_life: {extended}\n" if known_by == "core profile" else ""
    (root / "version" / "3.23.yaml").write_text(f"base: base/1\n{detected}")
    (root / "alpine.yaml").write_text("discover: {versions: supported}\n")
    profile = load_profile("alpine", root)
    settings = Settings(region="eu-west-2", retention=Retention(end_of_life=Level()))
    memory = Memory()
    if known_by == "memory":
        for day, days in ((first, 90), (extended, 60)):
            memory = memory.today(say(day), ["3.23"], TODAY - timedelta(days=days))
    images = ledger(held(build(end_of_life=first), "3.23.6"))

    def versions(today: date, known: Memory = memory) -> set[str]:
        expanded = expand_profile(profile, settings, images, known, today, say(first))
        return {each.version for each in expanded.builds}

    assert versions(TODAY) == {"3.23"}
    taken_back = memory.today(say(first), ["3.23"], TODAY)
    assert versions(TODAY + timedelta(days=29), taken_back) == {"3.23"}
    assert versions(TODAY + PATIENCE, taken_back) == set(), "said for thirty days, it counts"
    gone = replace(say(first), branches=(), stale=True)
    assert {
        each.version for each in expand_profile(profile, settings, images, taken_back, TODAY + PATIENCE, gone).builds
    }


def test_what_an_old_answer_of_upstream_says_is_not_remembered_as_said_today() -> None:
    old = replace(say(WRONG), stale=True)
    assert Memory().today(old, ["3.23"], TODAY) == Memory()


def test_of_several_recorded_days_the_last_counts() -> None:
    memory = Memory().today(say(WRONG), ["3.23"], TODAY)
    assert memory.last_day("3.23", [WRONG, None, RIGHT], say(WRONG), TODAY) == RIGHT


def test_versions_of_which_nothing_is_left_are_forgotten() -> None:
    memory = Memory().today(say(RIGHT), ["3.23"], TODAY)
    assert memory.today(say(RIGHT), [], TODAY).end_of_life == {}


def test_one_wrong_digit_of_upstream_takes_no_image() -> None:
    image = held(V23.model_copy(update={"end_of_life": RIGHT}), "3.23.6")
    old = held(V23.model_copy(update={"end_of_life": RIGHT}), "3.23.5")
    level = Retention(end_of_life=Level(), allow_mass_prune=("all",))
    memory = Memory()
    for days in (0, 15, 29):
        plan = plan_of([V23], say(WRONG), ledger(old, image), level, today=TODAY + timedelta(days=days), memory=memory)
        memory = plan.memory
        assert not plan.of(Action.PRUNE)
    plan = plan_of([V23], say(WRONG), ledger(old, image), level, today=TODAY + PATIENCE, memory=memory)
    assert [step.name for step in plan.of(Action.PRUNE)] == [old.name], "the newest never goes because a date moved"


def test_a_new_image_is_protected_by_the_name_that_it_will_have() -> None:
    new = held(V23, "3.23.6")
    assert not step_of(plan_of([V23], say(RIGHT), ledger()), new.name).protected
    plan = plan_of([V23], say(RIGHT), ledger(), Retention(protect=(new.name,)))
    assert (step_of(plan, new.name).action, step_of(plan, new.name).protected) == (Action.BUILD, True)


@pytest.mark.parametrize("by", ["name", "id"])
def test_what_was_protected_goes_one_update_after_its_protection(by: str) -> None:
    old, new = held(V23, "3.23.5"), held(V23, "3.23.6")
    named = old.name if by == "name" else old.record.omi
    level = Retention(release=Level(), protect=(named,))
    plan = plan_of([V23], say(RIGHT), ledger(old, new), level)
    assert step_of(plan, old.name).protected
    assert not step_of(plan, new.name).protected
    assert not any(step.unprotects for step in plan.steps)
    memory = Memory(protected=(named,))
    plan = plan_of([V23], say(RIGHT), ledger(old, new), Retention(release=Level()), memory=memory)
    step = step_of(plan, old.name)
    assert (step.action, step.protected) == (Action.KEEP, False)
    assert [each.name for each in plan.steps if each.unprotects] == [old.name]
    assert "protected until this update has run" in step.reason
    assert [step.name for step in plan_of([V23], say(RIGHT), after(plan), Retention(release=Level())).of(Action.PRUNE)]


def test_a_changed_connection_updates_every_kept_image_before_anything_is_pruned() -> None:
    old, new = held(V23, "3.23.5"), held(V23, "3.23.6")
    level = Retention(release=Level())
    wanted = new.spec.cloud.model_copy(update={"osc_profile": "another"})
    plan = plan_of([V23], say(RIGHT), ledger(old, new), level, account=account(old, new), connection=wanted)
    assert {step.action for step in plan.steps} == {Action.KEEP}
    assert all(step.updates and "cloud.osc_profile" in step.changes[-1].reason for step in plan.steps)
    assert {image.spec.cloud for image in after(plan).images} == {wanted}
    again = plan_of([V23], say(RIGHT), after(plan), level, account=account(old, new), connection=wanted)
    assert [step.name for step in again.of(Action.PRUNE)] == [old.name]
    assert not step_of(again, new.name).updates


def test_an_image_that_is_only_forgotten_awaits_no_other_connection() -> None:
    """Its delete command calls nothing, so it needs no way to reach the account."""
    old, new = held(V23, "3.23.5", adopted=True), held(V23, "3.23.6")
    wanted = new.spec.cloud.model_copy(update={"osc_profile": "another"})
    level = Retention(release=Level())
    plan = plan_of([V23], say(RIGHT), ledger(old, new), level, account=account(old, new), connection=wanted)
    assert [(step.name, step.changes) for step in plan.of(Action.PRUNE)] == [(old.name, ())]


def test_what_changes_besides_the_connection_is_said_and_done_with_it() -> None:
    image = held(V23, "3.23.6")
    wanted = image.spec.cloud.model_copy(update={"osc_profile": "another"})
    shared = V23.model_copy(update={"access": Access(public=True)})
    plan = plan_of([shared], say(RIGHT), ledger(image), account=account(image), connection=wanted)
    kinds = [change.kind for change in step_of(plan, image.name).changes]
    assert (len(kinds), kinds[-1]) == (2, ChangeKind.CONNECT)
    (held_then,) = after(plan).images
    assert (held_then.spec.access, held_then.spec.cloud) == (shared.access, wanted)


@pytest.mark.parametrize("claim", ["theirs", None])
def test_what_another_holds_or_one_list_lacks_stays_protected(claim: str | None) -> None:
    image = held(V23, "3.23.6")
    image = replace(image, record=image.record.model_copy(update={"claim": "mine"}))
    view = account(seen(image, tags={"claim": claim})) if claim else account()
    kept = Retention(protect=(image.name,))
    step = step_of(plan_of([V23], say(RIGHT), ledger(image), kept, account=view), image.name)
    assert (step.action, step.protected) == (Action.KEEP, True)
    again = plan_of([V23], say(RIGHT), ledger(image), kept, memory=Memory(protected=(image.name,)))
    assert not step_of(again, image.name).unprotects


def test_an_image_whose_protection_ends_still_gets_its_other_changes() -> None:
    image = held(V23, "3.23.6")
    shared = V23.model_copy(update={"access": Access(public=True)})
    plan = plan_of([shared], say(RIGHT), ledger(image), memory=Memory(protected=(image.name,)))
    step = step_of(plan, image.name)
    assert (step.unprotects, step.updates) == (True, True)
    assert "protected until" not in step.reason


def test_what_went_is_remembered_for_a_year_from_its_first_day_unless_state_holds_it_again() -> None:
    memory = Memory().let_go({"ami-1", "ami-2"}, {"ami-3"}, TODAY)
    assert memory.pruned == {"ami-1": TODAY, "ami-2": TODAY}
    later = TODAY + timedelta(days=7)
    assert memory.let_go({"ami-1"}, {"ami-2", "ami-3"}, later).pruned == {"ami-1": TODAY}
    assert memory.let_go((), (), TODAY + REMEMBERED).pruned == {}
