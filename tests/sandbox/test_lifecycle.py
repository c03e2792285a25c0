"""States that take time, what faults do to them, and the way to a VM's SSH port."""

from __future__ import annotations

import base64
import socket
from functools import partial
from typing import Any

import pytest

from sandbox.config import SSH_PORT, SandboxTiming
from tests.sandbox.client import (
    Oapi,
    Refused,
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
from tests.sandbox.fakes import BANNER


def states(oapi: Oapi, resource_id: str, last: str) -> list[str]:
    """The states that are seen until `last`."""
    seen = [state_of(oapi, resource_id)]

    def look() -> str:
        state = state_of(oapi, resource_id)
        if state != seen[-1]:
            seen.append(state)
        return state

    wait_for(look, lambda state: state == last)
    return seen


@pytest.fixture
def slow(sandbox: Sandbox) -> Sandbox:
    """Steps long enough for every state to be seen."""
    sandbox.server.cloud.timing = SandboxTiming.uniform(0.3)
    return sandbox


def test_a_vm_goes_through_its_states(slow: Sandbox, oapi: Oapi) -> None:
    vm = oapi.call("CreateVms", ImageId=source_image(oapi))["Vms"][0]["VmId"]
    assert states(oapi, vm, "running") == ["pending", "running"]
    oapi.call("StopVms", VmIds=[vm])
    assert states(oapi, vm, "stopped") == ["stopping", "stopped"]
    oapi.call("StartVms", VmIds=[vm])
    assert states(oapi, vm, "running") == ["pending", "running"]
    oapi.call("DeleteVms", VmIds=[vm])
    assert states(oapi, vm, "terminated") == ["shutting-down", "terminated"]


def test_volumes_snapshots_and_images_go_through_their_states(slow: Sandbox, oapi: Oapi) -> None:
    volume = oapi.call("CreateVolume", Size=1, SubregionName="eu-west-2a")["Volume"]["VolumeId"]
    assert states(oapi, volume, "available") == ["creating", "available"]
    mine = oapi.call("CreateSnapshot", VolumeId=volume)["Snapshot"]["SnapshotId"]
    assert states(oapi, mine, "completed") == ["in-queue", "pending", "completed"]
    device = {"DeviceName": "/dev/sda1", "Bsu": {"SnapshotId": mine}}
    image = oapi.call("CreateImage", ImageName="mine", RootDeviceName="/dev/sda1", BlockDeviceMappings=[device])
    assert states(oapi, image["Image"]["ImageId"], "available") == ["pending", "available"]
    oapi.call("DeleteVolume", VolumeId=volume)
    assert states(oapi, volume, "gone") == ["deleting", "gone"]


def test_a_snapshots_progress_rises(slow: Sandbox, oapi: Oapi) -> None:
    mine = oapi.call("CreateSnapshot", VolumeId=empty_volume(oapi))["Snapshot"]["SnapshotId"]
    seen: list[int] = []

    def progress() -> int:
        now = int(oapi.call("ReadSnapshots", Filters={"SnapshotIds": [mine]})["Snapshots"][0]["Progress"])
        seen.append(now)
        return now

    wait_for(progress, lambda now: now == 100)
    assert seen == sorted(seen)
    assert len(set(seen)) > 3


def test_the_older_snapshot_keeps_its_content_when_the_volume_goes_at_once(sandbox: Sandbox, oapi: Oapi) -> None:
    sandbox.machines.slow = 0.2
    volume = empty_volume(oapi)
    mine = oapi.call("CreateSnapshot", VolumeId=volume)["Snapshot"]["SnapshotId"]
    oapi.call("DeleteVolume", VolumeId=volume)
    wait_state(oapi, mine, "completed")
    wait_state(oapi, volume, "gone")
    copy = oapi.call("CreateVolume", SnapshotId=mine, SubregionName="eu-west-2a")["Volume"]["VolumeId"]
    wait_state(oapi, copy, "available")


def test_a_vm_that_powers_itself_off_does_as_it_was_launched_to(sandbox: Sandbox, oapi: Oapi) -> None:
    for behavior, state in (("stop", "stopped"), ("terminate", "terminated")):
        vm = launch(oapi, VmInitiatedShutdownBehavior=behavior)
        sandbox.machines.power_off(vm)
        wait_state(oapi, vm, state)
    vm = launch(oapi, VmInitiatedShutdownBehavior="restart")
    sandbox.machines.power_off(vm)
    wait_for(lambda: sandbox.machines.vm_running(vm), bool)
    assert state_of(oapi, vm) == "running"


def test_a_vm_without_boot_on_creation_waits_stopped(sandbox: Sandbox, oapi: Oapi) -> None:
    vm = oapi.call("CreateVms", ImageId=source_image(oapi), BootOnCreation=False)["Vms"][0]["VmId"]
    wait_state(oapi, vm, "stopped")
    assert not sandbox.machines.vm_running(vm)
    assert oapi.call("ReadVmsState")["VmStates"] == []
    assert [each["VmState"] for each in oapi.call("ReadVmsState", AllVms=True)["VmStates"]] == ["stopped"]


def test_a_vm_that_is_deleted_while_it_starts_never_runs(slow: Sandbox, oapi: Oapi) -> None:
    vm = oapi.call("CreateVms", ImageId=source_image(oapi))["Vms"][0]["VmId"]
    oapi.call("DeleteVms", VmIds=[vm])
    assert "running" not in states(oapi, vm, "terminated")
    assert not slow.machines.vm_running(vm)


def test_a_machine_that_fails_ends_its_vm_with_the_reason(sandbox: Sandbox, oapi: Oapi) -> None:
    sandbox.machines.failing.add("start_vm")
    vm = oapi.call("CreateVms", ImageId=source_image(oapi))["Vms"][0]["VmId"]
    wait_state(oapi, vm, "terminated")
    assert "start_vm fails" in oapi.call("ReadVms")["Vms"][0]["StateReason"]
    assert oapi.call("ReadVolumes")["Volumes"] == []


def test_the_metadata_tells_a_vm_about_itself_and_follows_its_tags(sandbox: Sandbox, oapi: Oapi) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8x0Vb6o5LQh3uPGn1Yv0qZ8vNw3m1Zr3kO8bq5m2Xh me"
    oapi.call("CreateKeypair", KeypairName="mine", PublicKey=key)
    vm = launch(oapi, KeypairName="mine", UserData=base64.b64encode(b"#!/bin/sh\n").decode())

    def entries() -> dict[str, bytes]:
        return sandbox.machines.vms[vm].metadata.entries

    shown = oapi.call("ReadVms")["Vms"][0]
    assert entries()["meta-data/instance-id"] == vm.encode()
    assert entries()["meta-data/public-ipv4"] == shown["PublicIp"].encode()
    assert entries()["meta-data/public-keys/0/openssh-key"] == key.encode() + b"\n"
    assert entries()["user-data"] == b"#!/bin/sh\n"
    oapi.call("CreateTags", ResourceIds=[vm], Tags=[{"Key": "role", "Value": "build"}])
    wait_for(lambda: entries().get("meta-data/tags/role"), lambda value: value == b"build")


def banner(ip: str, port: int = SSH_PORT) -> bytes:
    """What a connection to a port, the SSH port by default, brings; nothing where none is accepted."""
    try:
        with socket.create_connection((ip, port), timeout=2) as connection:
            return connection.recv(len(BANNER))
    except OSError:
        return b""


def ssh_rule(oapi: Oapi, action: str, group: str, **more: Any) -> None:
    rule = {"FromPortRange": 22, "ToPortRange": 22, "IpProtocol": "tcp", "IpRange": "127.0.0.1/32", **more}
    oapi.call(action, SecurityGroupId=group, Flow="Inbound", **rule)


def test_the_ssh_port_opens_and_closes_with_the_security_group(oapi: Oapi) -> None:
    group = oapi.call("CreateSecurityGroup", SecurityGroupName="mine", Description="x")
    group_id = group["SecurityGroup"]["SecurityGroupId"]
    vm = launch(oapi, SecurityGroupIds=[group_id])
    ip = oapi.call("ReadVms", Filters={"VmIds": [vm]})["Vms"][0]["PublicIp"]
    assert banner(ip) == b""
    ssh_rule(oapi, "CreateSecurityGroupRule", group_id, IpRange="203.0.113.0/24")
    ssh_rule(oapi, "CreateSecurityGroupRule", group_id, IpProtocol="udp")
    assert banner(ip) == b"", "another source and another protocol open nothing"
    ssh_rule(oapi, "CreateSecurityGroupRule", group_id)
    wait_for(lambda: banner(ip), lambda seen: seen == BANNER)
    address = oapi.call("CreatePublicIp")["PublicIp"]
    oapi.call("LinkPublicIp", PublicIpId=address["PublicIpId"], VmId=vm)
    wait_for(lambda: banner(address["PublicIp"]), lambda seen: seen == BANNER)
    wait_for(lambda: banner(ip), lambda seen: seen == b"")
    ssh_rule(oapi, "DeleteSecurityGroupRule", group_id)
    wait_for(lambda: banner(address["PublicIp"]), lambda seen: seen == b"")


def test_a_port_that_a_rule_names_opens_on_the_public_address(oapi: Oapi) -> None:
    group = oapi.call("CreateSecurityGroup", SecurityGroupName="mine", Description="x")
    group_id = group["SecurityGroup"]["SecurityGroupId"]
    vm = launch(oapi, SecurityGroupIds=[group_id])
    ip = oapi.call("ReadVms", Filters={"VmIds": [vm]})["Vms"][0]["PublicIp"]
    for guest, outer in ((80, 8080), (5432, 5432)):
        ssh_rule(oapi, "CreateSecurityGroupRule", group_id, FromPortRange=guest, ToPortRange=guest)
        wait_for(partial(banner, ip, outer), (b"port %d\n" % guest).__eq__)
        assert banner(ip) == b"", "it opens no SSH"
    ssh_rule(oapi, "DeleteSecurityGroupRule", group_id, FromPortRange=80, ToPortRange=80)
    wait_for(lambda: banner(ip, 8080), lambda seen: seen == b"")


def test_states_stick_or_fail_as_a_fault_says(sandbox: Sandbox, oapi: Oapi) -> None:
    for fault in (
        {"resource": "vm", "state": "quarantine"},
        {"resource": "snapshot", "state": "error"},
        {"resource": "image", "state": "failed"},
    ):
        sandbox.control("POST", "faults", fault)
    vm = oapi.call("CreateVms", ImageId=source_image(oapi))["Vms"][0]["VmId"]
    wait_state(oapi, vm, "quarantine")
    volume = empty_volume(oapi)
    wrong = oapi.call("CreateSnapshot", VolumeId=volume)["Snapshot"]["SnapshotId"]
    wait_state(oapi, wrong, "error")
    good = snapshot(oapi, volume)
    device = {"DeviceName": "/dev/sda1", "Bsu": {"SnapshotId": good}}
    image = oapi.call("CreateImage", ImageName="bad", RootDeviceName="/dev/sda1", BlockDeviceMappings=[device])
    image_id = image["Image"]["ImageId"]
    wait_state(oapi, image_id, "failed")
    shown = oapi.call("ReadImages", Filters={"ImageIds": [image_id]})["Images"][0]
    assert shown["StateComment"]["StateMessage"]
    register(oapi, "good", good)


def test_a_stuck_vm_stays_pending_and_can_be_deleted(sandbox: Sandbox, oapi: Oapi) -> None:
    sandbox.control("POST", "faults", {"resource": "vm", "state": "pending"})
    stuck = oapi.call("CreateVms", ImageId=source_image(oapi))["Vms"][0]["VmId"]
    wait_for(lambda: sandbox.control("GET", "faults"), lambda faults: faults[0].get("times") == 0)
    other = launch(oapi)
    assert (state_of(oapi, stuck), state_of(oapi, other)) == ("pending", "running")
    oapi.call("DeleteVms", VmIds=[stuck])
    wait_state(oapi, stuck, "terminated")


def test_a_call_can_be_done_and_yet_answered_503(sandbox: Sandbox, oapi: Oapi) -> None:
    sandbox.control("POST", "faults", {"action": "CreateVms", "status": 503, "after": True})
    with pytest.raises(Refused) as refused:
        oapi.call("CreateVms", ImageId=source_image(oapi))
    assert (refused.value.status, refused.value.code) == (503, "6")
    assert len(oapi.call("ReadVms")["Vms"]) == 1


def test_a_fault_skips_counts_and_bears_its_code(sandbox: Sandbox, oapi: Oapi) -> None:
    fault = {"action": "ReadVms", "status": 429, "code": "25", "skip": 1, "times": 2}
    sandbox.control("PUT", "faults", [fault])
    answers = []
    for _ in range(4):
        try:
            oapi.call("ReadVms")
            answers.append("")
        except Refused as refused:
            answers.append(refused.code)
    assert answers == ["", "25", "25", ""]
    sandbox.control("POST", "faults", {"action": "*", "status": 500, "times": -1})
    for _ in range(3):
        with pytest.raises(Refused, match="500"):
            oapi.call("ReadVolumes")
    sandbox.control("DELETE", "faults")
    assert oapi.call("ReadVolumes") == {"Volumes": []}


def test_a_slow_call_is_slow_and_holds_up_no_other(sandbox: Sandbox, oapi: Oapi) -> None:
    sandbox.control("POST", "faults", {"action": "ReadVms", "delay": 0.5})
    assert oapi.call("ReadVms") == {"Vms": []}
    calls = sandbox.control("GET", "calls")
    assert calls[-1]["seconds"] >= 0.5


def test_the_call_log_holds_no_secret(sandbox: Sandbox, oapi: Oapi) -> None:
    secret = base64.b64encode(b"password=hunter2").decode()
    launch(oapi, UserData=secret)
    log = str(sandbox.control("GET", "calls"))
    assert "CreateVms" in log
    assert secret not in log
    assert oapi.profile["secret_key"] not in log


def test_the_control_face_is_on_the_plain_port_only(oapi: Oapi) -> None:
    status, _ = oapi.send("/_sandbox/inventory", b"", {})
    assert status == 404


def test_the_root_volume_stays_while_its_vm_runs(oapi: Oapi) -> None:
    vm = launch(oapi)
    root = root_volume(oapi, vm)
    with pytest.raises(Refused) as refused:
        oapi.call("UnlinkVolume", VolumeId=root)
    assert refused.value.code == "8003"
    oapi.call("StopVms", VmIds=[vm])
    wait_state(oapi, vm, "stopped")
    oapi.call("UnlinkVolume", VolumeId=root)
    wait_state(oapi, root, "available")
