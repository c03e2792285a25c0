"""The calls that a build by Packer makes, in its order and with its parameters, leave what they should."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.sandbox.client import Oapi, Refused, Sandbox, source_image, state_of, wait_for, wait_state

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8x0Vb6o5LQh3uPGn1Yv0qZ8vNw3m1Zr3kO8bq5m2Xh build"


def test_a_build_from_name_check_to_clean_account(sandbox: Sandbox, oapi: Oapi) -> None:
    account = sandbox.account_id()
    before = sandbox.control("GET", "inventory")
    assert oapi.call("ReadVms", DryRun=True) == {}
    name = "alpine-3.23.6-x86_64-r0"
    assert oapi.call("ReadImages", Filters={"ImageNames": [name], "AccountIds": [account]})["Images"] == []
    source = source_image(oapi)
    keypair = oapi.call("CreateKeypair", KeypairName="packer_1")["Keypair"]
    assert keypair["PrivateKey"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    group = oapi.call("CreateSecurityGroup", Description="Temporary", SecurityGroupName="packer_osc_1")
    group_id = group["SecurityGroup"]["SecurityGroupId"]
    rule = {"FromPortRange": 2222, "ToPortRange": 2222, "IpProtocol": "tcp", "IpRanges": ["127.0.0.1/32"]}
    oapi.call("CreateSecurityGroupRule", SecurityGroupId=group_id, Flow="Inbound", Rules=[rule])
    vm_id = _launch_as_packer(oapi, source, group_id)
    vm = oapi.call("ReadVms", Filters={"VmIds": [vm_id]})["Vms"][0]
    root, extra = vm["BlockDeviceMappings"]
    assert (root["DeviceName"], extra["DeviceName"]) == ("/dev/sda1", "/dev/xvdf")
    assert vm["PublicIp"].startswith("127.")
    assert vm["VmInitiatedShutdownBehavior"] == "stop"
    oapi.call("CreateTags", ResourceIds=[vm_id], Tags=[{"Key": "build-id", "Value": "b-1"}])
    oapi.call("CreateTags", ResourceIds=[root["Bsu"]["VolumeId"]], Tags=[{"Key": "build-id", "Value": "b-1"}])
    oapi.call("StopVms", VmIds=[vm_id])
    wait_state(oapi, vm_id, "stopped")
    snapshot = oapi.call("CreateSnapshot", Description="Packer", VolumeId=extra["Bsu"]["VolumeId"])["Snapshot"]
    assert (snapshot["State"], snapshot["Progress"]) == ("in-queue", 0)
    wait_state(oapi, snapshot["SnapshotId"], "completed")
    image_id = _register_as_packer(oapi, name, snapshot["SnapshotId"])
    tagged = [image_id, snapshot["SnapshotId"]]
    oapi.call("CreateTags", ResourceIds=tagged, Tags=[{"Key": "build", "Value": "alpine"}])
    _clean_as_packer(oapi, vm_id, group_id)
    after = sandbox.control("GET", "inventory")["main"]["resources"]
    assert [each["name"] for each in after.pop("image")] == [name]
    assert [each["id"] for each in after.pop("snapshot")] == [snapshot["SnapshotId"]]
    assert after == {kind: each for kind, each in before["main"]["resources"].items() if kind in after}
    image = oapi.call("ReadImages", Filters={"ImageIds": [image_id]})["Images"][0]
    assert image["RootDeviceType"] == "bsu"
    assert image["BootModes"] == ["legacy"]
    assert image["BlockDeviceMappings"][0]["Bsu"] == {
        "DeleteOnVmDeletion": True,
        "SnapshotId": snapshot["SnapshotId"],
        "VolumeSize": 10,
        "VolumeType": "standard",
    }


def _launch_as_packer(oapi: Oapi, source: str, group_id: str) -> str:
    device = {"DeleteOnVmDeletion": True, "Iops": 3000, "VolumeSize": 10, "VolumeType": "io1"}
    vm = oapi.call(
        "CreateVms",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvdf", "Bsu": device}],
        BsuOptimized=False,
        ImageId=source,
        KeypairName="packer_1",
        MaxVmsCount=1,
        MinVmsCount=1,
        Placement={},
        SecurityGroupIds=[group_id],
        SubnetId="",
        UserData="",
        VmInitiatedShutdownBehavior="stop",
        VmType="tinav5.c2r4p1",
    )["Vms"][0]
    assert vm["State"] == "pending"
    assert len(vm["BlockDeviceMappings"]) == 2
    wait_state(oapi, vm["VmId"], "running")
    return str(vm["VmId"])


def _register_as_packer(oapi: Oapi, name: str, snapshot_id: str) -> str:
    bsu = {"DeleteOnVmDeletion": True, "SnapshotId": snapshot_id, "VolumeSize": 10, "VolumeType": ""}
    image = oapi.call(
        "CreateImage",
        ImageName=name,
        Architecture="x86_64",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Bsu": bsu}],
        Description="Alpine",
    )["Image"]
    assert image["State"] == "pending"
    wait_state(oapi, image["ImageId"], "available")
    return str(image["ImageId"])


def _clean_as_packer(oapi: Oapi, vm_id: str, group_id: str) -> None:
    changed = oapi.call("DeleteVms", VmIds=[vm_id])["Vms"][0]
    assert changed == {"CurrentState": "shutting-down", "PreviousState": "stopped", "VmId": vm_id}
    wait_state(oapi, vm_id, "terminated")
    assert oapi.call("ReadVolumes", Filters={"LinkVolumeVmIds": [vm_id]})["Volumes"] == []
    wait_for(lambda: _try(oapi, "DeleteSecurityGroup", SecurityGroupId=group_id), lambda done: done == "")
    oapi.call("DeleteKeypair", KeypairName="packer_1")
    assert state_of(oapi, vm_id) == "terminated"


def _try(oapi: Oapi, action: str, **parameters: Any) -> str:
    try:
        oapi.call(action, **parameters)
    except Refused as refused:
        return str(refused.code)
    return ""


def test_the_older_plugins_search_meets_the_foreign_omi_of_our_name(oapi: Oapi) -> None:
    found = oapi.call("ReadImages", Filters={"ImageNames": ["alpine-3.23.6-x86_64-r0"]})["Images"]
    assert [each["PermissionsToLaunch"]["GlobalPermission"] for each in found] == [True]
    assert "AccountAlias" not in found[0]


def test_null_and_empty_filters_count_as_absent(oapi: Oapi) -> None:
    filters = {"AccountAliases": ["Outscale"], "AccountIds": None, "ImageIds": []}
    names = [each["ImageName"] for each in oapi.call("ReadImages", Filters=filters)["Images"]]
    assert names == ["Debian-12-2026-04-16", "Debian-12-2026-10-13"]


def test_the_newer_foreign_omi_of_the_official_name_is_not_among_the_officials(oapi: Oapi) -> None:
    images = oapi.call("ReadImages", Filters={"ImageNames": ["Debian-12-2026-10-13"]})["Images"]
    newest = max(images, key=lambda each: each["CreationDate"])
    assert newest.get("AccountAlias") is None
    assert source_image(oapi) != newest["ImageId"]


def test_an_own_public_key_is_imported_base64_or_plain(oapi: Oapi) -> None:
    coded = base64.b64encode(KEY.encode()).decode()
    for name, text in (("one", coded), ("two", KEY)):
        keypair = oapi.call("CreateKeypair", KeypairName=name, PublicKey=text)["Keypair"]
        assert "PrivateKey" not in keypair
        assert keypair["KeypairType"] == "ssh-ed25519"
    with pytest.raises(Refused) as refused:
        oapi.call("CreateKeypair", KeypairName="three", PublicKey="no key")
    assert (refused.value.status, refused.value.code) == (400, "4032")
