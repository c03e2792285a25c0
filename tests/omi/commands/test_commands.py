"""Pulumi's commands `update` and `delete`, and the input that they all refuse."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from omi.commands.__main__ import main
from omi.outscale.images import put_tags, read_omi
from omi.outscale.sweep import Builds, Search, clean_up
from omi.profile.model import Access
from omi.publish.releases import from_yaml
from omi.state.identity import DISK, Identity
from omi.state.image import ImageRecord
from omi.state.ledger import StoredCommand
from omi.state.owner import GOING, going_mark
from tests.omi.commands.desk import Desk, desk
from tests.omi.conftest import PROFILE, Account
from tests.omi.specs import make_record
from tests.sandbox.client import empty_volume, register, snapshot

__all__ = ["desk"]


def test_delete_deregisters_and_a_second_time_is_done_already(desk: Desk) -> None:
    spec = desk.account.spec()
    record = desk.own_image(spec)
    code, out, err = desk.run("delete", spec, record)
    assert (code, out) == (0, "")
    assert f"deregistered {record.omi}" in err
    assert desk.account.left() == {}
    code, _, err = desk.run("delete", spec, record)
    assert code == 0
    assert "already gone" in err


@pytest.mark.parametrize(
    ("shared", "said"),
    [
        ({"GlobalPermission": True}, "every account"),
        ({"AccountIds": ["111122223333"]}, "account 111122223333"),
        (None, None),
    ],
)
def test_delete_says_who_could_launch_the_image_and_which_vms_it_has(
    desk: Desk, shared: dict[str, Any] | None, said: str | None
) -> None:
    spec = desk.account.spec()
    record = desk.own_image(spec)
    oapi = desk.account.sandbox.oapi()
    if shared:
        oapi.call("UpdateImage", ImageId=record.omi, PermissionsToLaunch={"Additions": shared})
    made = oapi.call("CreateVms", ImageId=record.omi, VmType="tinav6.c1r1p2", MinVmsCount=2, MaxVmsCount=2)["Vms"]
    runs, ended = sorted(vm["VmId"] for vm in made)
    oapi.call("DeleteVms", VmIds=[ended])
    code, _, err = desk.run("delete", spec, record)
    assert code == 0, err
    assert f"VMs were made from {record.omi} ({runs}): they go on" in err
    assert ("was shared with" in err) == (said is not None)
    assert said is None or f"{record.omi} was shared with {said}: nobody can launch it any more" in err


def test_delete_takes_the_image_out_of_the_releases_files_and_no_other(desk: Desk) -> None:
    held = {}
    for release in ("3.23.6", "3.23.5"):
        spec = desk.account.spec(release=release, name=f"alpine-{release}-x86_64-r0")
        held[spec.name] = spec, desk.own_image(spec)
        assert desk.run("update", *held[spec.name])[0] == 0
    file = Path(spec.releases_dir, f"{spec.profile}.yaml")
    assert [each.name for each in from_yaml(file.read_text(), str(file))] == list(held)
    gone, *left = held
    assert desk.run("delete", *held[gone])[0] == 0
    assert [each.name for each in from_yaml(file.read_text(), str(file))] == left


def test_delete_takes_no_answer_that_lacks_the_image_for_gone(desk: Desk) -> None:
    spec = desk.account.spec()
    record = desk.own_image(spec)
    desk.account.sandbox.control("POST", "faults", {"action": "ReadImages", "omit": [record.omi], "times": 1})
    code, _, err = desk.run("delete", spec, record)
    assert code == 5
    assert "ReadImages lacks it, but ReadTags shows it; nothing is changed, run again" in err
    assert desk.account.left() == {"image": [record.omi]}
    code, _, err = desk.run("delete", spec, record)
    assert code == 0, err
    assert desk.account.left() == {}


def test_delete_is_not_misled_by_a_later_answer_that_lacks_the_image(desk: Desk) -> None:
    spec = desk.account.spec()
    record = desk.own_image(spec)
    fault = {"action": "ReadImages", "omit": [record.omi], "skip": 1, "times": -1}
    desk.account.sandbox.control("POST", "faults", fault)
    code, _, err = desk.run("delete", spec, record)
    desk.account.sandbox.control("DELETE", "faults")
    assert code == 0, err
    assert f"deregistered {record.omi}" in err
    assert desk.account.left() == {}


def test_delete_takes_no_answer_that_lacks_a_snapshot_for_gone(desk: Desk) -> None:
    spec = desk.account.spec()
    record = desk.own_image(spec)
    (disk,) = snapshots_of_omi(desk, record.omi)
    tag(desk, disk, dict(Identity(spec).tags))
    desk.account.sandbox.control("POST", "faults", {"action": "ReadSnapshots", "omit": [disk], "times": 1})
    code, _, err = desk.run("delete", spec, record)
    assert code == 5
    assert f"{disk}: missing in ReadSnapshots, but not in ReadTags; nothing is changed, run again" in err
    assert desk.account.left() == {"image": [record.omi]}
    code, _, err = desk.run("delete", spec, record)
    assert (code, desk.account.left()) == (0, {}), err


@pytest.mark.parametrize(("fault", "stays"), [({"status": 400, "code": "4045"}, False), ({"cut": True}, True)])
def test_a_refused_deregistration_takes_its_mark_off_the_snapshot_again(
    desk: Desk, fault: dict[str, Any], stays: bool
) -> None:
    """Later a person may deregister the OMI and keep its snapshot. After a lost answer nobody knows what happened."""
    limits = desk.account.access.limits.model_copy(update={"in_use": 1})
    spec = desk.account.spec(cloud=desk.account.access.model_copy(update={"limits": limits}))
    record = desk.own_image(spec)
    (disk,) = snapshots_of_omi(desk, record.omi)
    desk.account.sandbox.control("POST", "faults", {"action": "DeleteImage", "times": -1, **fault})
    assert desk.run("delete", spec, record)[0] == 5
    assert (GOING in tags_of(desk, disk)) is stays
    desk.account.sandbox.control("DELETE", "faults")
    assert desk.run("delete", spec, record)[0] == 0
    assert desk.account.left() == {}


def snapshots_of_omi(desk: Desk, omi: str) -> tuple[str, ...]:
    found = read_omi(desk.account.cloud, omi)
    assert found is not None
    return found.snapshots


def tags_of(desk: Desk, snapshot_id: str) -> dict[str, str]:
    (found,) = desk.account.oapi.call("ReadSnapshots", Filters={"SnapshotIds": [snapshot_id]})["Snapshots"]
    return {each["Key"]: each["Value"] for each in found["Tags"]}


def test_delete_and_update_leave_a_claimed_image_that_the_record_does_not_claim(desk: Desk) -> None:
    spec = desk.account.spec()
    record = desk.own_image(spec)
    assert record.claim is None
    tag(desk, record.omi, {"claim": "theirs"})
    for command, ends in (("delete", 0), ("update", 5)):
        code, out, err = desk.run(command, spec.model_copy(update={"access": Access(public=True)}), record)
        assert (code, out, desk.account.left()) == (ends, "", {"image": [record.omi]})
        assert "bears another claim" in err
    assert desk.account.launchers(record.omi) == set()


def test_delete_and_update_leave_what_another_record_holds(desk: Desk) -> None:
    spec = desk.account.spec()
    record = desk.own_image(spec).model_copy(update={"claim": "mine"})
    for tag, code, said in ((None, 5, "has lost its tag claim"), ("theirs", 0, "bears another claim")):
        if tag:
            desk.account.cloud.call(
                "CreateTags", {"ResourceIds": [record.omi], "Tags": [{"Key": "claim", "Value": tag}]}
            )
        done, _, err = desk.run("delete", spec, record)
        assert (done, desk.account.left()) == (code, {"image": [record.omi]})
        assert said in err
        shared = spec.model_copy(update={"access": Access(public=True)})
        done, out, err = desk.run("update", shared, record)
        assert (done, out) == (5, "")
        assert said in err
        assert f"python -m omi claim -s STACK '{record.name}'" in err
        assert desk.account.launchers(record.omi) == set()


def test_delete_of_an_adopted_image_only_forgets_it(desk: Desk) -> None:
    spec = desk.account.spec()
    omi = desk.account.register(spec.name)
    code, _, err = desk.run("delete", spec, desk.record(spec, omi, adopted=True))
    assert code == 0
    assert "forgotten" in err
    assert desk.account.left() == {"image": [omi]}


def test_delete_refuses_an_image_without_this_stacks_tags(desk: Desk) -> None:
    spec = desk.account.spec()
    omi = desk.account.register(spec.name, tags={"project": spec.project, "stack": "another"})
    code, _, err = desk.run("delete", spec, desk.record(spec, omi))
    assert code == 5
    assert err.count("\n") == 1
    assert "does not carry the tags" in err
    assert desk.account.left() == {"image": [omi]}


def snapshots_of(desk: Desk, omi: str) -> list[str]:
    return [each["Bsu"]["SnapshotId"] for each in desk.account.image(omi)["BlockDeviceMappings"]]


def tag(desk: Desk, resource: str, tags: dict[str, str]) -> str:
    put_tags(desk.account.cloud, [resource], tags)
    return resource


def inventory(desk: Desk) -> Any:
    """All that is there and stays, with its tags."""
    kinds = desk.account.sandbox.control("GET", "inventory")[PROFILE]["resources"]
    return {kind: [each for each in found if each.get("state") != "deleting"] for kind, found in kinds.items()}


@pytest.mark.parametrize(
    "tags",
    [{}, {"stack-id": "another"}, {"project": "alpine-omi", "stack": "test"}],
    ids=["none", "another stack's", "names alone"],
)
def test_a_foreign_omi_that_is_recorded_keeps_all_tags_and_snapshots(desk: Desk, tags: dict[str, str]) -> None:
    spec = desk.account.spec()
    omi = desk.account.register(spec.name, tags=tags)
    record = desk.record(spec, omi).model_copy(update={"snapshots": tuple(snapshots_of(desk, omi))})
    before = inventory(desk)
    code, _, err = desk.run("delete", spec, record)
    assert code == 5
    assert "does not carry the tags" in err
    assert inventory(desk) == before


def test_delete_leaves_a_recorded_snapshot_without_this_stacks_tags(desk: Desk) -> None:
    spec, oapi = desk.account.spec(), desk.account.oapi
    record = desk.own_image(spec)
    own = snapshots_of(desk, record.omi)
    foreign = [snapshot(oapi, empty_volume(oapi)) for _ in range(2)]
    tag(desk, foreign[1], {**Identity(spec).tags, "stack-id": "another"})
    tagged = tag(desk, snapshot(oapi, empty_volume(oapi)), spec.owner.proof)
    record = record.model_copy(update={"snapshots": (*own, *foreign, tagged)})
    code, _, err = desk.run("delete", spec, record)
    assert code == 0, err
    assert [each["id"] for each in inventory(desk)["snapshot"]] == foreign
    for each in foreign:
        assert f"left snapshot {each}: it does not carry the tags of this stack" in err


def test_delete_of_an_omi_that_is_gone_leaves_snapshots_unless_it_was_deregistered_here(desk: Desk) -> None:
    spec, oapi = desk.account.spec(), desk.account.oapi
    record, taken = desk.own_image(spec), []
    going = going_mark(spec.owner.stack_id, "snap-of-another")
    for tags in ({}, {GOING: going}):
        taken.append(tag(desk, snapshot(oapi, empty_volume(oapi)), {**spec.owner.proof, **tags}))
    (own,) = snapshots_of(desk, record.omi)
    tag(desk, own, {**spec.owner.proof, GOING: going_mark(spec.owner.stack_id, own)})
    oapi.call("DeleteImage", ImageId=record.omi)
    record = record.model_copy(update={"snapshots": (own, *taken)})
    code, _, err = desk.run("delete", spec, record)
    assert code == 0, err
    assert f"deleted snapshot {own}" in err
    assert [each["id"] for each in inventory(desk)["snapshot"]] == taken
    for each in taken:
        assert f"left snapshot {each}: its OMI was not deregistered here" in err


def test_a_snapshot_that_another_omi_is_made_of_stays_as_it_is_and_the_delete_succeeds(desk: Desk) -> None:
    spec = desk.account.spec()
    record = desk.own_image(spec)
    (disk,) = snapshots_of(desk, record.omi)
    other = register(desk.account.oapi, "of-somebody", disk)
    before = inventory(desk)["snapshot"]
    code, _, err = desk.run("delete", spec, record)
    assert code == 0, err
    assert [line for line in err.splitlines() if disk in line] == [f"left snapshot {disk}: {other} is made of it, too"]
    assert inventory(desk)["snapshot"] == before
    assert desk.account.left() == {"image": [other]}


def test_a_snapshot_that_the_cloud_says_is_in_use_is_left_for_a_sweep(desk: Desk) -> None:
    limits = desk.account.access.limits.model_copy(update={"in_use": 1})
    spec = desk.account.spec(cloud=desk.account.access.model_copy(update={"limits": limits}))
    record = desk.own_image(spec)
    (disk,) = snapshots_of(desk, record.omi)
    put_tags(desk.account.cloud, [disk], Identity(spec).tags)
    in_use = {"action": "DeleteSnapshot", "status": 409, "code": "9002", "times": -1}
    desk.account.sandbox.control("POST", "faults", in_use)
    code, _, err = desk.run("delete", spec, record)
    assert code == 0, err
    assert f"left snapshot {disk}: another account's OMI may be made of it, `python -m omi sweep` deletes it" in err
    desk.account.sandbox.control("DELETE", "faults")
    protected = Search(desk.account.cloud, Builds(spec.owner, frozenset(), protect=frozenset({spec.name})))
    clean_up(protected, pytest.fail)
    assert desk.account.left() == {"snapshot": [disk]}, "it still says whose it is"
    clean_up(Search(desk.account.cloud, Builds(spec.owner, frozenset())), lambda _: None)
    assert desk.account.left() == {}


def test_a_snapshot_that_can_not_be_deleted_for_another_reason_fails_the_delete(desk: Desk) -> None:
    spec = desk.account.spec()
    record = desk.own_image(spec)
    desk.account.sandbox.control("POST", "faults", {"action": "DeleteSnapshot", "status": 400, "code": "4045"})
    code, _, err = desk.run("delete", spec, record)
    assert code == 5, err


def test_delete_with_another_accounts_key_does_not_take_not_found_for_gone(desk: Desk) -> None:
    spec = desk.account.spec()
    code, _, err = desk.run("delete", spec, desk.record(spec, "ami-0123abcd", account=desk.account.other_id))
    assert code == 3
    assert f"belongs to account {desk.account.other_id}" in err


@pytest.mark.parametrize("command", ["adopt", "build", "delete", "update"])
def test_a_key_of_another_account_than_the_stacks_is_refused_before_anything_else(desk: Desk, command: str) -> None:
    allowed = desk.account.access.model_copy(update={"account": desk.account.other_id})
    spec = desk.account.spec(cloud=allowed, access=Access(public=True))
    record, before = desk.own_image(spec), inventory(desk)
    calls = len(desk.account.sandbox.control("GET", "calls"))
    code, out, err = desk.run("supervise" if command == "build" else command, spec, record)
    assert (code, out, inventory(desk)) == (3, "", before)
    assert f"by the setting `account` Region eu-west-2 belongs to account {desk.account.other_id}" in err
    asked = desk.account.sandbox.control("GET", "calls")[calls:]
    assert [call["action"] for call in asked if call["face"] == "oapi"] == ["ReadAccounts"]


def test_update_makes_tags_and_access_be_what_the_spec_says(desk: Desk) -> None:
    spec = desk.account.spec(access=Access(accounts=(desk.account.other_id,)))
    omi = desk.account.register(spec.name)
    desk.account.oapi.call("UpdateImage", ImageId=omi, PermissionsToLaunch={"Additions": {"GlobalPermission": True}})
    record = desk.record(spec, omi)
    code, out, _ = desk.run("update", spec, record)
    assert code == 0
    assert ImageRecord.from_json(out, "output") == record
    assert desk.account.launchers(omi) == {desk.account.other_id}
    assert desk.account.tags(omi) == dict(Identity(spec).tags)


def test_update_changes_nothing_of_an_external_image(desk: Desk) -> None:
    spec = desk.account.spec(access=Access(public=True))
    omi = desk.account.register(spec.name, tags={"made-by": "somebody", "claim": "theirs"})
    record, before = desk.record(spec, omi, adopted=True), inventory(desk)
    code, out, err = desk.run("update", spec, record)
    assert (code, inventory(desk)) == (0, before), err
    assert ImageRecord.from_json(out, "output") == record
    assert f"{omi} was not made here: left as it is" in err


def test_update_makes_snapshots_private_that_others_may_read(desk: Desk) -> None:
    spec = desk.account.spec()
    record = desk.own_image(spec)
    (disk,) = snapshots_of_omi(desk, record.omi)
    more = {"Additions": {"AccountIds": [desk.account.other_id]}}
    desk.account.oapi.call("UpdateSnapshot", SnapshotId=disk, PermissionsToCreateVolume=more)
    code, _, err = desk.run("update", spec, record)
    assert (code, f"made {disk} private again" in err) == (0, True), err
    (seen,) = desk.account.oapi.call("ReadSnapshots", Filters={"SnapshotIds": [disk]})["Snapshots"]
    assert seen["PermissionsToCreateVolume"]["AccountIds"] == []


def test_update_takes_down_the_digest_that_a_copy_has_found_of_its_disk(desk: Desk) -> None:
    spec, disk = desk.account.spec(), "sha256:" + "5" * 64
    omi = desk.account.register(spec.name, tags={**Identity(spec).tags, DISK: disk})
    record = desk.record(spec, omi)
    _, out, _ = desk.run("update", spec, record)
    known = record.model_copy(update={"disk": disk})
    assert ImageRecord.from_json(out, "output") == known
    assert desk.account.tags(omi)[DISK] == disk
    tag(desk, omi, {DISK: "sha256:" + "6" * 64})
    _, out, _ = desk.run("update", spec, known)
    assert ImageRecord.from_json(out, "output") == known, "its first digest stays"


def test_update_marks_an_image_that_is_missing_and_unmarks_it_when_it_is_there(desk: Desk) -> None:
    spec = desk.account.spec()
    code, out, err = desk.run("update", spec, desk.record(spec, "ami-0123abcd"))
    assert code == 0, err
    marked = ImageRecord.from_json(out, "standard output")
    assert marked.missing == datetime.now(UTC).date()
    assert "the next update forgets it" in err
    earlier = marked.model_copy(update={"missing": date(2025, 1, 1)})
    assert ImageRecord.from_json(desk.run("update", spec, earlier)[1], "standard output") == earlier
    own = desk.own_image(spec)
    _, out, _ = desk.run("update", spec, own.model_copy(update={"missing": marked.missing}))
    assert ImageRecord.from_json(out, "standard output").missing is None


def test_delete_of_a_record_that_is_marked_missing_calls_no_delete(desk: Desk) -> None:
    spec = desk.account.spec()
    own = desk.own_image(spec)
    record = own.model_copy(update={"missing": datetime.now(UTC).date()})
    code, _, err = desk.run("delete", spec, record)
    assert code == 0
    assert "forgotten, nothing is deleted" in err
    assert desk.account.left() == {"image": [own.omi]}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "is not a command of Pulumi's"),
        (["bild"], 2, "'bild'"),
        (["delete"], 8, "standard input: cannot be read"),
    ],
)
def test_bad_input_is_one_line(desk: Desk, arguments: list[str], code: int, said: str) -> None:
    desk.monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"format": 9})))
    assert main(arguments) == code
    err = desk.capfd.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert said in err


def test_what_is_no_text_is_one_line(desk: Desk) -> None:
    desk.monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff{}"), encoding="utf-8"))
    assert main(["delete"]) == 8
    assert desk.capfd.readouterr().err.startswith("error: standard input: is not UTF-8 text")


def test_without_a_record_nothing_is_deleted(desk: Desk) -> None:
    code, _, err = desk.run("delete", desk.account.spec(), None)
    assert code == 8
    assert "PULUMI_COMMAND_STDOUT: is empty" in err


@pytest.mark.parametrize("command", ["build", "supervise", "update", "delete", "adopt"])
def test_a_command_of_pulumis_does_not_wait_for_a_person_to_type_its_input(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    assert main([command]) == 2
    assert "standard input: is a terminal; Pulumi runs this command" in capsys.readouterr().err


def test_a_shell_in_the_projects_folder_runs_the_words_that_state_holds(account: Account, tmp_path: Path) -> None:
    spec = account.spec(releases_dir=str(tmp_path))
    omi = account.register(spec.name, tags=dict(Identity(spec).tags))
    record = make_record(name=spec.name, omi=omi, snapshots=(), account=account.id)
    command = StoredCommand.of("build", spec)
    done = subprocess.run(
        ["sh", "-c", command.delete],
        cwd=Path(__file__).resolve().parents[3], input=command.stdin, capture_output=True, text=True, timeout=60,
        check=False,
        env={
            **os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PULUMI_COMMAND_STDOUT": record.to_json(),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"deregistered {omi}" in done.stderr
    assert account.left() == {}
