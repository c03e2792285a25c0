"""boto3's EC2 client against FCU, and that both faces show one state."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox import fcu
from sandbox.fcu import protocol
from tests.sandbox.client import (
    Oapi,
    Sandbox,
    empty_volume,
    launch,
    register,
    root_volume,
    snapshot,
    source_image,
    state_of,
    wait_for,
    wait_state,
)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8x0Vb6o5LQh3uPGn1Yv0qZ8vNw3m1Zr3kO8bq5m2Xh build"


@pytest.fixture
def ec2(sandbox: Sandbox) -> Any:
    return sandbox.ec2()


def code_of(call: Any, **parameters: Any) -> tuple[int, str]:
    """HTTP status and error code of a call that must fail."""
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    answer = refused.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_the_official_omi_is_found_by_alias_or_owner_and_has_fcus_words(ec2: Any, oapi: Oapi) -> None:
    by_filter = ec2.describe_images(
        Filters=[{"Name": "name", "Values": ["Debian-12-*"]}, {"Name": "owner-alias", "Values": ["Outscale"]}]
    )["Images"]
    newest = max(by_filter, key=lambda each: each["CreationDate"])
    assert newest["ImageId"] == source_image(oapi)
    assert newest["RootDeviceType"] == "ebs"
    assert newest["ImageOwnerAlias"] == "Outscale"
    assert newest["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 10
    by_owner = ec2.describe_images(Owners=[newest["OwnerId"]])["Images"]
    assert {each["ImageId"] for each in by_owner} == {each["ImageId"] for each in by_filter}
    oapi_says = oapi.call("ReadImages", Filters={"ImageIds": [newest["ImageId"]]})["Images"][0]
    assert oapi_says["RootDeviceType"] == "bsu"


def test_an_image_goes_through_its_life(ec2: Any, oapi: Oapi, sandbox: Sandbox) -> None:
    volume = empty_volume(oapi)
    made = ec2.create_snapshot(VolumeId=volume, Description="mine")
    assert (made["State"], made["Progress"]) == ("pending", "0%")
    wait_state(oapi, made["SnapshotId"], "completed")
    mapping = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": made["SnapshotId"], "DeleteOnTermination": True}}
    image = ec2.register_image(Name="mine", RootDeviceName="/dev/sda1", BlockDeviceMappings=[mapping])["ImageId"]
    wait_state(oapi, image, "available")
    shown = ec2.describe_images(ImageIds=[image])["Images"][0]
    assert shown["Architecture"] == "i386", "FCU's default; a caller must say x86_64"
    assert shown["Public"] is False
    second = sandbox.account_id("second")
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": second}]})
    rights = ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"]
    assert rights == [{"UserId": second}]
    assert oapi.call("ReadImages", Filters={"ImageIds": [image]})["Images"][0]["PermissionsToLaunch"] == {
        "AccountIds": [second],
        "GlobalPermission": False,
    }
    ec2.modify_image_attribute(ImageId=image, Description={"Value": "new words"})
    assert ec2.describe_image_attribute(ImageId=image, Attribute="description")["Description"]["Value"] == "new words"
    copy = ec2.copy_image(SourceImageId=image, SourceRegion="eu-west-2", Name="other")["ImageId"]
    wait_state(oapi, copy, "available")
    assert ec2.describe_images(ImageIds=[copy])["Images"][0]["Name"] == "other"
    assert code_of(ec2.delete_snapshot, SnapshotId=made["SnapshotId"]) == (400, "InvalidSnapshot.InUse")
    ec2.deregister_image(ImageId=image)
    assert state_of(oapi, image) == "gone"
    ec2.delete_snapshot(SnapshotId=made["SnapshotId"])
    wait_state(oapi, made["SnapshotId"], "gone")


def test_a_snapshot_is_shared_and_its_rights_read_back(ec2: Any, oapi: Oapi, sandbox: Sandbox) -> None:
    mine = snapshot(oapi, empty_volume(oapi))
    second, others = sandbox.account_id("second"), sandbox.ec2("second")
    assert code_of(others.describe_snapshots, SnapshotIds=[mine]) == (400, "InvalidSnapshot.NotFound")
    ec2.modify_snapshot_attribute(
        SnapshotId=mine, Attribute="createVolumePermission", OperationType="add", UserIds=[second]
    )
    assert others.describe_snapshots(SnapshotIds=[mine])["Snapshots"][0]["OwnerId"] == sandbox.account_id()
    rights = ec2.describe_snapshot_attribute(SnapshotId=mine, Attribute="createVolumePermission")
    assert rights["CreateVolumePermissions"] == [{"UserId": second}]
    assert code_of(others.delete_snapshot, SnapshotId=mine) == (400, "InvalidSnapshot.NotFound")
    listed = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "status", "Values": ["completed"]}])
    assert [each["SnapshotId"] for each in listed["Snapshots"]] == [mine]


def test_an_instance_runs_stops_starts_and_goes(ec2: Any, oapi: Oapi) -> None:
    ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=KEY.encode())
    group = ec2.create_security_group(GroupName="mine", Description="mine")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "127.0.0.1/32"}]}],
    )
    reservation = ec2.run_instances(
        ImageId=source_image(oapi),
        InstanceType="tinav5.c2r4p1",
        MinCount=1,
        MaxCount=1,
        KeyName="mine",
        SecurityGroupIds=[group],
        UserData="#!/bin/sh\n",
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "verify"}]}],
    )
    vm = reservation["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[vm], WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    by_tag = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["verify"]}])["Reservations"]
    shown = by_tag[0]["Instances"][0]
    assert shown["InstanceId"] == vm
    assert shown["PublicIpAddress"].startswith("127.")
    assert shown["State"] == {"Code": 16, "Name": "running"}
    assert shown["BlockDeviceMappings"][0]["Ebs"]["VolumeId"] == root_volume(oapi, vm)
    assert (
        oapi.call("ReadVms", Filters={"VmIds": [vm]})["Vms"][0]["UserData"] == base64.b64encode(b"#!/bin/sh\n").decode()
    )
    assert ec2.get_console_output(InstanceId=vm)["Output"] == "fake console\n"
    stopping = ec2.stop_instances(InstanceIds=[vm])["StoppingInstances"][0]
    assert (stopping["PreviousState"]["Name"], stopping["CurrentState"]["Name"]) == ("running", "stopping")
    wait_state(oapi, vm, "stopped")
    ec2.start_instances(InstanceIds=[vm])
    wait_state(oapi, vm, "running")
    ec2.terminate_instances(InstanceIds=[vm])
    wait_state(oapi, vm, "terminated")
    wait_for(lambda: _deleted(ec2, group), bool)
    ec2.delete_key_pair(KeyName="mine")
    assert ec2.describe_key_pairs()["KeyPairs"] == []
    assert ec2.describe_volumes()["Volumes"] == []


def _deleted(ec2: Any, group: str) -> bool:
    try:
        ec2.delete_security_group(GroupId=group)
    except ClientError as error:
        if error.response["Error"]["Code"] == "DependencyViolation":
            return False
        raise
    return True


def test_a_volume_is_made_attached_and_detached(ec2: Any, oapi: Oapi) -> None:
    vm = launch(oapi)
    volume = ec2.create_volume(AvailabilityZone="eu-west-2a", Size=10, VolumeType="io1", Iops=3000)["VolumeId"]
    wait_state(oapi, volume, "available")
    ec2.attach_volume(VolumeId=volume, InstanceId=vm, Device="/dev/xvdf")
    wait_for(
        lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"],
        lambda seen: seen and seen[0]["State"] == "attached",
    )
    ec2.detach_volume(VolumeId=volume)
    wait_state(oapi, volume, "available")
    ec2.delete_volume(VolumeId=volume)
    wait_state(oapi, volume, "gone")


def test_tags_and_addresses_are_one_state_on_both_faces(ec2: Any, oapi: Oapi) -> None:
    volume = empty_volume(oapi)
    ec2.create_tags(Resources=[volume], Tags=[{"Key": "build", "Value": "alpine"}])
    assert oapi.call("ReadVolumes", Filters={"Tags": ["build=alpine"]})["Volumes"][0]["VolumeId"] == volume
    tag = {"Key": "build", "ResourceId": volume, "ResourceType": "volume", "Value": "alpine"}
    assert ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [volume]}])["Tags"] == [tag]
    ec2.delete_tags(Resources=[volume], Tags=[{"Key": "build"}])
    assert oapi.call("ReadTags")["Tags"] == []
    address = ec2.allocate_address()
    held = oapi.call("ReadPublicIps")["PublicIps"]
    assert held == [{"PublicIp": address["PublicIp"], "PublicIpId": address["AllocationId"], "Tags": []}]
    ec2.release_address(AllocationId=address["AllocationId"])
    assert ec2.describe_addresses()["Addresses"] == []


def test_regions_and_zones(ec2: Any) -> None:
    assert [each["RegionName"] for each in ec2.describe_regions()["Regions"]] == ["eu-west-2", "us-east-2"]
    zones = [each["ZoneName"] for each in ec2.describe_availability_zones()["AvailabilityZones"]]
    assert zones == ["eu-west-2a", "eu-west-2b", "eu-west-2c"]


def test_refusals_bear_ec2s_codes(ec2: Any, oapi: Oapi, sandbox: Sandbox) -> None:
    mine = snapshot(oapi, empty_volume(oapi))
    register(oapi, "taken", mine)
    mapping = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": mine}}
    again = {"Name": "taken", "RootDeviceName": "/dev/sda1", "BlockDeviceMappings": [mapping]}
    assert code_of(ec2.register_image, **again) == (400, "InvalidAMIName.Duplicate")
    assert code_of(ec2.deregister_image, ImageId="ami-00000000") == (400, "InvalidAMIID.NotFound")
    assert code_of(ec2.describe_images, ImageIds=["ami-00000000"]) == (400, "InvalidAMIID.NotFound")
    assert code_of(ec2.delete_key_pair, KeyName="none") == (400, "InvalidKeyPair.NotFound")
    assert code_of(ec2.stop_instances, InstanceIds=["i-00000000"]) == (400, "InvalidInstanceID.NotFound")
    assert code_of(ec2.describe_images, Filters=[{"Name": "boot-mode", "Values": ["uefi"]}]) == (
        400,
        "InvalidParameterValue",
    )
    assert code_of(ec2.describe_vpcs) == (400, "InvalidAction")
    assert code_of(sandbox.ec2(aws_secret_access_key="wrong").describe_images) == (401, "AuthFailure")


def test_parameters_that_fcu_does_not_know_are_refused(ec2: Any, oapi: Oapi) -> None:
    assert code_of(ec2.describe_images, MaxResults=5) == (400, "InvalidParameter")
    assert code_of(ec2.describe_images, IncludeDeprecated=True) == (400, "InvalidParameter")
    assert code_of(ec2.deregister_image, ImageId=source_image(oapi), DeleteAssociatedSnapshots=True) == (
        400,
        "InvalidParameter",
    )


def test_throttling_is_retried_by_boto3(sandbox: Sandbox) -> None:
    sandbox.control("POST", "faults", {"action": "DescribeImages", "status": 503, "times": 2})
    patient = sandbox.ec2(config=Config(retries={"mode": "standard", "max_attempts": 4}))
    assert len(patient.describe_images(Filters=[{"Name": "owner-alias", "Values": ["Outscale"]}])["Images"]) == 2
    statuses = [each["status"] for each in sandbox.control("GET", "calls") if each["action"] == "DescribeImages"]
    assert statuses == [503, 503, 200]
    sandbox.control("POST", "faults", {"action": "DescribeImages", "status": 503})
    assert code_of(sandbox.ec2().describe_images) == (503, "RequestLimitExceeded")


def test_every_parameter_that_is_taken_exists_in_ec2() -> None:
    for name, known in fcu.OPERATIONS.items():
        shape = protocol.operation(name).input_shape
        assert shape is not None
        assert known.parameters <= set(shape.members), name


def test_an_image_and_a_snapshot_are_made_of_what_is_there(ec2: Any, oapi: Oapi, sandbox: Sandbox) -> None:
    vm = launch(oapi)
    image = ec2.create_image(InstanceId=vm, Name="of a vm")["ImageId"]
    wait_state(oapi, image, "available")
    source = ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    copy = ec2.copy_snapshot(SourceSnapshotId=source, SourceRegion="eu-west-2")["SnapshotId"]
    wait_state(oapi, copy, "completed")
    assert code_of(ec2.copy_snapshot, SourceSnapshotId=source, SourceRegion="us-east-2") == (
        400,
        "InvalidParameterValue",
    )
    second = sandbox.account_id("second")
    for change, rights in (("add", [{"UserId": second}]), ("remove", [])):
        ec2.modify_image_attribute(ImageId=image, Attribute="launchPermission", OperationType=change, UserIds=[second])
        seen = ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"]
        assert seen == rights
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"Group": "all"}]})
    public = ec2.describe_images(ExecutableUsers=["all"], Filters=[{"Name": "name", "Values": ["of a vm"]}])["Images"]
    assert [each["ImageId"] for each in public] == [image]


def test_a_vm_is_rebooted_and_bears_an_address(ec2: Any, oapi: Oapi, sandbox: Sandbox) -> None:
    vm = launch(oapi)
    first = sandbox.machines.vms[vm]
    ec2.reboot_instances(InstanceIds=[vm])
    wait_for(lambda: sandbox.machines.vms.get(vm), lambda seen: seen not in (None, first))
    assert state_of(oapi, vm) == "running"
    address = ec2.allocate_address(Domain="standard")
    linked = ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=vm)["AssociationId"]
    shown = ec2.describe_instances(InstanceIds=[vm])["Reservations"][0]["Instances"][0]
    assert shown["PublicIpAddress"] == address["PublicIp"]
    assert code_of(ec2.release_address, AllocationId=address["AllocationId"]) == (400, "InvalidIPAddress.InUse")
    ec2.disassociate_address(AssociationId=linked)
    ec2.release_address(AllocationId=address["AllocationId"])


def test_a_keypair_is_made_here_and_a_rule_is_revoked(ec2: Any) -> None:
    made = ec2.create_key_pair(KeyName="mine")
    assert made["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    listed = ec2.describe_key_pairs(KeyNames=["mine"])["KeyPairs"][0]
    assert (listed["KeyFingerprint"], listed["KeyType"]) == (made["KeyFingerprint"], "rsa")
    group = ec2.create_security_group(GroupName="mine", Description="x")["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "127.0.0.1/32"}
    ec2.authorize_security_group_ingress(GroupId=group, **rule)
    assert code_of(ec2.authorize_security_group_ingress, GroupId=group, **rule) == (400, "InvalidPermission.Duplicate")
    ec2.revoke_security_group_ingress(GroupId=group, **rule)
    shown = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["mine"]}])["SecurityGroups"][0]
    assert shown["IpPermissions"] == []
    assert code_of(ec2.revoke_security_group_ingress, GroupId=group, **rule) == (400, "InvalidPermission.NotFound")
