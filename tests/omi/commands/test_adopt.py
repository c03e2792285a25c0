"""The command `adopt`: what it records of an image that is in the account."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pytest

from omi.outscale.client import Cloud
from omi.outscale.images import find_own, put_tags, read_omi
from omi.outscale.publishing import share
from omi.outscale.shapes import Omi
from omi.profile.model import Access
from omi.publish import record as write_releases
from omi.publish.documents.kinds import file_name
from omi.publish.feed import Feed
from omi.state.identity import DISK, Identity
from omi.state.image import ImageRecord, ImageSpec, TakeOver
from omi.state.owner import CLAIM, VERIFIED
from omi.state.withdrawal import Withdrawal
from tests.omi.commands.desk import Desk, desk
from tests.omi.specs import make_record

__all__ = ["desk"]


def test_adopt_records_what_is_there_and_changes_nothing(desk: Desk) -> None:
    spec = desk.account.spec()
    tags = {"owner": "somebody", "stack": "other", "stack-id": "5", "digest": "sha256:other"}
    omi = desk.account.register(spec.name, tags=tags, boot_modes=("uefi", "legacy"))
    before = desk.account.image(omi)
    code, out, _ = desk.run("adopt", spec, None)
    record = ImageRecord.from_json(out, "standard output")
    assert (code, record.omi, record.adopted, record.verified) == (0, omi, True, False)
    assert record.boot_modes == ("legacy", "uefi")
    assert (record.made_by, record.digest_by(spec)) == ("stack other (id 5)", "sha256:other")
    assert desk.account.image(omi) == before


def test_adopt_of_this_stacks_own_image_manages_it(desk: Desk) -> None:
    spec = desk.account.spec()
    own = desk.own_image(spec)
    _, out, _ = desk.run("adopt", spec, None)
    record = ImageRecord.from_json(out, "standard output")
    assert (record.omi, record.adopted, record.verified) == (own.omi, False, False)
    assert record.digest is None, "the content that the spec states"
    assert own.omi in Path("releases/alpine.yaml").read_text(encoding="utf-8")
    put_tags(desk.account.cloud, [own.omi], {"digest": "sha256:other"})
    _, out, _ = desk.run("adopt", spec, None)
    assert ImageRecord.from_json(out, "standard output").digest == "sha256:other"


def test_adopt_of_a_verified_image_takes_from_tags_and_releases_files_what_is_known_of_it(desk: Desk) -> None:
    spec = desk.account.spec()
    omi = desk.account.register(
        spec.name, tags={**Identity(spec).tags, VERIFIED: "yes", DISK: "sha256:1", CLAIM: "lost"}
    )
    packages = "".join(f"{line}\tx86_64\tQ1\t1\tmade\tMIT\n" for line in ("zlib\t1.3.1-r2", "musl\t1.2.5-r0"))
    path = Path("releases/alpine/eu-west-2") / file_name(spec.name, "packages")
    path.parent.mkdir(parents=True)
    path.write_text(packages, encoding="utf-8")
    documents = {"packages": "sha256:" + hashlib.sha256(packages.encode()).hexdigest()}
    lost = make_record(name=spec.name, omi=omi, used_bytes=7, packages=2, boot_seconds=9, documents=documents)
    write_releases(spec, lost)
    code, out, err = desk.run("adopt", spec.model_copy(update={"recipe": None}), None)
    assert code == 0, err
    record = ImageRecord.from_json(out, "standard output")
    assert (record.verified, record.adopted, record.disk) == (True, False, "sha256:1")
    assert (record.used_bytes, record.packages, record.boot_seconds) == (7, 2, 9)
    assert (record.documents, record.installed) == (documents, ("musl=1.2.5-r0", "zlib=1.3.1-r2"))
    assert desk.account.tags(omi)[CLAIM] == record.claim != "lost"


@pytest.mark.parametrize("stage", ["private", "deprecated"])
def test_adopt_of_this_stacks_own_image_makes_it_private_if_that_is_its_stage(desk: Desk, stage: str) -> None:
    spec = desk.account.spec(access=Access(public=True))
    omi = desk.own_image(spec).omi
    share(desk.account.cloud, omi, spec.access)
    told = Withdrawal(why="revoked", shared=True, reason="why", **{stage: date(2026, 11, 20)})
    spec = spec.model_copy(update={"withdrawal": told})
    code, _, err = desk.run("adopt", spec, None)
    assert code == 0, err
    assert desk.account.launchers(omi) == (set() if stage == "private" else {"all"})
    assert (desk.account.tags(omi).get("stage") == "private") is (stage == "private")


def test_adopt_narrows_no_image_of_someone_else(desk: Desk) -> None:
    omi = desk.account.register("alpine-3.23.6-x86_64-r0")
    share(desk.account.cloud, omi, Access(public=True))
    told = Withdrawal(why="revoked", shared=True, reason="why", private=date(2026, 11, 20))
    desk.run("adopt", desk.account.spec(withdrawal=told), None)
    assert desk.account.launchers(omi) == {"all"}


def test_adopt_takes_nothing_from_files_that_name_another_omi(desk: Desk) -> None:
    spec = desk.account.spec()
    desk.own_image(spec)
    write_releases(spec, make_record(name=spec.name, omi="ami-0123abcd", used_bytes=7))
    _, out, _ = desk.run("adopt", spec, None)
    assert ImageRecord.from_json(out, "standard output").used_bytes is None


def test_adopt_waits_for_what_another_stack_registers_right_now(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = desk.account.spec()
    omi = desk.account.register(spec.name, tags={"stack": "another"})

    def registering(cloud: Cloud, name: str) -> Omi | None:
        found = find_own(cloud, name)
        return found.model_copy(update={"state": "pending"}) if found else None

    def reading(cloud: Cloud, omi_id: str) -> Omi | None:
        found = read_omi(cloud, omi_id)
        states.append("pending" if not states else "available")
        return found.model_copy(update={"state": states[-1]}) if found else None

    states: list[str] = []
    monkeypatch.setattr("omi.commands.adopt.find_own", registering)
    monkeypatch.setattr("omi.outscale.images.read_omi", reading)
    code, out, err = desk.run("adopt", spec, None)
    assert code == 0, err
    assert states[:2] == ["pending", "available"]
    assert ImageRecord.from_json(out, "standard output").omi == omi


def test_adopt_takes_in_no_image_that_failed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = desk.account.spec()
    failed = desk.account.register(spec.name)

    def read(cloud: Cloud, name: str) -> Omi | None:
        found = find_own(cloud, name)
        return found.model_copy(update={"state": "failed"}) if found else None

    monkeypatch.setattr("omi.commands.adopt.find_own", read)
    code, out, err = desk.run("adopt", spec, None)
    assert (code, out, f"{spec.name} is failed, so it is not taken in" in err) == (5, "", True), err
    assert desk.account.left() == {"image": [failed]}


def test_adopt_of_what_is_gone_builds_nothing(desk: Desk) -> None:
    code, out, err = desk.run("adopt", desk.account.spec(), None)
    assert (code, out) == (5, "")
    assert "take it out of `adopt`" in err
    assert desk.account.left() == {}


def taken_over(desk: Desk, omi: str, login: str | None = None) -> ImageSpec:
    spec = desk.account.spec(name="old", bootstrap=None, description="of old")
    check = TakeOver(omi=omi, login=login, vm=spec.vm)
    return spec.model_copy(update={"recipe": None, "take_over": check, "releases_dir": str(Path("releases").resolve())})


def test_one_that_is_taken_over_is_the_stacks_own_listed_as_what_it_is_and_pruned_by_its_claim(desk: Desk) -> None:
    omi = desk.account.register("old", "of old")
    spec = taken_over(desk, omi)
    code, out, err = desk.run("adopt", spec, None)
    assert code == 0, err
    record = ImageRecord.from_json(out, "standard output")
    assert (record.adopted, record.verified, record.claim) == (False, False, desk.account.tags(omi)[CLAIM])
    (listed,) = Feed.read(Path("releases/alpine.json")).images
    assert (listed.description, listed.verified, listed.digest, listed.bootstrap) == ("of old", (), None, None)
    assert Feed.read(Path("releases/alpine.json")).latest.overall == {}
    desk.account.oapi.call("CreateTags", ResourceIds=[omi], Tags=[{"Key": CLAIM, "Value": "another"}])
    desk.run("delete", spec, record)
    assert desk.account.image(omi)
    desk.account.oapi.call("CreateTags", ResourceIds=[omi], Tags=[{"Key": CLAIM, "Value": record.claim}])
    code, _, err = desk.run("delete", spec, record)
    assert code == 0, err
    assert desk.account.left() == {}


def test_one_that_was_taken_over_is_not_taken_in_as_built_here(desk: Desk) -> None:
    omi = desk.account.register("old", "of old")
    spec = taken_over(desk, omi)
    desk.run("adopt", spec, None)
    was = desk.account.image(omi)
    code, out, err = desk.run("adopt", desk.account.spec(name="old"), None)
    assert (code, out, len(err.splitlines())) == (5, "", 1)
    assert f"{omi} (old) was taken over by this stack, as its tag stands-for shows" in err
    assert "preview again" in err
    assert desk.account.image(omi) == was


def test_an_external_one_in_state_is_taken_over_by_its_update_and_the_next_ones_keep_it(desk: Desk) -> None:
    omi = desk.account.register("old", "of old")
    spec = taken_over(desk, omi)
    external = desk.record(spec, omi, adopted=True)
    code, out, err = desk.run("update", spec, external)
    assert code == 0, err
    record = ImageRecord.from_json(out, "standard output")
    assert (record.adopted, record.claim) == (False, desk.account.tags(omi)[CLAIM])
    before = desk.account.image(omi)
    code, out, err = desk.run("update", spec, record)
    assert (code, ImageRecord.from_json(out, "standard output")) == (0, record), err
    assert desk.account.image(omi) == before
    gone = Withdrawal(why="superseded", shared=True, deprecated=date(2026, 11, 1))
    desk.run("update", spec.model_copy(update={"withdrawal": gone, "access": Access(public=True)}), record)
    assert desk.account.image(omi)["Description"] == "of old; deprecated since 2026-11-01 (superseded)"
    assert desk.account.launchers(omi) == {"all"}


def test_one_whose_check_cannot_begin_stays_as_it_is_and_out_of_state(desk: Desk) -> None:
    omi = desk.account.register("old", "of old")
    before = desk.account.image(omi)
    spec = taken_over(desk, omi, "alpine")
    assert spec.take_over is not None
    nowhere = spec.take_over.model_copy(update={"vm": spec.vm.model_copy(update={"ssh_source": "somewhere"})})
    code, out, err = desk.run("adopt", spec.model_copy(update={"take_over": nowhere}), None)
    assert (code != 0, out) == (True, ""), err
    assert "Traceback" not in err
    assert desk.account.image(omi) == before
