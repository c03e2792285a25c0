"""Images made elsewhere that the config names as the stack's own: taken over first, kept and pruned as others after."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omi.config.regions import regions_of
from omi.config.settings import Adoption, FurtherRegion, Level, Retention, Settings, SharedDays, Stages
from omi.plan import Action, Plan
from omi.plan.memory import Memory
from omi.plan.planning import plan_stack
from omi.plan.survey import Survey
from omi.profile.load import Profile
from omi.profile.model import Access
from omi.publish.latest import latest_of
from omi.publish.model import published
from omi.publish.outputs import output_of
from omi.state.account import AccountImage, AccountView
from omi.state.identity import Identity
from omi.state.image import TakeOver
from omi.state.ledger import Ledger, LedgerImage
from omi.state.owner import CLAIM, STACK_ID, STANDS_FOR, VERIFIED
from tests.omi.plan.make import TODAY, build, held, outcome, seen, step_of, upstream
from tests.omi.specs import OWNER

HOME, ACCOUNT = "eu-west-2", "123456789012"
V23 = build(access=Access(public=True), user="builder")
UP6 = upstream("3.23.6")
OLD = AccountImage("old-3.23.4-x86_64-r0", "ami-old", description="Alpine of old", access=Access(accounts=("2" * 12,)))
NEWER = AccountImage("old-3.23.5-x86_64-r0", "ami-newer", access=Access())
LATEST = AccountImage("old-3.23.6-x86_64-r0", "ami-latest", access=Access())
ONE = Retention(release=Level(), revision=Level())


pytestmark = pytest.mark.usefixtures("varied_by_user")


def entry(image: AccountImage, *, own: bool = True, **values: object) -> Adoption:
    release = image.name.split("-")[1]
    told = {"name": image.name, "omi": image.omi, "build": V23.name, "release": release, "own": own}
    return Adoption.model_validate(told | values)


def plan(
    *images: AccountImage,
    adopt: tuple[Adoption, ...] | None = None,
    ledger: tuple[LedgerImage, ...] = (),
    retention: Retention | None = None,
    **settings: object,
) -> Plan:
    adopt = tuple(map(entry, images)) if adopt is None else adopt
    given = Settings.model_validate({"region": HOME, "adopt": adopt, "retention": retention or Retention(), **settings})
    missing = {each.record.omi for each in ledger} - {image.omi for image in images}
    accounts = {region: AccountView((), ACCOUNT) for region in given.all_regions}
    accounts[HOME] = AccountView.of(images, ACCOUNT, missing)
    return planned_by(given, Survey(Profile("alpine", (V23,)), UP6, (), accounts, TODAY, OWNER), *ledger)


def planned_by(settings: Settings, seen: Survey, *ledger: LedgerImage) -> Plan:
    """By a survey of all but the Regions."""
    return plan_stack(settings, replace(seen, regions=regions_of(settings, Ledger.of(ledger))))


def done(image: LedgerImage, *, verified: bool = True) -> LedgerImage:
    """As state holds it once its command has run."""
    made = {"verified": verified, "adopted": False, "claim": "c1", "account": ACCOUNT}
    return replace(image, record=image.record.model_copy(update=made))


def taken(image: AccountImage, by: LedgerImage, **tags: str) -> AccountImage:
    """The OMI after that."""
    marks = {**Identity(by.spec).tags, CLAIM: "c1", VERIFIED: "yes", **tags}
    return replace(image, tags=marks, managed=True, digest=marks.get("digest"))


def images_of(of: Plan) -> dict[str, LedgerImage]:
    return {step.name: step.image for step in of.steps if isinstance(step.image, LedgerImage)}


def external(image: AccountImage, release: str) -> LedgerImage:
    """The image as an update before took it in."""
    made = held(V23, release, verified=False, adopted=True)
    record = made.record.model_copy(update={"name": image.name, "omi": image.omi})
    spec = made.spec.model_copy(update={"name": image.name})
    return LedgerImage(image.name, spec, record, replace(made.command, stdin=spec.to_json()))


def test_it_is_booted_with_the_builds_user_and_nothing_of_the_profile_is_stated_for_it() -> None:
    first = plan(OLD)
    step = step_of(first, OLD.name)
    assert (step.action, step.changes) == (Action.ADOPT, ())
    assert step.reason == "ami-old, made by someone else, becomes this stack's own, once builder could log in to it"
    image = images_of(first)[OLD.name]
    assert image.command.create.endswith("omi.commands adopt")
    assert image.spec.take_over is not None
    assert (image.spec.take_over.omi, image.spec.take_over.login) == ("ami-old", "builder")
    assert (image.spec.recipe, image.spec.bootstrap, image.spec.offered) == (None, None, ())
    assert (image.spec.access, image.spec.description) == (OLD.access, OLD.description)
    listed = published(image.spec, done(image).record)
    assert (listed.description, listed.digest, listed.firmware, listed.bootstrap) == (OLD.description, None, None, None)
    assert (listed.packages, listed.used_bytes, listed.verified) == (None, None, (HOME,))
    told = output_of(image.spec, done(image).record)
    assert (told["digest"], told["made_by"], told["access"]["accounts"]) == (None, "unknown", ["2" * 12])


def test_another_user_or_no_check_is_as_the_config_says() -> None:
    adopt = (entry(OLD, user="ec2-user"), entry(NEWER, verify=False))
    planned = plan(OLD, NEWER, adopt=adopt)
    checks = {name: image.spec.take_over for name, image in images_of(planned).items()}
    assert [check.login if check else "" for check in checks.values()] == [None, "ec2-user"]
    assert step_of(planned, NEWER.name).reason.endswith("becomes this stack's own, unverified, as `adopt` says")
    assert [image.spec.user for image in images_of(planned).values()] == [None, "ec2-user"]
    named = images_of(plan(NEWER, adopt=(entry(NEWER, user="ec2-user", verify=False),)))[NEWER.name].spec
    assert (named.user, named.take_over and named.take_over.login) == ("ec2-user", None)


def test_an_entry_counts_in_its_region_alone_and_only_with_the_images_own_name() -> None:
    further = {"us-east-2": FurtherRegion.model_validate({"cloud": {"osc_profile": "x"}})}
    adopt = (entry(NEWER, region="us-east-2"), entry(OLD))
    planned = plan(OLD, NEWER, adopt=adopt, regions=further)
    assert [step.name for step in planned.of(Action.ADOPT)] == [OLD.name]
    assert sum(f"{NEWER.omi} ({NEWER.name}) is not in the account" in each for each in planned.warnings) == 1
    misnamed = entry(OLD, name="old-3.23.4-x86_64-r1")
    assert not plan(OLD, adopt=(misnamed,)).of(Action.ADOPT)
    held_already = plan(OLD, adopt=(entry(OLD, omi="ami-other"),), ledger=(external(OLD, "3.23.4"),))
    assert not any("is not in the account" in each for each in held_already.warnings)


def test_afterwards_it_is_kept_shared_and_pruned_as_others_of_the_stack() -> None:
    images = images_of(plan(OLD, LATEST))
    ledger = tuple(done(image) for image in images.values())
    there = [taken(each, images[each.name]) for each in (OLD, LATEST)]
    again = plan(*there, adopt=(entry(OLD), entry(LATEST)), ledger=ledger, retention=ONE)
    assert outcome(again) == {LATEST.name: "keep", OLD.name: "keep"}
    assert [change.kind.value for change in step_of(again, LATEST.name).changes] == ["share"]
    assert step_of(again, OLD.name).stage == "deprecated"  # others may launch it, so it goes in stages
    at_once = Stages(shared=SharedDays(deprecated_days=0, private_days=0))
    gone = plan(*there, ledger=ledger, retention=ONE.model_copy(update={"stages": at_once}))
    step = step_of(gone, OLD.name)
    assert (step.action, step.forgets, step.level) == (Action.PRUNE, False, "release")
    assert not gone.refused


def test_one_that_retention_would_forget_is_taken_over_first() -> None:
    own = held(V23, "3.23.6")
    images, ledger = (OLD, seen(own)), (external(OLD, "3.23.4"), own)
    step = step_of(plan(*images, adopt=(), ledger=ledger, retention=ONE), OLD.name)
    assert (step.action, step.forgets) == (Action.PRUNE, True)
    step = step_of(plan(*images, adopt=(entry(OLD),), ledger=ledger, retention=ONE), OLD.name)
    assert (step.action, [change.kind.value for change in step.changes]) == (Action.KEEP, ["take over"])
    assert not step.protected


def test_one_that_is_held_already_is_booted_with_the_user_of_its_own_build() -> None:
    settings = Settings.model_validate({"region": HOME, "adopt": (entry(OLD),)})
    profile = Profile("alpine", (build("other", user="another"), V23))
    survey = Survey(profile, UP6, (), {HOME: AccountView.of((OLD,), ACCOUNT)}, TODAY, OWNER)
    check = images_of(planned_by(settings, survey, external(OLD, "3.23.4")))[OLD.name].spec.take_over
    assert check is not None
    assert check.login == "builder"


def test_of_two_entries_for_one_image_that_of_its_owner_counts() -> None:
    for adopt in ((entry(OLD, own=False), entry(OLD)), (entry(OLD), entry(OLD, own=False))):
        assert images_of(plan(OLD, adopt=adopt))[OLD.name].spec.take_over is not None


def test_an_entry_of_a_release_that_its_build_does_not_make_is_left_alone() -> None:
    found = plan(OLD, adopt=(entry(OLD, own=False, release="3.22.1"),))
    assert OLD.name not in outcome(found)
    assert [each for each in found.warnings if "is not a build of the profile for release 3.22.1" in each]


def test_it_stands_for_the_profile_of_its_day_so_that_only_a_change_builds() -> None:
    image = done(images_of(plan(LATEST))[LATEST.name])
    there = taken(LATEST, image)
    assert set(outcome(plan(there, ledger=(image,))).values()) == {"keep"}
    changed = replace(image, spec=image.spec.model_copy(update={"digest": "sha256:other"}))
    planned = plan(there, ledger=(changed,))
    assert outcome(planned) == {V23.image_name("3.23.6", 1): "build", LATEST.name: "keep"}


def test_one_made_here_of_the_same_release_is_newer_whatever_revision_the_old_tool_gave() -> None:
    mine = held(V23, "3.23.6")
    seen = AccountImage(mine.name, mine.record.omi, {CLAIM: ""}, managed=True, access=Access(public=True))
    mine = replace(mine, record=mine.record.model_copy(update={"claim": ""}))
    first = plan(seen, LATEST, adopt=(entry(LATEST, revision=4),), ledger=(mine,))
    image = done(images_of(first)[LATEST.name])
    later = plan(seen, taken(LATEST, image), adopt=(), ledger=(mine, image))
    assert [step.name for step in later.steps] == [mine.name, LATEST.name]
    assert step_of(later, mine.name).reason == "current"
    newest = latest_of([published(each.spec, each.record) for each in (mine, image)])
    assert newest.build[V23.name][HOME].name == mine.name


@pytest.mark.parametrize("verified", [True, False])
def test_only_a_verified_one_stands_for_an_older_one(verified: bool) -> None:
    older = held(V23.model_copy(update={"access": Access()}), "3.23.5")
    image = done(images_of(plan(LATEST))[LATEST.name], verified=verified)
    seen = AccountImage(older.name, older.record.omi, {CLAIM: ""}, managed=True, access=Access())
    older = replace(older, record=older.record.model_copy(update={"claim": ""}))
    planned = plan(taken(LATEST, image), seen, adopt=(), ledger=(image, older), retention=ONE, access="private")
    assert outcome(planned)[older.name] == ("prune" if verified else "keep")


def test_what_retention_wants_gone_is_taken_over_first_and_nothing_goes_or_waits_meanwhile() -> None:
    many = [AccountImage(f"old-3.23.{number}-x86_64-r0", f"ami-{number}", access=Access()) for number in range(1, 7)]
    retention = ONE.model_copy(update={"max_prunes": 0})
    first = plan(*many, retention=retention)
    assert set(outcome(first).values()) == {"adopt"}
    assert not first.refused
    assert not any(step.protected for step in first.steps)
    ledger = tuple(done(image) for image in images_of(first).values())
    there = [taken(each, images_of(first)[each.name]) for each in many]
    second = plan(*there, ledger=ledger, retention=retention, access="private")
    assert sorted(outcome(second).values()) == ["keep", *["prune"] * 5]
    assert not second.refused


def test_of_the_old_edge_images_the_newest_by_its_day_stays() -> None:
    edge = build("edge", "edge", access=Access(), release="edge-20211001")
    old = [AccountImage(name, f"ami-{name}", access=Access()) for name in ("z", "y", "x")]
    days = ("edge-20190620", "edge-20210901", "edge-20210902")
    adopt = tuple(
        Adoption(name=image.name, omi=image.omi, build="edge", release=day, own=True)
        for image, day in zip(old, days, strict=True)
    )
    settings = Settings(region=HOME, adopt=adopt, retention=ONE)
    view = AccountView.of(old, ACCOUNT)
    seen = Survey(Profile("alpine", (edge,)), UP6, (), {HOME: view}, TODAY, OWNER)
    first = planned_by(settings, seen)
    ledger = [done(image) for image in images_of(first).values()]
    view = AccountView.of((taken(each, images_of(first)[each.name]) for each in old), ACCOUNT)
    second = planned_by(settings, replace(seen, accounts={HOME: view}), *ledger)
    kept = [step.name for step in second.of(Action.KEEP)]
    assert (kept, {step.name for step in second.of(Action.PRUNE)}) == (["x"], {"z", "y"})


def test_an_external_image_that_the_stack_holds_already_is_taken_over_by_its_update() -> None:
    there = external(OLD, "3.23.4")
    before = plan(OLD, adopt=(entry(OLD, own=False),), ledger=(there,))
    assert (step_of(before, OLD.name).action, before.steps[-1].changes) == (Action.KEEP, ())
    planned = plan(OLD, ledger=(there,), retention=ONE)
    step = step_of(planned, OLD.name)
    assert (step.action, step.updates, step.protected) == (Action.KEEP, True, False)
    assert [change.kind.value for change in step.changes] == ["take over"]
    image = images_of(planned)[OLD.name]
    assert image.record == there.record
    assert image.command.stdin == image.spec.to_json() != there.command.stdin
    owned = done(image)
    after = plan(taken(OLD, image), adopt=(entry(OLD),), ledger=(owned,))
    assert not any(change.kind.value == "take over" for step in after.steps for change in step.changes)


def test_one_that_was_protected_loses_that_by_an_update_of_its_own() -> None:
    """The engine refuses to delete what it protects, and the take-over may fail."""
    there = external(OLD, "3.23.4")
    for protect in ((), (OLD.name,)):
        settings = Settings(region=HOME, adopt=(entry(OLD),), retention=Retention(protect=protect))
        accounts = {HOME: AccountView.of((OLD,), ACCOUNT)}
        seen = Survey(Profile("alpine", (V23,)), UP6, (), accounts, TODAY, OWNER, memory=Memory(protected=(OLD.name,)))
        step = step_of(planned_by(settings, seen, there), OLD.name)
        assert (step.protected, step.unprotects) == (bool(protect), not protect)
        never = step_of(planned_by(settings, replace(seen, memory=Memory()), there), OLD.name)
        assert (never.protected, never.unprotects) == (bool(protect), False)


def test_without_own_it_is_only_forgotten_and_another_id_or_region_or_build_is_not_taken_over() -> None:
    there, newest = external(OLD, "3.23.4"), held(V23, "3.23.6")
    seen = AccountImage(newest.name, newest.record.omi, managed=True, access=Access(public=True))
    plain = plan(OLD, seen, adopt=(entry(OLD, own=False),), ledger=(there, newest), retention=ONE)
    assert step_of(plain, OLD.name).forgets
    further = {"us-east-2": FurtherRegion.model_validate({"cloud": {"osc_profile": "x"}})}
    others = [
        plan(OLD, adopt=(entry(OLD, omi="ami-other"),), ledger=(there,)),
        plan(OLD, adopt=(entry(OLD, region="us-east-2"),), ledger=(there,), regions=further),
        plan(adopt=(entry(OLD),), ledger=(there,)),
    ]
    for planned in others:
        assert not [c for step in planned.steps for c in step.changes if c.kind.value == "take over"], planned


def test_another_stacks_image_is_not_taken_over_whatever_a_copied_config_says() -> None:
    theirs = replace(OLD, tags={STACK_ID: "5", "stack": "other", CLAIM: "theirs", VERIFIED: "yes"})
    told = (
        "adopt: ami-old (old-3.23.4-x86_64-r0) is made by stack other (id 5), so it is not taken over: take `own` out"
    )
    first = plan(theirs)
    assert [told in warning for warning in first.warnings] == [True]
    image = images_of(first)[OLD.name]
    assert (image.record.adopted, image.spec.take_over, step_of(first, OLD.name).action) == (True, None, Action.ADOPT)
    later = plan(theirs, ledger=(image,))
    assert [told in warning for warning in later.warnings] == [True]
    assert (step_of(later, OLD.name).action, step_of(later, OLD.name).changes) == (Action.KEEP, ())


def test_a_plain_entry_takes_in_an_image_as_its_maker_left_it() -> None:
    tags = {"stack": "other", STACK_ID: "5"}
    theirs = replace(OLD, tags=tags, digest="sha256:theirs", access=None)
    planned = plan(theirs, adopt=(entry(OLD, own=False),))
    assert not any("not taken over" in each for each in planned.warnings)
    image, step = images_of(planned)[OLD.name], step_of(planned, OLD.name)
    assert step.reason.startswith("ami-old is named in `adopt`: ")
    assert (image.record.digest, image.record.made_by) == ("sha256:theirs", "stack other (id 5)")
    assert (image.record.account, image.resource) == (ACCOUNT, OLD.name)


def test_an_image_of_a_further_region_is_a_resource_of_that_region() -> None:
    further = {"us-east-2": FurtherRegion.model_validate({"cloud": {"osc_profile": "x"}})}
    settings = Settings(region=HOME, adopt=(entry(OLD, region="us-east-2"),), regions=further)
    accounts = {HOME: AccountView((), ACCOUNT), "us-east-2": AccountView.of((OLD,), ACCOUNT)}
    planned = planned_by(settings, Survey(Profile("alpine", (V23,)), UP6, (), accounts, TODAY, OWNER))
    (step,) = planned.of(Action.ADOPT)
    assert isinstance(step.image, LedgerImage)
    assert (step.region, step.image.spec.run) == ("us-east-2", f"{OLD.name}@us-east-2")


def test_one_of_unknown_access_or_an_unknown_build_is_private_and_checked_all_the_same() -> None:
    unknown = images_of(plan(replace(OLD, access=None)))[OLD.name]
    assert unknown.spec.access == Access()
    left = external(OLD, "3.23.4")
    of_another = left.spec.model_copy(update={"build": "gone"})
    left = replace(left, spec=of_another, command=replace(left.command, stdin=of_another.to_json()))
    check = images_of(plan(OLD, ledger=(left,)))[OLD.name].spec.take_over
    assert check is not None
    assert check.login == "alpine"


def test_what_else_changes_is_done_with_the_take_over_and_one_that_is_missing_is_forgotten() -> None:
    there = external(OLD, "3.23.4")
    moved = plan(OLD, ledger=(there,), releases_dir="elsewhere")
    assert [change.kind.value for change in step_of(moved, OLD.name).changes] == ["connect", "take over"]
    assert images_of(moved)[OLD.name].spec.releases_dir == "elsewhere"
    marked = replace(there, record=there.record.model_copy(update={"missing": TODAY}))
    gone = step_of(plan(adopt=(entry(OLD),), ledger=(marked,)), OLD.name)
    assert (gone.action, gone.forgets, gone.protected) == (Action.PRUNE, True, False)


def test_an_interrupted_take_over_is_found_by_its_tags_and_done_again() -> None:
    image = images_of(plan(OLD))[OLD.name]
    half = taken(OLD, image)
    assert STANDS_FOR in half.tags
    again = images_of(plan(half, adopt=(entry(OLD),)))[OLD.name]
    assert isinstance(again.spec.take_over, TakeOver)
    assert again.spec.recipe is None


@pytest.mark.parametrize(("verified", "why"), [("yes", "was taken over by this stack"), ("", "could log in to it")])
@pytest.mark.parametrize("there", [False, True])
def test_an_interrupted_take_over_is_still_checked_unless_that_was_done(there: bool, verified: str, why: str) -> None:
    held_before = (external(OLD, "3.23.4"),) if there else ()
    half = taken(OLD, images_of(plan(OLD, ledger=held_before))[OLD.name], **{VERIFIED: verified})
    again = plan(half, adopt=(entry(OLD),), ledger=held_before)
    check = images_of(again)[OLD.name].spec.take_over
    assert check is not None
    assert check.login == "builder"
    assert why in step_of(again, OLD.name).reason


def test_an_image_that_the_stack_has_made_is_its_own_without_a_take_over() -> None:
    made = held(V23, "3.23.6")
    lost = replace(seen(made), tags={**Identity(made.spec).tags, VERIFIED: "yes"}, managed=True)
    named = entry(lost, build=V23.name, release="3.23.6", revision=made.revision)
    for recover in (None, {"stack_id": OWNER.stack_id}):
        planned = plan(lost, adopt=(named,), recover=recover)
        image = images_of(planned)[made.name]
        assert "becomes this stack's own" not in step_of(planned, made.name).reason
        assert (image.spec.take_over, image.record.adopted, image.record.made_by) == (None, False, None)


@pytest.mark.parametrize("verified", ["yes", ""])
@pytest.mark.parametrize("there", [False, True])
def test_an_interrupted_take_over_stays_one_though_own_is_taken_out_of_its_entry(there: bool, verified: str) -> None:
    held_before = (external(OLD, "3.23.4"),) if there else ()
    first = plan(OLD, LATEST, ledger=held_before)
    half = [taken(each, images_of(first)[each.name], **{VERIFIED: verified}) for each in (OLD, LATEST)]
    plain = (entry(OLD, own=False), entry(LATEST))
    planned = plan(*half, adopt=plain, ledger=held_before, retention=ONE)
    step, spec = step_of(planned, OLD.name), images_of(planned)[OLD.name].spec
    assert (step.action, step.changes != ()) == ((Action.KEEP, True) if there else (Action.ADOPT, False))
    assert step.reason == ("ami-old was taken over by this stack, as its tag stands-for shows, and stays what it is")
    assert spec.take_over is not None
    assert (spec.take_over.login, spec.recipe, spec.description) == (None, None, OLD.description)
    assert images_of(planned)[OLD.name].record.adopted is there, "its command has yet to run"
    assert STANDS_FOR in Identity(spec).tags
    assert not planned.warnings


def test_an_interrupted_take_over_in_state_stays_one_though_its_entry_is_gone() -> None:
    there = external(OLD, "3.23.4")
    half = taken(OLD, images_of(plan(OLD, ledger=(there,)))[OLD.name])
    planned = plan(half, adopt=(), ledger=(there,))
    assert [change.kind.value for change in step_of(planned, OLD.name).changes] == ["take over"]
    theirs = replace(half, tags={**half.tags, STACK_ID: "5"}, managed=False)
    assert not step_of(plan(theirs, adopt=(), ledger=(there,)), OLD.name).changes


def test_no_build_takes_it_for_its_own_by_the_digest_that_its_maker_gave_it() -> None:
    made = held(V23, "3.23.6")
    image = AccountImage(made.name, "ami-made", {"digest": made.spec.digest}, digest=made.spec.digest, access=Access())
    half = taken(image, images_of(plan(image, adopt=(entry(image, release="3.23.6"),)))[image.name])
    half = replace(half, tags={**half.tags, "digest": made.spec.digest}, digest=made.spec.digest)
    assert outcome(plan(half, adopt=())) == {V23.image_name("3.23.6", 1): "build"}


def test_it_is_recovered_from_its_tags_as_what_it_is() -> None:
    image = images_of(plan(OLD))[OLD.name]
    recovered = plan(taken(OLD, image), adopt=(), recover={"stack_id": OWNER.stack_id})
    step = step_of(recovered, OLD.name)
    assert step.action is Action.RECOVER
    found = images_of(recovered)[OLD.name].spec
    assert found.take_over is not None
    assert found.take_over.login is None
    assert found.model_copy(update={"take_over": None}) == image.spec.model_copy(update={"take_over": None})


def test_it_is_no_source_for_copies() -> None:
    image = done(images_of(plan(LATEST))[LATEST.name])
    further = {"us-east-2": FurtherRegion.model_validate({"cloud": {"osc_profile": "x"}, "images": "copy"})}
    planned = plan(taken(LATEST, image), adopt=(), ledger=(image,), regions=further)
    assert not planned.copying
