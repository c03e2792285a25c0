"""What ends with a VM, even where the cloud ignores a filter and lists other things, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from omi.outscale.client import Cloud
from omi.outscale.entry import delete_key, find_groups
from omi.outscale.vms import end_vm, read_vm, wait_running
from omi.state.image import CloudAccess
from omi.state.owner import going_mark
from omi.support.errors import CloudError
from tests.omi.specs import OWNER

OURS = [{"Key": "stack-id", "Value": OWNER.stack_id}]
VMS: list[dict[str, Any]] = [
    {"VmId": "i-other", "State": "running", "BlockDeviceMappings": [{"Bsu": {"VolumeId": "vol-other"}}]},
    {
        "VmId": "i-ours",
        "State": "running",
        "BlockDeviceMappings": [{"Bsu": {"VolumeId": each}} for each in ("vol-ours", "vol-plain", "vol-theirs")],
    },
]
VOLUMES: list[dict[str, Any]] = [
    {"VolumeId": "vol-other", "State": "in-use", "Tags": OURS},
    {"VolumeId": "vol-ours", "State": "in-use", "Tags": OURS},
    {"VolumeId": "vol-plain", "State": "in-use"},
    {"VolumeId": "vol-theirs", "State": "in-use", "Tags": [{"Key": "stack-id", "Value": "another"}]},
]
ENTRIES: dict[str, list[dict[str, Any]]] = {
    "ReadVms": VMS,
    "ReadVolumes": VOLUMES,
    "ReadKeypairs": [{"KeypairName": "ours-2"}, {"KeypairName": "another"}],
    "ReadSecurityGroups": [{"SecurityGroupName": "ours-2", "SecurityGroupId": "sg-1", "InboundRules": []}],
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What was called of a cloud that lists everything, whatever it is asked for; what it ends is ended."""
    made: list[tuple[str, Any]] = []
    ended: set[str] = set()

    def read_all(_: Cloud, action: str, *__: Any) -> Iterator[dict[str, Any]]:
        for each in ENTRIES[action]:
            yield {**each, "State": "terminated"} if each.get("VmId") in ended else each

    def call(_: Cloud, action: str, parameters: dict[str, Any]) -> dict[str, Any]:
        made.append((action, parameters))
        ended.update(parameters.get("VmIds", ()))
        return {}

    monkeypatch.setattr(Cloud, "read_all", read_all)
    monkeypatch.setattr(Cloud, "call", call)
    return made


def test_with_a_vm_go_its_own_volumes_and_no_others(access: CloudAccess, calls: list[tuple[str, Any]]) -> None:
    end_vm(Cloud.connect(access), "i-ours", OWNER.stack_id)
    going = [{"Key": "going", "Value": going_mark(OWNER.stack_id, "vol-ours")}]
    assert calls == [
        ("CreateTags", {"ResourceIds": ["vol-ours"], "Tags": going}),
        ("DeleteVms", {"VmIds": ["i-ours"]}),
        ("DeleteVolume", {"VolumeId": "vol-ours"}),
    ]


def test_of_a_vm_that_is_gone_no_volume_goes(access: CloudAccess, calls: list[tuple[str, Any]]) -> None:
    end_vm(Cloud.connect(access), "i-gone", OWNER.stack_id)
    assert calls == [("DeleteVms", {"VmIds": ["i-gone"]})]


def test_a_vm_a_keypair_and_a_group_are_those_asked_for_and_no_near_miss(
    access: CloudAccess, calls: list[tuple[str, Any]]
) -> None:
    cloud = Cloud.connect(access)
    found = read_vm(cloud, "i-ours")
    assert found is not None
    assert found.vm_id == "i-ours"
    assert read_vm(cloud, "i-our") is None
    assert not delete_key(cloud, "ours")
    assert find_groups(cloud, "ours") == []
    assert calls == []
    delete_key(cloud, "ours-2")
    assert calls == [("DeleteKeypair", {"KeypairName": "ours-2"})]


@pytest.mark.parametrize("state", ["stopping", "stopped", "shutting-down", "terminated", "quarantine"])
def test_a_vm_that_ends_is_not_waited_for(
    access: CloudAccess, calls: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setitem(ENTRIES, "ReadVms", [{**VMS[1], "State": state, "PublicIp": "192.0.2.1"}])
    with pytest.raises(CloudError, match=f"i-ours is {state} instead of running"):
        wait_running(Cloud.connect(access), "i-ours", 5)
    assert calls == []
