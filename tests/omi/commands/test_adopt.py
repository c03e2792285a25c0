"""The command `adopt`: what it records of an image that is in the account."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from omi.outscale.cloud import Cloud
from omi.outscale.images import find_own, read_omi
from omi.outscale.shapes import Omi
from omi.publish import record as write_releases
from omi.publish.documents.kinds import file_name
from omi.state.identity import DISK, Identity
from omi.state.image import ImageRecord
from omi.state.owner import CLAIM, VERIFIED
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


def test_adopt_of_a_verified_image_takes_from_tags_and_releases_files_what_is_known_of_it(desk: Desk) -> None:
    spec = desk.account.spec()
    omi = desk.account.register(
        spec.name, tags={**Identity(spec).tags, VERIFIED: "yes", DISK: "sha256:1", CLAIM: "lost"}
    )
    packages = "# name\tversion\nzlib\t1.3.1-r2\nmusl\t1.2.5-r0\n"
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


def test_adopt_of_what_is_gone_builds_nothing(desk: Desk) -> None:
    code, out, err = desk.run("adopt", desk.account.spec(), None)
    assert (code, out) == (5, "")
    assert "take it out of `adopt`" in err
    assert desk.account.left() == {}
