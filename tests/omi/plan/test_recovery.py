"""What a stack is to recover that its state has lost, and that it is kept as before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from omi.config.regions import regions_of
from omi.config.settings import Adoption, FurtherRegion, Level, Recovery, Retention, Settings
from omi.plan import Action, Plan
from omi.plan.model import ChangeKind
from omi.plan.planning import plan_stack
from omi.plan.stages import as_revoked
from omi.plan.survey import Survey
from omi.profile.load import Profile
from omi.profile.model import Access, Target
from omi.publish.outputs import newest, output_of
from omi.state.account import AccountImage, AccountView
from omi.state.identity import Identity
from omi.state.image import BuildVm, TakeOver
from omi.state.ledger import Ledger, LedgerImage
from omi.state.owner import STANDS_FOR, VERIFIED
from omi.state.withdrawal import Stage, Withdrawal
from tests.omi.plan.make import CLOUD, TODAY, after, build, held, in_region, outcome, step_of, upstream
from tests.omi.specs import OWNER

HOME, OTHER = "eu-west-2", "us-east-2"
V23 = build(access=Access(accounts=("210987654321",)), end_of_life=TODAY + timedelta(days=300))
OLDER, OLD, NEW = held(V23, "3.23.5"), held(V23, "3.23.6"), held(V23, "3.23.6", 1)
UP6 = upstream("3.23.6")
ALL = Recovery(stack_id=OWNER.stack_id)


pytestmark = pytest.mark.usefixtures("varied_by_user")


def in_account(image: LedgerImage, **tags: str) -> AccountImage:
    """An OMI as the stack's own create and updates leave it; `tags` are others than those."""
    identity = Identity(image.spec)
    return AccountImage(
        image.name,
        image.record.omi,
        {**identity.tags, **identity.stage_tags, VERIFIED: "yes", "claim": "lost", **tags},
        identity.described(verified=True),
        managed=True,
        digest=image.spec.digest,
        access=image.spec.launch_access,
    )


def plan(
    *images: AccountImage,
    there: tuple[AccountImage, ...] | None = None,
    ledger: tuple[LedgerImage, ...] = (),
    recover: Recovery | None = ALL,
    retention: Retention | None = None,
    builds: tuple[Target, ...] = (V23,),
    how: str = "build",
    left: bool = False,
    **more: Any,
) -> Plan:
    """The plan of a stack whose account holds these; the other Region holds `there`, and may have left the config."""
    images = tuple(replace(each, managed=OWNER.owns_omi(each.name, each.tags)) for each in images)
    further = {OTHER: FurtherRegion.model_validate({"cloud": {"osc_profile": OTHER}, "images": how})}
    regions = {} if there is None or left else further
    retention = retention or Retention()
    settings = Settings(region=HOME, regions=regions, retention=retention, recover=recover, **more)
    accounts = {HOME: AccountView.of(images, "123456789012"), OTHER: AccountView.of(there or (), "123456789012")}
    seen = Survey(Profile("alpine", builds), UP6, regions_of(settings, Ledger.of(ledger)), accounts, TODAY, OWNER)
    return plan_stack(settings, seen)


def kept(image: LedgerImage) -> object:
    """All that keeps it."""
    return image.spec.model_copy(update={"recipe": None})


def withdrawn(image: LedgerImage, days: int) -> LedgerImage:
    since = TODAY - timedelta(days=days)
    private = TODAY - timedelta(days=days - 30) if days >= 30 else None
    told = Withdrawal(
        why="superseded", shared=True, deprecated=since, due=since, private=private, removal=since + timedelta(days=60)
    )
    return image.published(V23.access, told)


@pytest.mark.parametrize("days", [5, 35])
def test_all_images_come_back_as_they_were_kept_and_then_there_is_nothing_to_do(days: int) -> None:
    retention = Retention(revision=Level(keep=1), release=Level(keep=1))
    older, old = withdrawn(OLDER, days), withdrawn(OLD, days)
    images = [in_account(each) for each in (older, old, NEW)]
    lost = plan(*images, retention=retention)
    assert outcome(lost) == dict.fromkeys((OLDER.name, OLD.name, NEW.name), "recover")
    assert not lost.refused
    again = after(lost)
    assert [kept(image) for image in again.images] == [kept(image) for image in (older, old, NEW)]
    assert all(image.command.create.endswith(" adopt") for image in again.images)
    settled = plan(*images, ledger=again.images, recover=None, retention=retention)
    before = plan(*images, ledger=(older, old, NEW), recover=None, retention=retention)
    assert outcome(settled) == outcome(before)
    assert not settled.changes


def test_what_is_due_to_go_is_taken_in_first_and_goes_by_a_later_update() -> None:
    retention = Retention(revision=Level(keep=1))
    old = withdrawn(OLD, 90)
    images = [in_account(each) for each in (old, NEW)]
    lost = plan(*images, retention=retention)
    assert outcome(lost) == {OLD.name: "recover", NEW.name: "recover"}
    step = step_of(lost, OLD.name)
    assert isinstance(step.image, LedgerImage)
    assert (step.image.spec.withdrawal, step.image.record.account) == (old.spec.withdrawal, "123456789012")
    assert (step.level, step.changes) == (None, ())
    assert outcome(plan(*images, ledger=after(lost).images, retention=retention))[OLD.name] == "prune"
    other = held(build("other"), "3.23.5"), held(build("other"), "3.23.6")
    both = (V23, build("other"))
    lost = plan(*images, *map(in_account, other), ledger=other, builds=both, retention=Retention(release=Level()))
    assert outcome(lost)[other[0].name] == "prune", "one of another build does not wait"


def test_no_older_image_goes_before_the_recovered_one_is_in_state() -> None:
    retention = Retention(revision=Level(keep=1))
    old = withdrawn(OLD, 90)
    lost = plan(in_account(old), in_account(NEW), ledger=(old,), retention=retention)
    assert outcome(lost) == {OLD.name: "keep", NEW.name: "recover"}
    step = step_of(lost, OLD.name)
    assert step.reason.startswith("waits for those that are recovered: ")
    assert (step.image, step.level) == (old, None)


def test_what_is_held_already_holds_up_no_recovery_and_is_updated_as_ever() -> None:
    public = V23.model_copy(update={"access": Access(public=True)})
    held_one, lost_ones = unclaimed(in_account(NEW)), [in_account(OLDER), in_account(OLD)]
    for order in ([held_one, *lost_ones], [*lost_ones, held_one]):
        lost = plan(*order, ledger=(NEW,), builds=(public,))
        assert outcome(lost) == {OLDER.name: "recover", OLD.name: "recover", NEW.name: "keep"}
        kinds = [change.kind for change in step_of(lost, NEW.name).changes]
        assert kinds == [ChangeKind.SHARE, ChangeKind.UNSHARE]
        for name in (OLDER.name, OLD.name):
            step = step_of(lost, name)
            assert isinstance(step.image, LedgerImage)
            assert (step.image.spec.access, step.changes) == (V23.access, ()), "its own changes come later"


def test_what_is_held_first_holds_up_no_recovery_either() -> None:
    lost = plan(unclaimed(in_account(OLDER)), in_account(OLD), in_account(NEW), ledger=(OLDER,))
    assert outcome(lost) == {OLDER.name: "keep", OLD.name: "recover", NEW.name: "recover"}


def test_an_image_of_whose_access_nothing_is_known_is_private() -> None:
    (step,) = plan(replace(in_account(NEW), access=None)).of(Action.RECOVER)
    assert isinstance(step.image, LedgerImage)
    assert step.image.spec.access == Access()


def test_an_interrupted_runs_image_is_taken_in_as_it_is_and_changed_by_the_next_update() -> None:
    public = V23.model_copy(update={"access": Access(public=True)})
    one = unclaimed(in_account(OLDER))
    found = plan(one, unclaimed(in_account(NEW)), ledger=(NEW,), recover=None, builds=(public,))
    step = step_of(found, OLDER.name)
    assert isinstance(step.image, LedgerImage)
    assert (step.action, step.image.spec.access, step.changes) == (Action.RECOVER, V23.access, ())
    again = plan(one, unclaimed(in_account(NEW)), ledger=after(found).images, recover=None, builds=(public,))
    assert step_of(again, OLDER.name).updates


def test_no_image_goes_for_another_builds_that_is_only_being_taken_in() -> None:
    old = held(build("old"), "3.23.6")
    there = (unclaimed(in_account(old)), unclaimed(in_account(OLDER)))
    found = plan(*there, ledger=(old,), recover=None, builds=(V23.model_copy(update={"user": "admin"}),))
    assert step_of(found, OLDER.name).action is Action.RECOVER
    assert step_of(found, old.name).reason.startswith("waits until v3_23 has a verified image: ")


def test_only_a_revoked_image_is_recovered_as_one() -> None:
    lost = plan(in_account(withdrawn(OLD, 5)), in_account(NEW))
    assert step_of(lost, OLD.name).reason.endswith("but not in its state")


def unclaimed(image: AccountImage) -> AccountImage:
    """As a run leaves it that is killed between the verify and the record."""
    return replace(image, tags={key: value for key, value in image.tags.items() if key != "claim"})


def test_an_image_that_state_holds_is_not_taken_in_again_under_another_name_or_id() -> None:
    renamed = replace(in_account(NEW), name=f"{NEW.name}-2")
    second = replace(in_account(NEW), omi="ami-second")
    for other in (renamed, second):
        found = plan(other, in_account(OLD), ledger=(NEW,))
        assert outcome(found) == {OLD.name: "recover", NEW.name: "keep"}
        assert not [each for each in found.warnings if "is left" in each]


def test_an_image_without_a_description_is_called_by_its_name() -> None:
    (step,) = plan(replace(in_account(NEW), description="")).of(Action.RECOVER)
    assert isinstance(step.image, LedgerImage)
    assert step.image.spec.description == NEW.name


def test_an_image_that_no_record_ever_held_is_taken_in_though_its_release_is_not_the_newest_any_more() -> None:
    known = in_account(NEW)
    found = plan(unclaimed(in_account(OLDER)), known, ledger=(NEW,), recover=None)
    assert outcome(found) == {OLDER.name: "recover", NEW.name: "keep"}
    again = after(found)
    one = Retention(release=Level())
    settled = plan(unclaimed(in_account(OLDER)), known, ledger=again.images, recover=None, retention=one)
    step = next(step for step in settled.steps if step.name == OLDER.name)
    assert "release: the newest release of version 3.23 is kept; deprecated since" in step.reason


def test_an_image_that_another_record_may_hold_is_left_unless_it_is_asked_for() -> None:
    found = plan(in_account(OLDER), in_account(NEW), ledger=(NEW,), recover=None)
    assert outcome(found) == {NEW.name: "keep"}
    assert any(f"{OLDER.record.omi} ({OLDER.name})" in each and "omi recover" in each for each in found.warnings)


def test_an_image_of_the_very_content_that_is_wanted_is_adopted_not_recovered() -> None:
    found = plan(unclaimed(in_account(NEW)), in_account(OLDER), ledger=(OLDER,), recover=None)
    assert outcome(found) == {OLDER.name: "keep", NEW.name: "adopt"}


def test_an_unverified_image_is_named_and_left() -> None:
    image = in_account(NEW)
    tags = {key: value for key, value in image.tags.items() if key != VERIFIED}
    lost = plan(in_account(OLD), replace(image, tags=tags, description=Identity(NEW.spec).description))
    assert outcome(lost)[OLD.name] == "recover"
    said = f"{image.omi} ({image.name}) is left: neither tag nor description marks it as verified"
    assert any(said in each for each in lost.warnings)


def test_words_of_the_profile_or_another_value_of_the_tag_do_not_make_it_verified() -> None:
    told = "Alpine, verified by QA"
    spec = NEW.spec.model_copy(update={"description": told})
    image = replace(in_account(NEW, verified="no"), description=Identity(spec).description)
    assert "recover" not in outcome(plan(image)).values()
    theirs = replace(image, tags={**image.tags, "stack-id": "fedcba9876543210"}, managed=False)
    assert not any("recover" in each for each in plan(theirs, recover=None).warnings)
    assert outcome(plan(replace(image, description=Identity(spec).described(verified=True)))) == {NEW.name: "recover"}


def test_an_image_without_a_needed_tag_is_named_and_left() -> None:
    image = in_account(NEW)
    tags = {key: value for key, value in image.tags.items() if key != "revision"}
    lost = plan(in_account(OLD), replace(image, tags=tags))
    assert outcome(lost)[OLD.name] == "recover"
    assert NEW.name not in outcome(lost) or outcome(lost)[NEW.name] != "recover"
    assert any("its tags lack what keeps it: revision: is missing" in each for each in lost.warnings)


def test_what_is_left_holds_up_no_other_image() -> None:
    unverified = replace(in_account(OLDER, **{VERIFIED: "no"}), description="")
    needs = {key: value for key, value in in_account(NEW).tags.items() if key != "revision"}
    copy = replace(in_account(OLD), name="my-alpine", omi="ami-copy")
    images = [copy, unverified, replace(in_account(NEW), tags=needs), in_account(OLD)]
    for order in (images, images[::-1]):
        lost = plan(*order)
        assert outcome(lost)[OLD.name] == "recover"
        assert len([each for each in lost.warnings if each.startswith("recover: ") and " is left: " in each]) == 3


def test_what_an_interrupted_run_left_is_taken_in_whatever_else_is_there() -> None:
    claimed, good = in_account(held(V23, "3.23.4")), unclaimed(in_account(OLDER))
    theirs = replace(in_account(held(V23, "3.23.3"), **{"stack-id": "fedcba9876543210"}), managed=False)
    lacks = unclaimed(in_account(held(V23, "3.23.2")))
    lacks = replace(lacks, tags={key: value for key, value in lacks.tags.items() if key != "revision"})
    images = [claimed, theirs, lacks, in_account(NEW), good]
    for order in (images, images[::-1]):
        found = plan(*order, ledger=(NEW,), recover=None)
        assert outcome(found) == {OLDER.name: "recover", NEW.name: "keep"}
        image = step_of(found, OLDER.name).image
        assert isinstance(image, LedgerImage)
        assert image.record.account == "123456789012"
    one = Recovery(stack_id=OWNER.stack_id, images=(claimed.name,))
    asked = plan(*images, ledger=(NEW,), recover=one)
    assert outcome(asked) == {claimed.name: "recover", NEW.name: "keep"}, "only what is asked for"
    taken = replace(good, tags={**good.tags, STANDS_FOR: "ami-theirs"})
    assert outcome(plan(taken, in_account(NEW), ledger=(NEW,), recover=None)) == {NEW.name: "keep"}


@pytest.mark.parametrize("recover", [ALL, None])
def test_nothing_is_taken_in_where_the_region_left_the_config(recover: Recovery | None) -> None:
    there = in_region(NEW, OTHER)
    views = (in_account(there), unclaimed(in_account(in_region(OLDER, OTHER))))
    found = plan(there=views, left=True, ledger=(there,), recover=recover, builds=())
    assert not found.of(Action.RECOVER)


def test_an_image_that_bears_anothers_tags_is_named_and_left() -> None:
    copy = replace(in_account(OLD), name="my-alpine", omi="ami-copy")
    lost = plan(in_account(OLD), copy)
    assert outcome(lost)[OLD.name] == "recover"
    assert "my-alpine" not in outcome(lost)
    assert any(
        "ami-copy (my-alpine) is left: its build id is not the one of its name" in each for each in lost.warnings
    )


def test_another_stacks_images_are_not_recovered() -> None:
    theirs = replace(in_account(OLD, **{"stack-id": "fedcba9876543210"}), managed=False)
    assert Action.RECOVER not in {step.action for step in plan(theirs, in_account(NEW)).of(Action.ADOPT)}
    assert outcome(plan(theirs, in_account(NEW)))[NEW.name] == "recover"
    assert OLD.name not in outcome(plan(theirs, in_account(NEW)))
    assert not any(OLD.name in each for each in plan(theirs, in_account(NEW)).warnings), "it is no matter of recovery"


def test_the_setting_is_to_be_taken_out_once_there_is_nothing_to_recover() -> None:
    said = "recover: there is nothing to recover any more: take it out by `pulumi config rm recover`"
    assert said not in plan(in_account(NEW)).warnings
    assert said in plan(in_account(NEW), ledger=(NEW,)).warnings


def test_only_the_named_image_is_recovered_and_none_without_being_asked() -> None:
    images = [in_account(each) for each in (OLDER, OLD, NEW)]
    named = Recovery(stack_id=OWNER.stack_id, images=(OLDER.name,))
    assert outcome(plan(*images, ledger=(NEW,), recover=named)) == {OLDER.name: "recover", NEW.name: "keep"}
    assert outcome(plan(*images, ledger=(NEW,), recover=None)) == {NEW.name: "keep"}


def test_each_regions_images_come_back_in_it() -> None:
    there = in_region(NEW, OTHER)
    lost = plan(in_account(NEW), there=(in_account(there),))
    found = {(step.region, step.image.resource) for step in lost.of(Action.RECOVER)}
    assert found == {(HOME, NEW.name), (OTHER, f"{NEW.name}@{OTHER}")}


def test_a_build_that_left_the_profile_comes_back_too() -> None:
    assert outcome(plan(in_account(NEW), builds=())) == {NEW.name: "recover"}


def test_an_empty_state_is_told_of_the_images_that_a_lost_one_may_have_held() -> None:
    theirs = replace(in_account(NEW, **{"stack-id": "fedcba9876543210"}), managed=False)
    (warning,) = (each for each in plan(theirs, recover=None).warnings if "recover" in each)
    assert "1 verified images of a stack of this name (stack id fedcba9876543210)" in warning
    spec = NEW.spec.model_copy(update={"stack_id": "fedcba9876543210"})
    told = replace(theirs, tags={**theirs.tags, VERIFIED: "no"}, description=Identity(spec).described(verified=True))
    assert any("1 verified images" in each for each in plan(told, recover=None).warnings)
    for names in ({"project": "other"}, {"stack": "other"}):
        other = replace(theirs, tags={**theirs.tags, **names})
        assert not any("recover" in each for each in plan(other, recover=None).warnings)
    assert not any("recover" in each for each in plan(theirs, recover=None, ledger=(OLD,)).warnings)


WHY = "its sshd takes any key"
BAD = {NEW.name: WHY}


def revoked(image: LedgerImage) -> LedgerImage:
    """As an update holds it since yesterday."""
    return as_revoked(image, {image.name: WHY}, TODAY - timedelta(days=1))


@pytest.mark.parametrize("named", [NEW.name, NEW.record.omi])
@pytest.mark.parametrize("tagged", [True, False])
def test_a_revoked_image_that_state_has_lost_is_taken_in_as_a_revoked_one(named: str, tagged: bool) -> None:
    """Without the tags somebody revoked it, or was about to, when state held it no longer."""
    image = revoked(NEW) if tagged else NEW
    there = (in_account(image), in_account(OLDER))
    lost = plan(*there, ledger=(OLDER,), recover=None, revoked={named: WHY})
    assert outcome(lost) == {OLDER.name: "keep", NEW.name: "recover"}
    step = step_of(lost, NEW.name)
    assert step.reason.endswith(f"but not in its state; revoked: {WHY}")
    assert isinstance(step.image, LedgerImage)
    spec = step.image.spec
    assert (spec.launch_access, spec.access, spec.withdrawal and spec.withdrawal.shared) == (
        Access(),
        V23.access,
        True,
    )
    assert spec.withdrawal is not None
    assert spec.withdrawal.since == (TODAY - timedelta(days=1) if tagged else TODAY), "the day does not move"
    assert not [each for each in lost.warnings if "take it out" in each]
    told = [output_of(each.spec, each.record) for each in reversed(after(lost).images)]
    latest = newest(told, several=False)
    assert latest is not None
    assert latest["name"] == OLDER.name
    settled = unclaimed(in_account(step.image)), in_account(OLDER)
    assert not plan(*settled, ledger=after(lost).images, recover=None, revoked={named: WHY}).changes


def test_one_that_is_private_by_its_tags_comes_back_as_it_is_and_is_shared_by_the_next_update() -> None:
    told = Withdrawal(why="removed", shared=True, private=TODAY - timedelta(days=1), removal=TODAY + timedelta(days=9))
    away = NEW.published(V23.access, told)
    lost = plan(in_account(away), ledger=(), recover=None)
    assert outcome(lost) == {NEW.name: "recover"}
    assert step_of(lost, NEW.name).stage is Stage.PRIVATE
    (change,) = step_of(plan(unclaimed(in_account(away)), ledger=after(lost).images, recover=None), NEW.name).changes
    assert change.kind is ChangeKind.RESTORE


def test_one_that_is_current_or_deprecated_by_its_tags_is_adopted_whatever_else_is_revoked() -> None:
    told = Withdrawal(why="superseded", shared=True, deprecated=TODAY - timedelta(days=1))
    other = held(V23.model_copy(update={"user": "admin"}), "3.23.5")
    for image in (NEW, NEW.published(V23.access, told)):
        found = plan(in_account(image), in_account(other), ledger=(other,), recover=None, revoked={other.name: WHY})
        assert outcome(found) == {other.name: "keep", NEW.name: "adopt"}


def test_an_interrupted_runs_image_of_revoked_content_is_not_taken_in_but_named() -> None:
    recovery = f"run `python -m omi recover -s {OWNER.stack} {NEW.name}`"
    unchecked = replace(unclaimed(in_account(NEW, **{VERIFIED: "no"})), unchecked=True, description="")
    for image in (in_account(NEW), unclaimed(in_account(NEW)), unchecked):
        for one in (V23, V23.model_copy(update={"revision": NEW.revision})):
            found = plan(image, in_account(OLD), ledger=(OLD,), recover=None, builds=(one,), revoked={OLD.name: WHY})
            assert outcome(found) == {OLD.name: "keep"}
            assert any(recovery in each for each in found.warnings) is (image.tags.get(VERIFIED) == "yes")


def test_a_withdrawn_image_whose_tags_lack_a_field_is_named_with_it() -> None:
    image = in_account(revoked(NEW))
    tags = {key: value for key, value in image.tags.items() if key != "why"}
    found = plan(replace(image, tags=tags), in_account(OLDER), ledger=(OLDER,), recover=None, revoked=BAD)
    assert any(
        f"{NEW.record.omi} ({NEW.name})" in each and "tags lack what keeps it: why" in each for each in found.warnings
    )


def test_a_recovery_keeps_what_is_revoked_private_whether_its_tags_say_so_yet_or_not() -> None:
    for image in (revoked(NEW), NEW):
        lost = plan(in_account(image), in_account(OLDER), revoked=BAD)
        assert outcome(lost) == {OLDER.name: "recover", NEW.name: "recover"}
        assert (step_of(lost, NEW.name).stage, step_of(lost, OLDER.name).stage) == (Stage.PRIVATE, Stage.CURRENT)
    one = Recovery(stack_id=OWNER.stack_id, images=(OLDER.name,))
    lost = plan(in_account(revoked(NEW)), in_account(OLDER), recover=one, revoked=BAD)
    assert outcome(lost) == {OLDER.name: "recover", NEW.name: "recover"}


def test_a_lost_revoked_image_whose_tags_do_not_keep_it_is_left_and_nothing_is_built_of_its_content() -> None:
    image = in_account(revoked(NEW))
    for keys in (("revision",), ("build-id",)):
        tags = {key: value for key, value in image.tags.items() if key not in keys}
        found = plan(replace(image, tags=tags), in_account(OLDER), ledger=(OLDER,), recover=None, revoked=BAD)
        assert outcome(found) == {OLDER.name: "keep"}
        assert not [each for each in found.warnings if "take it out" in each]


def test_another_stacks_image_that_is_revoked_here_is_neither_adopted_nor_built_again() -> None:
    theirs = replace(in_account(NEW, **{"stack-id": "fedcba9876543210"}), managed=False)
    found = plan(theirs, recover=None, revoked=BAD)
    assert outcome(found) == {}
    assert any("so nothing is built of it" in each for each in found.warnings)
    told = f"revoked: {NEW.name} stays as it is: the stack doesn't hold it; revoke it where it is held"
    assert told in found.warnings, "whoever revokes it must know that it stays public"
    assert outcome(plan(theirs, recover=None)) == {NEW.name: "adopt"}


def test_a_revocation_of_what_no_account_has_can_go_from_the_config() -> None:
    warnings = plan(in_account(NEW), ledger=(NEW,), revoked={"none": WHY}).warnings
    assert "revoked names none, which is not an image of the stack: take it out" in warnings


def test_a_pinned_image_that_is_revoked_and_lost_is_taken_in_as_it_is() -> None:
    pinned = V23.model_copy(update={"revision": NEW.revision})
    for one in (pinned, pinned.model_copy(update={"user": "admin"})):
        lost = plan(in_account(revoked(NEW)), ledger=(), recover=None, builds=(one,), revoked=BAD)
        assert outcome(lost) == {NEW.name: "recover"}
        assert step_of(lost, NEW.name).stage is Stage.PRIVATE


def test_a_revoked_image_that_is_lost_at_home_is_copied_nowhere() -> None:
    lost = plan(in_account(revoked(NEW)), there=(), how="copy", recover=None, revoked=BAD)
    assert outcome(lost) == {NEW.name: "recover"}


def test_what_was_taken_over_comes_back_revoked_too() -> None:
    spec = NEW.spec.model_copy(update={"take_over": TakeOver(omi=NEW.record.omi, login=None, vm=BuildVm())})
    over = revoked(replace(NEW, spec=spec))
    lost = plan(in_account(over), ledger=(), recover=None, revoked=BAD)
    assert step_of(lost, NEW.name).action is Action.RECOVER
    assert step_of(lost, NEW.name).stage is Stage.PRIVATE


def test_an_own_image_that_adopt_names_is_taken_in_as_a_revoked_one() -> None:
    entry = {"name": NEW.name, "omi": NEW.record.omi, "build": NEW.build, "release": NEW.release, "revision": 1}
    found = plan(in_account(NEW), recover=None, adopt=(Adoption.model_validate(entry),), revoked=BAD)
    assert outcome(found) == {NEW.name: "adopt"}
    assert step_of(found, NEW.name).stage is Stage.PRIVATE
    theirs = replace(in_account(NEW, **{"stack-id": "fedcba9876543210"}), managed=False)
    found = plan(theirs, recover=None, adopt=(Adoption.model_validate(entry),), revoked=BAD)
    assert step_of(found, NEW.name).stage is Stage.CURRENT, "someone else decides about it"


def test_a_recovery_that_is_done_can_go_from_the_config() -> None:
    done = plan(in_account(NEW), ledger=(NEW,))
    assert any("take it out by `pulumi config rm recover`" in each for each in done.warnings)
    assert done.steps[0].image.region == CLOUD.region
