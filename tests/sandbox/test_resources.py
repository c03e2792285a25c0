"""Changes of resources show in later reads."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.sandbox.client import (
    Oapi,
    Refused,
    Sandbox,
    empty_volume,
    launch,
    register,
    snapshot,
    state_of,
    wait_for,
    wait_state,
)


def test_an_images_description_and_codes_change_and_its_name_stays(oapi: Oapi) -> None:
    image = register(oapi, "mine", snapshot(oapi, empty_volume(oapi)))
    oapi.call("UpdateImage", ImageId=image, Description="new words")
    oapi.call("UpdateImage", ImageId=image, ProductCodes=["0001", "0002"])
    shown = oapi.call("ReadImages", Filters={"ImageIds": [image]})["Images"][0]
    assert (shown["ImageName"], shown["Description"], shown["ProductCodes"]) == ("mine", "new words", ["0001", "0002"])
    assert shown["Architecture"] == "x86_64"


def test_an_image_has_the_boot_modes_that_are_asked_for_whatever_it_is_made_from(oapi: Oapi) -> None:
    vm, more = launch(oapi), {"BootModes": ["uefi"], "ProductCodes": ["0002"], "TpmMandatory": True}
    source = oapi.call("ReadVms")["Vms"][0]["ImageId"]
    for number, made_from in enumerate(({"VmId": vm}, {"SourceImageId": source, "SourceRegionName": "eu-west-2"})):
        image = oapi.call("CreateImage", ImageName=f"made-{number}", **made_from, **more)["Image"]
        assert {key: image[key] for key in more} == more


def test_a_snapshot_is_shared_with_one_account_and_stays_its_owners(sandbox: Sandbox, oapi: Oapi) -> None:
    mine, second = snapshot(oapi, empty_volume(oapi)), sandbox.oapi("second")
    account = sandbox.account_id("second")
    assert state_of(second, mine) == "gone"
    shared = oapi.call(
        "UpdateSnapshot", SnapshotId=mine, PermissionsToCreateVolume={"Additions": {"AccountIds": [account]}}
    )["Snapshot"]
    assert shared["PermissionsToCreateVolume"] == {"AccountIds": [account], "GlobalPermission": False}
    seen = second.call("ReadSnapshots", Filters={"PermissionsToCreateVolumeAccountIds": [account]})["Snapshots"]
    assert [(each["SnapshotId"], each["AccountId"]) for each in seen] == [(mine, sandbox.account_id())]
    with pytest.raises(Refused, match="5054"):
        second.call("DeleteSnapshot", SnapshotId=mine)
    own = oapi.call("ReadSnapshots", Filters={"AccountIds": [sandbox.account_id()], "States": ["completed"]})
    assert [each["SnapshotId"] for each in own["Snapshots"]] == [mine]


def test_the_same_client_token_makes_one_volume_and_one_snapshot(sandbox: Sandbox, oapi: Oapi) -> None:
    def volume(account: Oapi) -> Any:
        return account.call("CreateVolume", Size=1, SubregionName="eu-west-2a", ClientToken="once")["Volume"]

    made = volume(oapi)["VolumeId"]
    wait_state(oapi, made, "available")
    assert (volume(oapi)["VolumeId"], volume(oapi)["ClientToken"]) == (made, "once")
    assert volume(sandbox.oapi("second"))["VolumeId"] != made
    snapshots = [oapi.call("CreateSnapshot", VolumeId=made, ClientToken="once")["Snapshot"] for _ in range(2)]
    assert snapshots[0]["SnapshotId"] == snapshots[1]["SnapshotId"]
    for action, kind in (("ReadVolumes", "Volumes"), ("ReadSnapshots", "Snapshots")):
        assert len(oapi.call(action, Filters={"ClientTokens": ["once"]})[kind]) == 1


def test_a_tag_goes_by_its_key_and_value(oapi: Oapi) -> None:
    volume = empty_volume(oapi)
    tag = {"Key": "build", "Value": "alpine"}
    oapi.call("CreateTags", ResourceIds=[volume], Tags=[tag])
    assert oapi.call("ReadVolumes", Filters={"Tags": ["build=alpine"]})["Volumes"][0]["VolumeId"] == volume
    oapi.call("DeleteTags", ResourceIds=[volume], Tags=[{**tag, "Value": "other"}])
    assert oapi.call("ReadTags")["Tags"] == [{**tag, "ResourceId": volume, "ResourceType": "volume"}]
    oapi.call("DeleteTags", ResourceIds=[volume], Tags=[tag])
    assert oapi.call("ReadTags")["Tags"] == []


def test_a_vm_shows_its_console_and_is_rebooted(sandbox: Sandbox, oapi: Oapi) -> None:
    vm = launch(oapi)
    console = oapi.call("ReadConsoleOutput", VmId=vm)["ConsoleOutput"]
    assert base64.b64decode(console) == b"fake console\n"
    first = sandbox.machines.vms[vm]
    oapi.call("RebootVms", VmIds=[vm])
    wait_for(lambda: sandbox.machines.vms.get(vm), lambda seen: seen not in (None, first))
    assert state_of(oapi, vm) == "running"


def test_a_volume_is_linked_and_unlinked(oapi: Oapi) -> None:
    vm, volume = launch(oapi), empty_volume(oapi)

    def links() -> Any:
        return oapi.call("ReadVolumes", Filters={"VolumeIds": [volume]})["Volumes"][0]["LinkedVolumes"]

    oapi.call("LinkVolume", VolumeId=volume, VmId=vm, DeviceName="/dev/xvdf")
    linked = wait_for(links, lambda seen: seen and seen[0]["State"] == "attached")[0]
    assert (linked["VmId"], linked["DeviceName"]) == (vm, "/dev/xvdf")
    oapi.call("UnlinkVolume", VolumeId=volume)
    wait_state(oapi, volume, "available")
    oapi.call("DeleteVolume", VolumeId=volume)
    wait_state(oapi, volume, "gone")
