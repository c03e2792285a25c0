"""A build of an image that is already in the account, whole or in part, from here or from elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from omi.build import lifecycle
from omi.build.leftovers import Leftovers
from omi.build.maker import Product
from omi.build.packer import attempt
from omi.build.packer.inputs import RunFolder
from omi.build.packer.maker import PackerMaker
from omi.build.packer.progress import PackerOutput
from omi.build.packer.runner import PackerRun, run_packer
from omi.outscale.client import Cloud
from omi.outscale.images import find_own, read_omi
from omi.outscale.publishing import share
from omi.outscale.shapes import Omi
from omi.outscale.waiting import InterruptedBuildError
from omi.profile.model import Access
from omi.publish import record as write_releases
from omi.state.identity import STAGE_TAGS, Identity
from omi.state.image import ImageSpec
from omi.state.owner import CLAIM, STANDS_FOR, VERIFIED
from omi.state.withdrawal import Why, Withdrawal
from omi.support.errors import BuildError, CloudError, VerifyError
from omi.verify.facts import Facts
from tests.omi.build.parts import PUBLIC, Bench, bench

__all__ = ["bench"]


def test_a_verified_image_is_taken_up_without_a_boot_and_nobody_loses_it(bench: Bench) -> None:
    spec = bench.account.spec()
    first = bench.build(spec)
    share(bench.account.cloud, first.omi, PUBLIC)
    bench.failure = VerifyError("it does not boot")
    again = bench.build(spec)
    assert (again.omi, again.verified, again.adopted) == (first.omi, True, False)
    assert bench.booted == [first.omi], "it was verified once"
    assert bench.account.launchers(first.omi) == {"all"}
    assert again.claim not in (None, first.claim), "who takes it up holds it"
    found = find_own(bench.account.cloud, spec.name)
    assert found is not None
    assert found.tags[CLAIM] == again.claim


def withdrawn(spec: ImageSpec, why: Why) -> ImageSpec:
    """The spec as a withdrawal to the last stage leaves it in state, with its recipe."""
    told = Withdrawal(why=why, shared=True, private=date(2026, 11, 20), reason="why" if why == "revoked" else None)
    return spec.model_copy(update={"withdrawal": told})


@pytest.mark.parametrize("why", ["revoked", "removed", "end of life"])
def test_a_withdrawn_image_that_is_replaced_stays_private_and_says_so(bench: Bench, why: Why) -> None:
    spec = bench.account.spec(access=PUBLIC)
    first = bench.build(spec)
    share(bench.account.cloud, first.omi, Access())
    again = bench.build(withdrawn(spec, why))
    assert (again.omi, bench.account.launchers(first.omi)) == (first.omi, set())
    identity = Identity(withdrawn(spec, why))
    assert bench.account.tags(first.omi).items() >= identity.stage_tags.items()
    assert bench.account.image(first.omi)["Description"] == identity.described(verified=True)


def test_one_that_is_withdrawn_and_replaced_in_one_update_is_private_at_once(bench: Bench) -> None:
    spec = bench.account.spec(access=PUBLIC)
    first = bench.build(spec)
    assert bench.account.launchers(first.omi) == {"all"}
    bench.build(withdrawn(spec, "revoked"))
    assert bench.account.launchers(first.omi) == set()


def test_one_whose_withdrawal_is_taken_back_and_that_is_replaced_in_one_update_is_current_by_its_tags(
    bench: Bench,
) -> None:
    spec = bench.account.spec(access=PUBLIC)
    omi = bench.build(withdrawn(spec, "revoked")).omi
    bench.account.cloud.call("CreateTags", {"ResourceIds": [omi], "Tags": [{"Key": "keep", "Value": "this"}]})
    bench.build(spec)
    assert bench.account.launchers(omi) == {"all"}
    assert bench.account.image(omi)["Description"] == Identity(spec).described(verified=True)
    assert not bench.account.tags(omi).keys() & {*STAGE_TAGS}
    assert bench.account.tags(omi)["keep"] == "this"


def test_a_deprecated_image_that_is_replaced_stays_shared(bench: Bench) -> None:
    spec = bench.account.spec(access=PUBLIC)
    first = bench.build(spec)
    told = Withdrawal(why="removed", shared=True, deprecated=date(2026, 11, 20))
    bench.build(spec.model_copy(update={"withdrawal": told}))
    assert bench.account.launchers(first.omi) == {"all"}


def test_a_withdrawn_image_that_is_gone_and_built_anew_is_shared_with_nobody(bench: Bench) -> None:
    spec = withdrawn(bench.account.spec(access=PUBLIC), "revoked")
    record = bench.build(spec)
    assert (record.verified, bench.account.launchers(record.omi)) == (True, set())
    assert bench.account.tags(record.omi).items() >= Identity(spec).stage_tags.items()
    assert bench.account.image(record.omi)["Description"] == Identity(spec).described(verified=True)


def test_a_record_that_is_made_anew_keeps_what_was_measured(bench: Bench, tmp_path: Path) -> None:
    spec = bench.account.spec(releases_dir=str(tmp_path / "releases"))
    first = bench.build(spec)
    assert bench.build(spec).used_bytes is None, "nothing was measured again"
    write_releases(spec, first)
    again = bench.build(spec)
    assert first.used_bytes is not None
    assert (again.used_bytes, again.packages) == (first.used_bytes, first.packages)


def test_no_failure_removes_a_verified_image(bench: Bench) -> None:
    spec = bench.account.spec()
    first = bench.build(spec)
    for keys in (("digest",), (VERIFIED, CLAIM, "digest"), ()):
        lose_tags(bench, first.omi, *keys)
        with pytest.raises(BuildError, match=f"this stack's own.*{'' if keys else 'put its lost tags stack-id='}"):
            bench.build(spec)
        bench.run_of(spec).clean_up()
        assert bench.account.left() == {"image": [first.omi]}


def test_after_a_killed_run_its_unrecorded_image_stays_and_what_was_half_made_goes(bench: Bench) -> None:
    spec = bench.account.spec()
    run = bench.run_of(spec)
    orphan = unverified(bench, spec)
    bystander = bench.account.register(f"{run.job.working_name}-2", run.job.identity.description)
    bench.account.register(run.job.working_name, run.job.identity.description)
    bench.account.oapi.call("CreateKeypair", KeypairName=run.job.identity.build_key)
    run.clean_up()
    assert bench.account.left() == {"image": [orphan, bystander]}
    assert bench.build(spec).omi == orphan
    other = spec.model_copy(update={"name": f"{spec.name}9"})
    bench.account.register(other.name, Identity(other).description)
    bench.run_of(other).clean_up()
    assert bench.account.left() == {"image": [orphan, bystander]}


def test_a_verified_image_without_that_tag_gets_it_back_and_is_not_booted_again(bench: Bench) -> None:
    spec = bench.account.spec()
    first = bench.build(spec)
    lose_tags(bench, first.omi, VERIFIED)
    again = bench.build(spec)
    assert (again.omi, again.verified, bench.booted) == (first.omi, True, [first.omi])
    found = read_omi(bench.account.cloud, first.omi)
    assert found is not None
    assert VERIFIED in found.tags
    assert found.description.endswith(f"({Identity(spec).build_id}, verified)")


def test_one_that_is_held_or_of_whose_access_nothing_is_known_is_no_leftover(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = bench.account.spec()
    omi = bench.account.register(spec.name, Identity(spec).description, {CLAIM: "5"})
    with pytest.raises(BuildError, match="put its lost tags stack-id="):
        bench.build(spec)
    assert bench.account.left() == {"image": [omi]}
    lose_tags(bench, omi)

    def unsaid(cloud: Cloud, name: str) -> Omi | None:
        found = find_own(cloud, name)
        return found.model_copy(update={"permissions": None}) if found else None

    monkeypatch.setattr("omi.build.lifecycle.find_own", unsaid)
    with pytest.raises(BuildError, match="put its lost tags stack-id="):
        bench.build(spec)
    assert bench.account.left() == {"image": [omi]}


def unverified(bench: Bench, spec: ImageSpec) -> str:
    """An image that a run built and did not verify."""
    record = bench.build(spec)
    lose_tags(bench, record.omi, VERIFIED, CLAIM)
    bench.account.cloud.call("UpdateImage", {"ImageId": record.omi, "Description": Identity(spec).description})
    return record.omi


def test_an_orphan_whose_check_could_not_be_made_stays_and_one_that_fails_it_goes(bench: Bench) -> None:
    spec = bench.account.spec()
    orphan = unverified(bench, spec)
    bench.failure = CloudError("no VM is to be had")
    with pytest.raises(CloudError, match="no VM"):
        bench.build(spec)
    assert f"{orphan} was built by a run that did not record it: verifying it" in bench.said.getvalue()
    assert bench.account.left() == {"image": [orphan]}
    bench.failure = VerifyError("it does not boot")
    with pytest.raises(VerifyError):
        bench.build(spec)
    assert bench.account.left() == {}


def test_the_snapshots_of_an_orphan_are_spared_before_its_check(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list may lack the OMI that uses them."""
    spec, spared = bench.account.spec(), list[Sequence[str]]()
    orphan = read_omi(bench.account.cloud, unverified(bench, spec))
    assert orphan is not None
    monkeypatch.setattr(Leftovers, "sweep", lambda self, spare, volumes, **_: spared.append(spare))
    bench.build(spec)
    assert [set(each) for each in spared] == [{*orphan.snapshots}] * 2


def test_who_takes_an_image_up_cleans_up_and_puts_its_description_back(bench: Bench) -> None:
    spec = bench.account.spec()
    first = bench.build(spec)
    bench.account.cloud.call("UpdateImage", {"ImageId": first.omi, "Description": "renamed"})
    bench.account.oapi.call("CreateKeypair", KeypairName=Identity(spec).verify_key)
    assert bench.build(spec).omi == first.omi
    assert bench.account.left() == {"image": [first.omi]}
    assert bench.account.image(first.omi)["Description"] == Identity(spec).described(verified=True)
    said = bench.said.getvalue()
    assert f"{first.omi} was verified by an earlier run: taken up as it is, not built again" in said
    assert f"for a new revision, run `python -m omi build -s STACK {spec.build} --again --yes`" in said


def test_how_long_a_build_took_is_known_only_of_one_that_was_made(bench: Bench) -> None:
    spec = bench.account.spec()
    made = bench.build(spec).build_seconds
    assert made is not None
    assert 0 <= made < 60
    unverified(bench, spec)
    assert bench.build(spec).build_seconds is None


def test_without_an_image_there_is_nothing_to_keep_after_a_killed_run(bench: Bench) -> None:
    spec = bench.account.spec()
    bench.account.oapi.call("CreateKeypair", KeypairName=Identity(spec).build_key)
    bench.run_of(spec).clean_up()
    assert bench.account.left() == {}


def test_what_a_failed_build_registered_under_its_working_name_is_removed(bench: Bench) -> None:
    spec = bench.account.spec()
    bench.on_verify = lambda: bench.account.register(bench.run_of(spec).job.working_name, Identity(spec).description)
    bench.failure = VerifyError("it does not boot")
    with pytest.raises(VerifyError):
        bench.build(spec)
    assert bench.account.left() == {}


def test_content_that_this_version_cannot_read_is_not_made_again(bench: Bench) -> None:
    spec = bench.account.spec(build=bench.account.spec().target.model_copy(update={"unread": ("packages",)}))
    with pytest.raises(BuildError, match="packages can't be read as its record has it"):
        bench.build(spec)
    assert bench.account.left() == {}


def test_an_image_that_someone_makes_meanwhile_is_adopted_only_after_an_error_of_a_new_build(bench: Bench) -> None:
    spec = bench.account.spec()
    orphan = unverified(bench, spec)

    def replace_it() -> None:
        own = {"ImageNames": [spec.name], "AccountIds": [bench.account.id]}
        for image in bench.account.oapi.call("ReadImages", Filters=own)["Images"]:
            bench.account.oapi.call("DeleteImage", ImageId=image["ImageId"])
        bench.account.register(spec.name, "theirs", {"stack": "another", "stack-id": "another"})

    bench.on_verify = replace_it
    bench.failure = VerifyError("it does not boot")
    with pytest.raises(VerifyError):
        bench.build(spec)
    assert orphan not in bench.account.left()["image"]
    replace_it()
    assert bench.build(spec).adopted
    assert "bears the name already, made by stack another (id another): adopted, not built" in bench.said.getvalue()
    (theirs,) = bench.account.left()["image"]
    bench.account.oapi.call("DeleteImage", ImageId=theirs)
    bench.failure = RuntimeError("a fault of the program")
    with pytest.raises(RuntimeError):
        bench.build(spec)
    (theirs,) = bench.account.left()["image"]
    bench.account.oapi.call("DeleteImage", ImageId=theirs)
    bench.failure = VerifyError("it does not boot")
    assert bench.build(spec).adopted
    assert ", made by stack another (id another), got the name in the meantime: adopted" in bench.said.getvalue()


def test_one_that_failed_to_become_available_is_half_made_whatever_tags_it_has(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = bench.account.spec()

    def failed(cloud: Cloud, name: str) -> Omi | None:
        found = find_own(cloud, name)
        return found.model_copy(update={"state": "failed"}) if found else None

    for begin in (bench.build, lambda spec: bench.run_of(spec).clean_up()):
        orphan = unverified(bench, spec)
        with monkeypatch.context() as patch:
            for place in ("lifecycle", "leftovers"):
                patch.setattr(f"omi.build.{place}.find_own", failed)
            begin(spec)
        assert orphan not in bench.account.left().get("image", [])
        for image in bench.account.left().get("image", []):
            bench.account.oapi.call("DeleteImage", ImageId=image)
    bench.build(spec)
    assert "which an earlier run left half-made" in bench.said.getvalue()


def test_an_own_image_that_a_failed_build_could_not_remove_is_not_adopted(bench: Bench) -> None:
    bench.failure = VerifyError("it does not boot")
    fault = {"action": "DeleteImage", "status": 400, "code": "4045", "times": -1}
    bench.account.sandbox.control("POST", "faults", fault)
    with pytest.raises(VerifyError):
        bench.build(bench.account.spec())


def test_snapshots_that_somebody_opened_meanwhile_are_closed_before_the_image_is_shared(bench: Bench) -> None:
    spec = bench.account.spec(access=PUBLIC)

    def open_it() -> None:
        omi = find_own(bench.account.cloud, spec.name)
        assert omi is not None
        more = {"Additions": {"AccountIds": ["123456789012"]}}
        bench.account.oapi.call("UpdateSnapshot", SnapshotId=omi.snapshots[0], PermissionsToCreateVolume=more)

    bench.on_verify = open_it
    (disk,) = bench.build(spec).snapshots
    (seen,) = bench.account.oapi.call("ReadSnapshots", Filters={"SnapshotIds": [disk]})["Snapshots"]
    assert seen["PermissionsToCreateVolume"]["AccountIds"] == []


def test_after_an_error_of_the_share_nobody_may_launch_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, shared = bench.account.spec(access=PUBLIC), list[Access]()

    def share_and_fail(cloud: Cloud, omi_id: str, access: Access, *, narrow: bool = True) -> None:
        shared.append(access)
        share(cloud, omi_id, access, narrow=narrow)
        if len(shared) == 1:
            raise CloudError("no answer")

    monkeypatch.setattr("omi.build.lifecycle.share", share_and_fail)
    with pytest.raises(BuildError, match="is verified and stays private; the next `pulumi up` shares it"):
        bench.build(spec)
    (omi,) = bench.account.left()["image"]
    assert (shared, bench.account.launchers(omi)) == ([PUBLIC, Access()], set())


def test_what_its_maker_could_not_remove_may_be_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PackerMaker, "clean", lambda _: False)
    bench.on_verify = bench.stop.set
    bench.failure = CloudError("interrupted")
    with pytest.raises(InterruptedBuildError, match="may be there: the next build or `python -m omi sweep` removes it"):
        bench.build(bench.account.spec())


def test_what_its_build_found_need_not_be_here_for_a_copy(bench: Bench) -> None:
    spec = bench.account.spec(copy_from=bench.account.access)
    omi = bench.account.register(spec.name, Identity(spec).description, dict(Identity(spec).tags))
    run = bench.run_of(spec)
    found = run._existing(PackerOutput())
    assert found is not None
    assert found.omi_id == omi


def lose_tags(bench: Bench, omi: str, *keys: str) -> None:
    """Take these tags off, or all of them."""
    found = read_omi(bench.account.cloud, omi)
    assert found is not None
    tags = [{"Key": key, "Value": value} for key, value in found.tags.items() if key in keys or not keys]
    bench.account.cloud.call("DeleteTags", {"ResourceIds": [omi], "Tags": tags})


def test_an_orphan_of_the_same_content_is_verified_and_managed(bench: Bench) -> None:
    spec = bench.account.spec()
    orphan = unverified(bench, spec)
    again = bench.build(spec)
    assert (again.omi, again.verified, again.adopted) == (orphan, True, False)
    assert bench.booted == [orphan, orphan]
    built = Facts.parse("end=yes")
    assert bench.finished == [built, built], "what the build found counts both times"


@pytest.mark.parametrize("access", [Access(), PUBLIC])
def test_an_orphan_that_fails_its_check_goes_unless_somebody_shares_it(bench: Bench, access: Access) -> None:
    spec = bench.account.spec(access=access)
    orphan = unverified(bench, spec)
    bench.failure = VerifyError("it does not boot")
    with pytest.raises(VerifyError):
        bench.build(spec)
    assert bench.account.left() == ({"image": [orphan]} if access == PUBLIC else {})


@pytest.mark.parametrize("here", ["nothing", "no manifest", "another build"])
def test_an_orphan_of_another_machine_is_built_anew_since_nobody_knows_what_its_build_found(
    bench: Bench, here: str
) -> None:
    spec = bench.account.spec()
    orphan, folder = unverified(bench, spec), RunFolder(bench.folder / spec.name)
    if here == "nothing":
        folder.packer_log.unlink()
    elif here == "no manifest":
        folder.manifest.unlink()
    else:
        folder.manifest.write_text(folder.manifest.read_text().replace(orphan, "ami-0123abcd"))
    record = bench.build(spec)
    assert record.omi != orphan
    assert bench.account.left() == {"image": [record.omi]}
    assert bench.finished == [Facts.parse("end=yes")] * 2


OTHER = "sha256:" + "1" * 64


def test_an_unverified_orphan_of_other_content_is_removed_and_built_anew(bench: Bench) -> None:
    spec = bench.account.spec(access=PUBLIC)
    orphan = unverified(bench, bench.account.spec(digest=OTHER))
    record = bench.build(spec)
    assert record.omi != orphan
    assert (record.adopted, bench.account.tags(record.omi)["digest"]) == (False, spec.digest)
    assert bench.account.left() == {"image": [record.omi]}


def test_a_verified_image_of_other_content_is_neither_adopted_nor_removed(bench: Bench) -> None:
    good = bench.build(bench.account.spec(digest=OTHER, access=PUBLIC)).omi
    before = bench.account.image(good)
    with pytest.raises(BuildError, match=f"{good} .* is this stack's own.* `revision` .*omi recover -s test alpine-"):
        bench.build(bench.account.spec())
    assert bench.account.image(good) == before
    assert bench.account.left() == {"image": [good]}


@pytest.mark.parametrize("worn", [{"build-id": "b-of-another"}, {STANDS_FOR: OTHER}, {CLAIM: "5"}])
def test_one_of_other_content_that_is_no_leftover_stays(bench: Bench, worn: dict[str, str]) -> None:
    spec = bench.account.spec()
    omi = bench.account.register(spec.name, "", {**Identity(spec).tags, "digest": OTHER, **worn})
    with pytest.raises(BuildError, match="this stack's own"):
        bench.build(spec)
    assert bench.account.left() == {"image": [omi]}


@pytest.mark.parametrize("worn", [{}, {VERIFIED: "yes"}, {CLAIM: "5"}])
def test_a_persons_image_with_the_tags_of_another_of_the_stack_stays(bench: Bench, worn: dict[str, str]) -> None:
    spec = bench.account.spec()
    tags = {**Identity(bench.account.spec(name=f"{spec.name}9")).tags, "digest": spec.digest, **worn}
    omi = bench.account.register(spec.name, "by hand", tags)
    before = bench.account.image(omi)
    with pytest.raises(BuildError, match="this stack's own"):
        bench.build(spec)
    bench.run_of(spec).clean_up()
    assert (bench.account.image(omi), bench.account.left()) == (before, {"image": [omi]})


def test_one_of_this_stacks_description_with_a_persons_tags_stays(bench: Bench) -> None:
    spec = bench.account.spec()
    omi = bench.account.register(spec.name, Identity(spec).description, {"owner": "somebody"})
    with pytest.raises(BuildError, match="put its lost tags"):
        bench.build(spec)
    assert bench.account.left() == {"image": [omi]}


def test_one_of_this_stacks_description_that_another_stack_has_is_another_stacks(bench: Bench) -> None:
    spec = bench.account.spec()
    described = Identity(spec).described(verified=True)
    omi = bench.account.register(spec.name, described, {"stack": "another", "stack-id": "another"})
    record = bench.build(spec)
    assert (record.omi, record.adopted) == (omi, True)
    assert bench.account.left() == {"image": [omi]}


def test_one_of_other_content_that_somebody_shares_stays(bench: Bench) -> None:
    omi = unverified(bench, bench.account.spec(digest=OTHER, access=PUBLIC))
    with pytest.raises(BuildError, match="this stack's own"):
        bench.build(bench.account.spec())
    assert (bench.account.left(), bench.account.launchers(omi)) == ({"image": [omi]}, {"all"})


def test_a_half_made_orphan_is_removed_and_built_anew(bench: Bench) -> None:
    spec = bench.account.spec()
    orphan = bench.account.register(spec.name, Identity(spec).description)
    record = bench.build(spec)
    assert record.omi != orphan
    assert bench.account.left() == {"image": [record.omi]}


@pytest.mark.parametrize("tags", [{}, {"stack": "another", "stack-id": "another", "digest": "sha256:" + "1" * 64}])
def test_what_another_hand_made_is_adopted_and_left_alone(bench: Bench, tags: dict[str, str]) -> None:
    spec = bench.account.spec()
    theirs = bench.account.register(spec.name, "made by hand", tags)
    record = bench.build(spec)
    assert (record.omi, record.adopted, record.verified) == (theirs, True, False)
    assert record.digest_by(spec) == tags.get("digest")
    assert bench.booted == []
    assert bench.account.left() == {"image": [theirs]}


def test_another_stacks_image_of_the_very_same_content_is_adopted_and_left_alone(bench: Bench) -> None:
    spec = bench.account.spec()
    theirs = {**Identity(spec.model_copy(update={"stack_id": "5" * 16})).tags, "digest": spec.digest}
    omi = bench.account.register(spec.name, "of another stack", theirs)
    record = bench.build(spec)
    assert (record.omi, record.adopted, bench.booted) == (omi, True, [])
    bench.run_of(spec).clean_up()
    assert bench.account.tags(omi) == theirs


def test_what_the_stack_took_over_is_not_taken_for_its_build_whatever_digest_it_bears(bench: Bench) -> None:
    spec = bench.account.spec()
    tags = {**Identity(spec).tags, STANDS_FOR: spec.digest, CLAIM: "1", VERIFIED: "yes"}
    old = bench.account.register(spec.name, "of old", tags)
    with pytest.raises(BuildError, match="this stack's own, but not what this build makes"):
        bench.build(spec)
    assert (bench.booted, bench.account.tags(old)) == ([], tags)


def test_a_description_that_speaks_of_verified_gets_its_mark_all_the_same(bench: Bench) -> None:
    record = bench.build(spec := bench.account.spec(description="Alpine, verified by QA"))
    assert bench.account.image(record.omi)["Description"] == Identity(spec).described(verified=True)


def test_a_failure_never_removes_an_image_of_another_stack(bench: Bench) -> None:
    spec = bench.account.spec()
    other = bench.build(bench.account.spec(stack_id="another", name="alpine-3.22.5-x86_64-r0")).omi
    bench.packer.behave("fail")
    with pytest.raises(BuildError):
        bench.build(spec)
    assert bench.account.left() == {"image": [other]}


def test_what_another_stack_built_under_the_name_in_the_meantime_is_adopted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, theirs = bench.account.spec(), list[str]()

    def taken(*arguments: Any) -> PackerRun:
        """Packer's run, in whose time another stack registers its OMI; that of the same name is refused then."""
        tags = {
            "project": spec.project,
            "stack": "another",
            "stack-id": "another",
            "build-id": "b-1",
            "digest": spec.digest,
        }
        theirs.append(bench.account.register(spec.name, "made by another stack", tags))
        return run_packer(*arguments)

    monkeypatch.setattr(attempt, "run_packer", taken)
    bench.packer.behave("fail")
    record = bench.build(spec)
    assert ([record.omi], record.adopted, record.verified) == (theirs, True, False)
    assert "made by stack another (id another), got the name in the meantime: adopted" in bench.said.getvalue()
    assert bench.account.left() == {"image": theirs}


def test_what_another_stack_builds_right_now_is_waited_for_before_it_is_adopted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = bench.account.spec()
    omi_id = bench.account.register(spec.name, "made by another stack")
    whole, awaited = find_own(bench.account.cloud, spec.name), list[str]()
    assert whole is not None
    monkeypatch.setattr(lifecycle, "find_own", lambda *_: whole.model_copy(update={"state": "pending"}))

    def waited(_: Cloud, omi_id: str, __: threading.Event) -> Omi:
        awaited.append(omi_id)
        return whole

    monkeypatch.setattr(lifecycle, "wait_available", waited)
    assert bench.build(spec).omi == omi_id
    assert awaited == [omi_id]


def test_what_the_build_found_counts_for_one_made_in_this_run_and_for_what_is_known_of_an_earlier_one(
    bench: Bench,
) -> None:
    job = bench.run_of(bench.account.spec()).job
    omi, found = Omi.model_validate({"ImageId": "ami-1"}), PackerOutput(facts=["end=yes"])
    cases = ((found, True), (found, False), (PackerOutput(), True), (PackerOutput(), False))
    finished = [
        lifecycle.verification_of(job, Product(omi, output, packed), "sg-1").finished for output, packed in cases
    ]
    assert finished == [Facts.parse("end=yes"), Facts.parse("end=yes"), Facts.parse(""), None]
