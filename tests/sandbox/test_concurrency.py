"""Many callers at once: nothing is given twice, nothing is lost, nothing stays."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sandbox.client import Oapi, Refused, Sandbox, empty_volume, source_image, state_of, wait_for, wait_state

CALLERS = 8
ROUNDS = 3


def test_vms_that_come_and_go_together_leave_nothing(
    sandbox: Sandbox, oapi: Oapi, caplog: pytest.LogCaptureFixture
) -> None:
    image = source_image(oapi)

    def come_and_go(number: int) -> set[str]:
        caller, seen = sandbox.oapi(), set()
        for _ in range(ROUNDS):
            vm = caller.call("CreateVms", ImageId=image)["Vms"][0]
            seen.add(vm["PublicIp"])
            if number % 2:
                wait_state(caller, vm["VmId"], "running")
            caller.call("DeleteVms", VmIds=[vm["VmId"]])
            wait_state(caller, vm["VmId"], "terminated")
        return seen

    with caplog.at_level(logging.WARNING, "sandbox"), ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(come_and_go, range(CALLERS)))
    assert caplog.records == []
    assert sandbox.machines.vms == {}
    assert {each["State"] for each in oapi.call("ReadVms")["Vms"]} == {"terminated"}
    assert oapi.call("ReadVolumes")["Volumes"] == []


def test_vms_that_run_at_once_have_addresses_of_their_own(sandbox: Sandbox, oapi: Oapi) -> None:
    vms = oapi.call("CreateVms", ImageId=source_image(oapi), MinVmsCount=5, MaxVmsCount=5)["Vms"]
    second = sandbox.oapi("main-us").call("CreateVms", ImageId=source_image(sandbox.oapi("main-us")))["Vms"]
    assert len({each["PublicIp"] for each in vms + second}) == 6
    for each in vms:
        wait_state(oapi, each["VmId"], "running")


def test_a_name_is_given_to_one_of_many_at_once(sandbox: Sandbox, oapi: Oapi) -> None:
    mine = oapi.call("CreateSnapshot", VolumeId=empty_volume(oapi))["Snapshot"]["SnapshotId"]
    wait_state(oapi, mine, "completed")
    device = {"DeviceName": "/dev/sda1", "Bsu": {"SnapshotId": mine}}

    def create(_: int) -> str:
        try:
            made = sandbox.oapi().call(
                "CreateImage", ImageName="one", RootDeviceName="/dev/sda1", BlockDeviceMappings=[device]
            )
        except Refused as refused:
            return str(refused.code)
        return str(made["Image"]["ImageId"])

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(create, range(CALLERS)))
    assert answers.count("9015") == CALLERS - 1


def test_a_forced_stop_overtakes_a_slow_one(sandbox: Sandbox, oapi: Oapi) -> None:
    vm = oapi.call("CreateVms", ImageId=source_image(oapi))["Vms"][0]["VmId"]
    wait_state(oapi, vm, "running")
    oapi.call("StopVms", VmIds=[vm])
    oapi.call("StopVms", VmIds=[vm], ForceStop=True)
    wait_state(oapi, vm, "stopped")
    oapi.call("StartVms", VmIds=[vm])
    wait_for(lambda: state_of(oapi, vm), lambda state: state == "running")
