"""Who may launch an image and how shared images go, by real pulumi and two accounts; no VM is built.

The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import yaml

from omi.publish.outputs import Outputs
from tests.e2e.held import HeldProject
from tests.sandbox.client import Refused

pytestmark = pytest.mark.slow

OLD, NEW = "one-3.23.9-x86_64-r0", "one-3.23.10-x86_64-r0"
PUBLIC = {"Additions": {"GlobalPermission": True}}


@pytest.fixture(scope="module")
def omis(held: HeldProject) -> dict[str, str]:
    """OMI ids by name: a release and its successor."""
    held.hold("one", releases=("3.23.9", "3.23.10"))
    return {name: step["omi"] for name, step in held.plan().items()}


def may_launch(held: HeldProject, omi: str, profile: str = "second") -> bool:
    client = held.sandbox.oapi(profile)
    try:
        vm = client.call("CreateVms", ImageId=omi, VmType="tinav5.c1r1p2")["Vms"][0]["VmId"]
    except Refused as refused:
        assert refused.code == "5023", refused  # noqa: PT017 - anything else is an error of the test
        return False
    client.call("DeleteVms", VmIds=[vm])
    return True


def up(held: HeldProject) -> str:
    return held.pulumi("up", "--yes", "--skip-preview")


def changes(held: HeldProject, name: str) -> list[str]:
    return [change["change"] for change in held.plan()[name]["changes"]]


def row(shown: str, name: str, what: str) -> str:
    """The one row of a preview's table that says so of the image, with single spaces."""
    rows = [" ".join(line.split()) for line in shown.splitlines()]
    (found,) = {line for line in rows if line.startswith("~ ") and f" {name} {what} " in line}
    return found


def listed(held: HeldProject, name: str) -> dict[str, Any]:
    """What the releases YAML says of an image."""
    file = held.project.folder / "releases" / "sandbox" / "alpine.yaml"
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    found: dict[str, Any] = tree[name.split("-")[1]]["one"][name]
    return found


def earlier(held: HeldProject, name: str, days: int) -> None:
    """Move the days in an image's state back, as if its stages had been reached that much earlier."""
    exported = json.loads(held.pulumi("stack", "export"))
    for resource in exported["deployment"]["resources"]:
        if resource["urn"].endswith(f"::{name}"):
            spec = json.loads(resource["inputs"]["stdin"])
            told = {key: day for key, day in spec["withdrawal"].items() if day and key not in ("why", "shared")}
            moved = {key: str(date.fromisoformat(day) - timedelta(days)) for key, day in told.items()}
            spec["withdrawal"] |= moved
            text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
            resource["inputs"]["stdin"] = resource["outputs"]["stdin"] = text
    file = held.project.folder / "state.json"
    file.write_text(json.dumps(exported), encoding="utf-8")
    held.pulumi("stack", "import", "--file", str(file))


def test_the_stacks_list_shares_images_and_changes_nothing_else(held: HeldProject, omis: dict[str, str]) -> None:
    assert [may_launch(held, omi) for omi in omis.values()] == [False, False]
    friend, before = held.sandbox.account_id("second"), len(held.sandbox.control("GET", "calls"))
    held.pulumi("config", "set", "--path", "access[0]", friend)
    shown = held.pulumi("preview")
    reason = f"{friend} may launch it: `access` in the stack's config"
    assert row(shown, NEW, "share") == f"~ one {NEW} share {reason}"
    assert "2 to update" in shown
    assert held.plan()[NEW]["changes"] == [{"change": "share", "reason": reason}]
    assert "2 updated" in up(held)
    calls = [call["action"] for call in held.sandbox.control("GET", "calls")[before:]]
    assert not {"CreateImage", "CreateSnapshot", "CreateVms", "DeleteImage"} & set(calls)
    assert [may_launch(held, omi) for omi in omis.values()] == [True, True]
    assert held.plan()[NEW]["changes"] == []


def test_a_revoked_image_is_private_at_once_and_taken_back_the_same_way(
    held: HeldProject, omis: dict[str, str]
) -> None:
    held.pulumi("config", "set", "--path", f'revoked["{NEW}"]', "its sshd takes any key")
    assert (
        row(held.pulumi("preview"), NEW, "make private") == f"~ one {NEW} make private revoked: its sshd takes any key"
    )
    up(held)
    assert [may_launch(held, omis[name]) for name in (OLD, NEW)] == [True, False]
    assert held.project.outputs()["latest"]["one"]["name"] == OLD
    assert listed(held, NEW)["withdrawal"]["eu-west-2"]["reason"] == "its sshd takes any key"
    image = held.image(omis[NEW])
    assert image is not None
    assert "(revoked: its sshd takes any key)" in image["Description"]
    assert held.plan()[NEW]["changes"] == []
    held.pulumi("config", "rm", "--path", f'revoked["{NEW}"]')
    up(held)
    assert [may_launch(held, omi) for omi in omis.values()] == [True, True]
    assert held.project.outputs()["latest"]["one"]["name"] == NEW


def test_outputs_are_what_is_promised_and_tell_access(held: HeldProject, omis: dict[str, str]) -> None:
    outputs = held.project.outputs()
    assert Outputs.model_validate(outputs).model_dump(mode="json") == outputs
    assert outputs["latest"]["one"]["access"] == {"public": False, "accounts": [held.sandbox.account_id("second")]}
    assert outputs["images"]["one"]["3.23.9"][OLD]["stage"] == "deprecated"


def test_what_other_hands_change_is_put_back(held: HeldProject, omis: dict[str, str]) -> None:
    held.oapi.call("UpdateImage", ImageId=omis[NEW], PermissionsToLaunch=PUBLIC)
    image = held.image(omis[NEW])
    assert image is not None
    disk = image["BlockDeviceMappings"][0]["Bsu"]["SnapshotId"]
    held.oapi.call("UpdateSnapshot", SnapshotId=disk, PermissionsToCreateVolume=PUBLIC)
    shown = held.pulumi("preview")
    assert "were changed outside and are put back (+everyone)" in shown
    assert f"others may use {disk}, which is put back: snapshots stay private" in shown
    assert changes(held, NEW) == ["put back", "put back"]
    up(held)
    assert changes(held, NEW) == []
    with pytest.raises(Refused):
        held.sandbox.oapi("second").call("CreateVolume", SnapshotId=disk, SubregionName="eu-west-2a")


def test_a_refused_share_is_one_line_and_done_by_the_next_update(held: HeldProject, omis: dict[str, str]) -> None:
    held.project.configure("access", "public")
    fault = {"action": "UpdateImage", "status": 403, "code": "OperationNotPermitted", "times": 4}
    held.sandbox.control("POST", "faults", {**fault, "details": "no public images here"})
    done = held.project.up()
    assert done.code != 0
    # the engine also shows the line as a status, where it cuts it
    told = [
        line
        for line in done.text.splitlines()
        if "could not be shared with everyone" in line and line.endswith("see `access`")
    ]
    assert told, done.text
    assert all("OperationNotPermitted no public images here" in line for line in told), told
    assert "Traceback" not in done.text
    held.sandbox.control("PUT", "faults", [])
    up(held)
    assert may_launch(held, omis[NEW], "second")
    assert changes(held, NEW) == []


@pytest.mark.parametrize("wrong", ["publik", ["12"], {"public": True}])
def test_an_access_of_another_form_is_one_line(held: HeldProject, omis: dict[str, str], wrong: Any) -> None:
    held.project.configure("access", wrong)
    done = held.project.run("python3", "-m", "omi", "plan", "-s", "e2e")
    held.project.configure("access", "public")
    assert done.code == 2
    assert len(done.text.strip().splitlines()) == 1
    assert "access: " in done.text
    assert "allowed: private, public, or a list of account ids: 12 digits each" in done.text


def test_the_own_account_in_the_list_is_a_warning(held: HeldProject, omis: dict[str, str]) -> None:
    mine, friend = held.sandbox.account_id("main"), held.sandbox.account_id("second")
    held.project.configure("access", [mine, friend])
    shown = held.pulumi("preview")
    held.project.configure("access", "public")
    assert f"warning: `access` in the stack's config names {mine}, which is this account itself" in shown


def test_a_superseded_shared_image_is_deprecated_with_its_days(held: HeldProject, omis: dict[str, str]) -> None:
    held.project.configure("retention", {"release": {"keep": 1}})
    today = datetime.now(UTC).date()
    private, removal = today + timedelta(30), today + timedelta(60)
    shown = row(held.pulumi("preview"), OLD, "announce")
    assert f"becomes private on {private}, is deregistered from {removal} on" in shown
    up(held)
    assert may_launch(held, omis[OLD])
    seen = held.sandbox.oapi("second").call("ReadImages", Filters={"ImageIds": [omis[OLD]]})["Images"][0]
    assert seen["Description"].endswith(f"; deprecated since {today} (superseded), to be removed on {removal}")
    told = {"removal": str(removal), "since": str(today), "stage": "deprecated", "why": "superseded"}
    assert listed(held, OLD)["withdrawal"] == {"eu-west-2": told}
    assert "withdrawal" not in listed(held, NEW)
    assert changes(held, OLD) == []


def test_after_its_days_it_is_private_and_nobody_else_launches_it(held: HeldProject, omis: dict[str, str]) -> None:
    earlier(held, OLD, 30)
    shown = held.pulumi("preview")
    assert "private since" in row(shown, OLD, "make private")
    assert "1 to update" in shown
    up(held)
    assert (may_launch(held, omis[OLD]), may_launch(held, omis[OLD], "main")) == (False, True)
    assert may_launch(held, omis[NEW])
    told = held.project.outputs()["images"]["one"]["3.23.9"][OLD]
    assert (told["stage"], told["access"]) == ("private", {"public": False, "accounts": []})
    assert changes(held, OLD) == []


def test_loosened_retention_brings_it_back(held: HeldProject, omis: dict[str, str]) -> None:
    held.project.configure("retention", {"release": {"keep": 2}})
    assert changes(held, OLD) == ["restore"]
    up(held)
    assert may_launch(held, omis[OLD])
    held.project.configure("retention", {"release": {"keep": 1}})
    up(held)
    earlier(held, OLD, 30)
    up(held)
    assert not may_launch(held, omis[OLD])


def test_after_the_last_of_its_days_it_is_deregistered(held: HeldProject, omis: dict[str, str]) -> None:
    earlier(held, OLD, 30)
    step = held.plan()[OLD]
    assert (step["action"], step["level"]) == ("prune", "release")
    assert "private since" in step["reason"]
    up(held)
    assert held.image(omis[OLD]) is None
    assert set(held.plan()) == {NEW}
    assert may_launch(held, omis[NEW])
