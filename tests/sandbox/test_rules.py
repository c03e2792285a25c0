"""OUTSCALE's rules and error codes, through OAPI."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.sandbox.client import (
    Oapi,
    Refused,
    Sandbox,
    empty_volume,
    launch,
    register,
    root_volume,
    settings_for,
    snapshot,
    source_image,
    state_of,
    wait_state,
)


def refused(oapi: Oapi, action: str, **parameters: Any) -> tuple[int, str]:
    """HTTP status and code of a call that must be refused."""
    with pytest.raises(Refused) as caught:
        oapi.call(action, **parameters)
    error = caught.value.body["Errors"][0]
    assert set(error) == {"Code", "Details", "Type"}
    return caught.value.status, caught.value.code


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oapi]:
    """An account that refused calls leave as it was."""
    running = Sandbox(settings_for(tmp_path_factory.mktemp("shared") / "home"))
    yield running.oapi()
    running.close()


@pytest.mark.parametrize(
    ("action", "parameters", "answer"),
    [
        ("ReadVms", {"ResultsPerPage": 0}, (400, "4047")),
        ("CreateVolume", {"SubregionName": "eu-west-2a"}, (400, "7000")),
        ("CreateVolume", {"SubregionName": "us-east-2a", "Size": 1}, (400, "5009")),
        ("CreateVolume", {"SubregionName": "eu-west-2a", "Size": 14902}, (400, "4045")),
        ("CreateVolume", {"SubregionName": "eu-west-2a", "Size": 1, "VolumeType": "io1"}, (400, "7000")),
        ("CreateVolume", {"SubregionName": "eu-west-2a", "Size": 9, "VolumeType": "io1", "Iops": 3000}, (400, "4047")),
        ("CreateVolume", {"SubregionName": "eu-west-2a", "Size": 99, "VolumeType": "io1", "Iops": -1}, (400, "4029")),
        ("CreateVolume", {"SubregionName": "eu-west-2a", "Size": 1, "Iops": 100}, (400, "4045")),
        ("NoSuchCall", {}, (404, "12000")),
    ],
)
def test_refusals(shared: Oapi, action: str, parameters: Any, answer: tuple[int, str]) -> None:
    assert refused(shared, action, **parameters) == answer


@pytest.mark.parametrize("name", ["ab", "x" * 129, "bad:name", "bad[name]", ""])
def test_image_names_outside_the_rule_are_refused(oapi: Oapi, name: str) -> None:
    mine = snapshot(oapi, empty_volume(oapi))
    device = {"DeviceName": "/dev/sda1", "Bsu": {"SnapshotId": mine}}
    answer = refused(oapi, "CreateImage", ImageName=name, RootDeviceName="/dev/sda1", BlockDeviceMappings=[device])
    assert answer == (400, "4026" if name else "7000")


def test_image_names_are_unique_in_an_account_and_free_in_another(sandbox: Sandbox, oapi: Oapi) -> None:
    mine = snapshot(oapi, empty_volume(oapi))
    first = register(oapi, "same", mine)
    device = {"DeviceName": "/dev/sda1", "Bsu": {"SnapshotId": mine}}
    again = {"ImageName": "same", "RootDeviceName": "/dev/sda1", "BlockDeviceMappings": [device]}
    assert refused(oapi, "CreateImage", **again) == (409, "9015")
    second = sandbox.oapi("second")
    register(second, "same", snapshot(second, empty_volume(second)))
    oapi.call("DeleteImage", ImageId=first)
    register(oapi, "same", mine)


def test_mappings_are_checked(oapi: Oapi) -> None:
    mine = snapshot(oapi, empty_volume(oapi, 2))

    def create(*devices: Any, root: str = "/dev/sda1") -> tuple[int, str]:
        return refused(oapi, "CreateImage", ImageName="xyz", RootDeviceName=root, BlockDeviceMappings=list(devices))

    good = {"DeviceName": "/dev/sda1", "Bsu": {"SnapshotId": mine}}
    assert create() == (400, "7000")
    assert create({"DeviceName": "/dev/sda1", "Bsu": {"VolumeSize": 1}}) == (400, "7003")
    assert create(good, good) == (400, "4011")
    assert create({"DeviceName": "/dev/sdb", "Bsu": {"SnapshotId": mine}}) == (400, "4011")
    assert create(good, {"DeviceName": "/dev/xyz", "Bsu": {"SnapshotId": mine}}) == (400, "4019")
    assert create({"DeviceName": "/dev/sda1", "Bsu": {"SnapshotId": mine, "VolumeSize": 1}}) == (400, "4125")
    assert create({"DeviceName": "/dev/sda1", "Bsu": {"SnapshotId": "snap-00000000"}}) == (400, "5054")


def test_deregistering_leaves_the_snapshot_which_is_kept_while_an_image_uses_it(oapi: Oapi) -> None:
    mine = snapshot(oapi, empty_volume(oapi))
    image = register(oapi, "mine", mine)
    assert refused(oapi, "DeleteSnapshot", SnapshotId=mine)[0] == 409
    oapi.call("DeleteImage", ImageId=image)
    assert state_of(oapi, mine) == "completed"
    oapi.call("DeleteSnapshot", SnapshotId=mine)
    wait_state(oapi, mine, "gone")
    assert refused(oapi, "DeleteSnapshot", SnapshotId=mine) == (400, "5054")


def test_a_volume_that_is_being_made_gives_no_snapshot(sandbox: Sandbox, oapi: Oapi) -> None:
    sandbox.control("POST", "faults", {"resource": "volume", "state": "creating"})
    volume = oapi.call("CreateVolume", Size=1, SubregionName="eu-west-2a")["Volume"]["VolumeId"]
    assert refused(oapi, "CreateSnapshot", VolumeId=volume) == (409, "6007")


def test_launch_rights_decide_who_sees_and_launches(sandbox: Sandbox, oapi: Oapi) -> None:
    second, account = sandbox.oapi("second"), sandbox.account_id("second")
    image = register(oapi, "mine", snapshot(oapi, empty_volume(oapi)))
    assert state_of(second, image) == "gone"
    assert refused(second, "CreateVms", ImageId=image) == (400, "5023")
    allow = {"Additions": {"AccountIds": [account]}, "Removals": {}}
    oapi.call("UpdateImage", ImageId=image, PermissionsToLaunch=allow)
    assert state_of(second, image) == "available"
    vm = second.call("CreateVms", ImageId=image)["Vms"][0]["VmId"]
    wait_state(second, vm, "running")
    assert refused(second, "UpdateImage", ImageId=image, Description="mine now") == (400, "5023")
    assert refused(second, "DeleteImage", ImageId=image) == (401, "5"), "seen, but another's"
    oapi.call("UpdateImage", ImageId=image, PermissionsToLaunch={"Removals": {"AccountIds": [account]}})
    assert state_of(second, image) == "gone"
    assert state_of(second, vm) == "running"
    oapi.call("UpdateImage", ImageId=image, PermissionsToLaunch={"Additions": {"GlobalPermission": True}})
    assert image in {each["ImageId"] for each in second.call("ReadImages")["Images"]}
    assert state_of(sandbox.oapi("main-us"), image) == "gone", "rights end at the Region"


def test_one_direction_of_rights_at_a_time(oapi: Oapi) -> None:
    image = register(oapi, "mine", snapshot(oapi, empty_volume(oapi)))
    both = {"Additions": {"AccountIds": ["123456789012"]}, "Removals": {"GlobalPermission": True}}
    assert refused(oapi, "UpdateImage", ImageId=image, PermissionsToLaunch=both) == (400, "3002")
    wrong = {"Additions": {"AccountIds": ["someone"]}}
    assert refused(oapi, "UpdateImage", ImageId=image, PermissionsToLaunch=wrong) == (400, "4105")
    assert refused(oapi, "UpdateImage", ImageId=image) == (400, "7000")
    assert refused(oapi, "UpdateImage", ImageId=image, PermissionsToLaunch={"Additions": {}}) == (400, "7000")


def test_what_is_anothers_is_neither_seen_nor_changed(sandbox: Sandbox, oapi: Oapi) -> None:
    second = sandbox.oapi("second")
    vm = launch(oapi)
    volume = root_volume(oapi, vm)
    oapi.call("CreateKeypair", KeypairName="mine")
    for action, plural in (("ReadVms", "Vms"), ("ReadVolumes", "Volumes"), ("ReadKeypairs", "Keypairs")):
        assert second.call(action)[plural] == []
    assert refused(second, "DeleteVms", VmIds=[vm]) == (400, "5063")
    assert refused(second, "CreateSnapshot", VolumeId=volume) == (400, "5064")
    assert refused(second, "CreateTags", ResourceIds=[vm], Tags=[{"Key": "a", "Value": "b"}]) == (400, "5063")
    assert refused(second, "DeleteTags", ResourceIds=[volume], Tags=[{"Key": "a", "Value": "b"}]) == (400, "5044")
    assert refused(second, "DeleteKeypair", KeypairName="mine") == (400, "5071")
    assert state_of(oapi, vm) == "running"


def test_a_security_group_is_kept_while_a_vm_holds_it_and_a_moment_longer(sandbox: Sandbox, oapi: Oapi) -> None:
    cloud = sandbox.server.cloud
    cloud.timing = replace(cloud.timing, security_group_hold=3600.0)
    group = oapi.call("CreateSecurityGroup", SecurityGroupName="mine", Description="x")["SecurityGroup"]
    assert refused(oapi, "CreateSecurityGroup", SecurityGroupName="mine", Description="x") == (409, "9008")
    vm = launch(oapi, SecurityGroupIds=[group["SecurityGroupId"]])
    assert refused(oapi, "DeleteSecurityGroup", SecurityGroupId=group["SecurityGroupId"]) == (409, "9085")
    oapi.call("DeleteVms", VmIds=[vm])
    assert refused(oapi, "DeleteSecurityGroup", SecurityGroupId=group["SecurityGroupId"]) == (409, "9085")
    wait_state(oapi, vm, "terminated")
    assert refused(oapi, "DeleteSecurityGroup", SecurityGroupId=group["SecurityGroupId"]) == (409, "9085")
    cloud.timing = replace(cloud.timing, security_group_hold=0.0)
    oapi.call("DeleteSecurityGroup", SecurityGroupId=group["SecurityGroupId"])


def test_rules_are_added_once_and_removed(oapi: Oapi) -> None:
    group = oapi.call("CreateSecurityGroup", SecurityGroupName="mine", Description="x")["SecurityGroup"]
    rule = {"FromPortRange": 22, "ToPortRange": 22, "IpProtocol": "tcp", "IpRange": "0.0.0.0/0"}
    target = {"SecurityGroupId": group["SecurityGroupId"], "Flow": "Inbound"}
    changed = oapi.call("CreateSecurityGroupRule", **target, **rule)["SecurityGroup"]["InboundRules"]
    assert changed[0]["IpRanges"] == ["0.0.0.0/0"]
    assert refused(oapi, "CreateSecurityGroupRule", **target, **rule) == (409, "9017")
    assert refused(oapi, "CreateSecurityGroupRule", **target, **{**rule, "IpRange": "x"}) == (400, "4047")
    assert refused(oapi, "CreateSecurityGroupRule", **target, **{**rule, "IpProtocol": "x"}) == (400, "4045")
    assert refused(oapi, "CreateSecurityGroupRule", **{**target, "Flow": "Outbound"}, **rule) == (400, "8004")
    assert refused(oapi, "CreateSecurityGroupRule", **target, **{**rule, "ToPortRange": 21}) == (400, "4047")
    oapi.call("DeleteSecurityGroupRule", **target, **rule)
    assert refused(oapi, "DeleteSecurityGroupRule", **target, **rule) == (400, "5008")


def test_user_data_is_base64_of_at_most_500_kib(oapi: Oapi) -> None:
    image = source_image(oapi)
    too_long = base64.b64encode(b"x" * 400_000).decode()
    assert refused(oapi, "CreateVms", ImageId=image, UserData=too_long) == (400, "4106")
    assert refused(oapi, "CreateVms", ImageId=image, UserData="not base64!") == (400, "4047")


def test_vm_types_counts_and_boot_modes_are_checked(oapi: Oapi) -> None:
    image = source_image(oapi)
    for parameters, code in (
        ({"VmType": "tina.c1r1"}, "5024"),
        ({"MinVmsCount": 2, "MaxVmsCount": 1}, "4018"),
        ({"BootMode": "uefi"}, "4047"),
        ({"SubnetId": "subnet-00000000"}, "5057"),
        ({"KeypairName": "none"}, "5071"),
        ({"SecurityGroupIds": ["sg-00000000"]}, "5020"),
    ):
        assert refused(oapi, "CreateVms", ImageId=image, **parameters) == (400, code)


def test_deleting_a_vm_takes_the_volumes_that_go_with_it_and_leaves_the_others(oapi: Oapi) -> None:
    kept = {"DeviceName": "/dev/xvdf", "Bsu": {"VolumeSize": 1, "DeleteOnVmDeletion": False}}
    vm = launch(oapi, BlockDeviceMappings=[kept])
    root, extra = (each["VolumeId"] for each in oapi.call("ReadVolumes")["Volumes"])
    assert refused(oapi, "DeleteVolume", VolumeId=extra) == (409, "6007")
    oapi.call("DeleteVms", VmIds=[vm])
    wait_state(oapi, vm, "terminated")
    assert state_of(oapi, root) == "gone"
    assert state_of(oapi, extra) == "available"
    ended = oapi.call("ReadVms", Filters={"VmIds": [vm]})["Vms"][0]
    assert ended["BlockDeviceMappings"] == []
    assert "PublicIp" not in ended


def test_a_protected_vm_is_not_deleted(oapi: Oapi) -> None:
    vm = launch(oapi, DeletionProtection=True)
    assert refused(oapi, "DeleteVms", VmIds=[vm]) == (400, "8018")
    oapi.call("UpdateVm", VmId=vm, DeletionProtection=False)
    oapi.call("DeleteVms", VmIds=[vm])
    wait_state(oapi, vm, "terminated")


def test_the_same_client_token_launches_once(oapi: Oapi) -> None:
    image = source_image(oapi)
    first = oapi.call("CreateVms", ImageId=image, ClientToken="once")["Vms"][0]["VmId"]
    assert oapi.call("CreateVms", ImageId=image, ClientToken="once")["Vms"][0]["VmId"] == first


def test_pages_follow_each_other(oapi: Oapi) -> None:
    for name in ("a", "b", "c"):
        oapi.call("CreateKeypair", KeypairName=name, PublicKey=KEY)
    first = oapi.call("ReadKeypairs", ResultsPerPage=2)
    second = oapi.call("ReadKeypairs", ResultsPerPage=2, NextPageToken=first["NextPageToken"])
    assert [each["KeypairName"] for each in first["Keypairs"] + second["Keypairs"]] == ["a", "b", "c"]
    assert "NextPageToken" not in second
    assert refused(oapi, "ReadKeypairs", NextPageToken="nonsense") == (400, "4047")


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8x0Vb6o5LQh3uPGn1Yv0qZ8vNw3m1Zr3kO8bq5m2Xh build"


def test_images_are_copied_within_the_region(sandbox: Sandbox, oapi: Oapi) -> None:
    source = source_image(oapi)
    copied = oapi.call("CreateImage", SourceImageId=source, SourceRegionName="eu-west-2", ImageName="copy")["Image"]
    wait_state(oapi, copied["ImageId"], "available")
    assert copied["AccountId"] == sandbox.account_id()
    own = oapi.call("ReadSnapshots", Filters={"AccountIds": [sandbox.account_id()]})["Snapshots"]
    assert [each["SnapshotId"] for each in own] == [copied["BlockDeviceMappings"][0]["Bsu"]["SnapshotId"]]
    answer = refused(oapi, "CreateImage", SourceImageId=source, SourceRegionName="us-east-2", ImageName="no")
    assert answer == (400, "8019")


def test_an_image_is_made_of_a_vm(oapi: Oapi) -> None:
    vm = launch(oapi)
    made = oapi.call("CreateImage", VmId=vm, ImageName="of a vm")["Image"]
    wait_state(oapi, made["ImageId"], "available")
    assert made["RootDeviceName"] == "/dev/sda1"


def test_a_public_ip_goes_to_a_vm_and_back(oapi: Oapi) -> None:
    vm = launch(oapi)
    own = oapi.call("ReadVms", Filters={"VmIds": [vm]})["Vms"][0]["PublicIp"]
    address = oapi.call("CreatePublicIp")["PublicIp"]
    linked = oapi.call("LinkPublicIp", PublicIpId=address["PublicIpId"], VmId=vm)["LinkPublicIpId"]
    assert refused(oapi, "LinkPublicIp", PublicIp=address["PublicIp"], VmId=launch(oapi)) == (409, "9029")
    assert oapi.call("ReadVms")["Vms"][0]["PublicIp"] == address["PublicIp"] != own
    assert refused(oapi, "DeletePublicIp", PublicIpId=address["PublicIpId"]) == (409, "9031")
    oapi.call("UnlinkPublicIp", LinkPublicIpId=linked)
    assert oapi.call("ReadVms")["Vms"][0]["PublicIp"] == own
    oapi.call("DeletePublicIp", PublicIpId=address["PublicIpId"])


def test_quotas_count_what_is_used(oapi: Oapi) -> None:
    empty_volume(oapi, 3)
    quotas = oapi.call("ReadQuotas")["QuotaTypes"][0]["Quotas"]
    used = {each["Name"]: each["UsedValue"] for each in quotas}
    assert (used["volume_limit"], used["volume_size_limit"]) == (1, 3)
