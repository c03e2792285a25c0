"""A call that got no good answer is made again so that nothing is made twice, lost, or taken for what it isn't."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omi.outscale.client import Cloud
from omi.outscale.entry import find_groups, open_group, temporary_key
from omi.outscale.images import create_omi, delete_snapshot, put_tags, read_snapshots
from omi.outscale.shapes import CloudSnapshot, Omi, listed
from omi.outscale.vms import Launch, launch_vm, terminate_vm
from omi.state.image import CloudAccess, Limits
from omi.support.errors import CloudError
from tests.sandbox.client import Oapi, Sandbox, empty_volume, register, snapshot, source_image

BEFORE: tuple[dict[str, Any], ...] = ({"status": 503}, {"cut": True})
LOST: tuple[dict[str, Any], ...] = (
    {"status": 500, "after": True},
    {"cut": True, "after": True},
    {"body": "<html>", "after": True},
)
EITHER = pytest.mark.parametrize("fault", [*BEFORE, *LOST], ids=str)


@pytest.fixture
def cloud(access: CloudAccess) -> Cloud:
    return Cloud.connect(access.model_copy(update={"limits": Limits(in_use=5)}))


def resources(sandbox: Sandbox, kind: str) -> list[str]:
    return [each["id"] for each in sandbox.control("GET", "inventory")["main"]["resources"][kind]]


@EITHER
def test_one_vm_is_launched(
    sandbox: Sandbox, cloud: Cloud, client: Oapi, tmp_path: Path, fault: dict[str, Any]
) -> None:
    omi = source_image(client)
    with temporary_key(cloud, "k", tmp_path):
        group = open_group(cloud, "g", 22, "127.0.0.1/32")
        sandbox.control("POST", "faults", {"action": "CreateVms", **fault})
        vm = launch_vm(cloud, Launch(omi, "tinav5.c1r1p2", "k", group, "/dev/sda1", 20, {"a": "b"}))
        assert resources(sandbox, "vm") == [vm]
        terminate_vm(cloud, vm)


@EITHER
def test_a_group_is_made_once_with_its_rule(
    sandbox: Sandbox, cloud: Cloud, client: Oapi, fault: dict[str, Any]
) -> None:
    sandbox.control(
        "PUT", "faults", [{"action": action, **fault} for action in ("CreateSecurityGroup", "CreateSecurityGroupRule")]
    )
    group = open_group(cloud, "g", 2222, "127.0.0.1/32")
    assert find_groups(cloud, "g") == [group]
    (found,) = client.call("ReadSecurityGroups", Filters={"SecurityGroupIds": [group]})["SecurityGroups"]
    assert [(rule["FromPortRange"], rule["IpRanges"]) for rule in found["InboundRules"]] == [(2222, ["127.0.0.1/32"])]


@EITHER
def test_a_keypair_is_of_the_key_that_is_in_the_file(
    sandbox: Sandbox, cloud: Cloud, tmp_path: Path, fault: dict[str, Any]
) -> None:
    sandbox.control("POST", "faults", {"action": "CreateKeypair", **fault})
    with temporary_key(cloud, "k", tmp_path):
        assert len(resources(sandbox, "keypair")) == 1
    assert resources(sandbox, "keypair") == []


def test_a_keypair_of_the_name_that_is_there_already_is_no_try_of_ours(
    sandbox: Sandbox, cloud: Cloud, client: Oapi
) -> None:
    client.call("CreateKeypair", KeypairName="k")
    with pytest.raises(CloudError, match="9011"):
        cloud.create("CreateKeypair", {"KeypairName": "k"}, lambda _: True, lambda: pytest.fail("it was refused"))


@EITHER
def test_an_omi_is_registered_once(sandbox: Sandbox, cloud: Cloud, client: Oapi, fault: dict[str, Any]) -> None:
    bsu = {"SnapshotId": snapshot(client, empty_volume(client))}
    made_of = {"RootDeviceName": "/dev/sda1", "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Bsu": bsu}]}
    sandbox.control("POST", "faults", {"action": "CreateImage", **fault})
    omi = create_omi(cloud, {**made_of, "Architecture": "x86_64"}, "alpine", "mine", ["uefi"])
    assert resources(sandbox, "image") == [omi]


@EITHER
def test_an_omi_of_the_name_that_somebody_else_registered_is_no_try_of_ours(
    sandbox: Sandbox, cloud: Cloud, client: Oapi, fault: dict[str, Any]
) -> None:
    bsu = {"SnapshotId": snapshot(client, empty_volume(client))}
    made_of = {"RootDeviceName": "/dev/sda1", "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Bsu": bsu}]}
    theirs = register(client, "alpine", bsu["SnapshotId"], Description="theirs")
    sandbox.control("POST", "faults", {"action": "CreateImage", **fault, "after": False})
    with pytest.raises(CloudError):
        create_omi(cloud, {**made_of, "Architecture": "x86_64"}, "alpine", "mine", ["uefi"])
    assert resources(sandbox, "image") == [theirs]


@EITHER
def test_what_does_no_more_the_second_time_is_done_again(
    sandbox: Sandbox, cloud: Cloud, client: Oapi, fault: dict[str, Any]
) -> None:
    made = snapshot(client, empty_volume(client))
    sandbox.control("PUT", "faults", [{"action": action, **fault} for action in ("CreateTags", "DeleteSnapshot")])
    put_tags(cloud, [made], {"a": "b"})
    assert [each.tags for each in read_snapshots(cloud, [made])] == [{"a": "b"}]
    delete_snapshot(cloud, made)
    assert [each for each in read_snapshots(cloud, [made]) if each.state != "deleting"] == []


def test_a_filter_without_values_finds_nothing_rather_than_everything(cloud: Cloud, client: Oapi) -> None:
    snapshot(client, empty_volume(client))
    assert list(listed(cloud, CloudSnapshot, SnapshotIds=[])) == []
    assert read_snapshots(cloud, []) == []


def test_a_list_that_breaks_off_is_no_whole_list(
    sandbox: Sandbox, cloud: Cloud, client: Oapi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omi.outscale.client._PAGE", 2)
    disk = snapshot(client, empty_volume(client))
    for number in range(5):
        register(client, f"image-{number}", disk)
    own = [sandbox.account_id("main")]
    assert len(list(listed(cloud, Omi, AccountIds=own))) == 5
    sandbox.control("PUT", "faults", [{"action": "ReadImages", "body": "{}", "skip": 1, "times": -1}])
    with pytest.raises(CloudError, match="its answer has no Images"):
        list(listed(cloud, Omi, AccountIds=own))


def test_a_list_whose_pages_go_in_a_circle_is_refused(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def circle() -> Iterator[str]:
        while True:
            yield from ("YQ==", "Yg==")

    tokens = circle()
    monkeypatch.setattr(Cloud, "call", lambda *_: {"Images": [], "NextPageToken": next(tokens)})
    with pytest.raises(CloudError, match=re.escape("ReadImages at") + ".*its list has no end"):
        list(listed(cloud, Omi))
