"""An OMI's boot modes and a VM's type decide how its machine starts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.client import Oapi, Refused, Sandbox, launch, register, root_volume, snapshot, wait_state

GIVEN: dict[str, list[str]] = {"none": [], "bios": ["legacy"], "uefi": ["uefi"], "both": ["legacy", "uefi"]}


@pytest.fixture
def images(oapi: Oapi) -> dict[str, str]:
    taken = snapshot(oapi, root_volume(oapi, launch(oapi)))
    return {name: register(oapi, f"alpine-{name}", taken, BootModes=modes) for name, modes in GIVEN.items()}


def test_boot_modes_are_shown_and_found_and_legacy_where_none_was_given(oapi: Oapi, images: dict[str, str]) -> None:
    def listed(**filters: Any) -> dict[str, list[str]]:
        found = oapi.call("ReadImages", Filters={"ImageIds": list(images.values()), **filters})["Images"]
        return {each["ImageName"]: each["BootModes"] for each in found}

    assert listed() == {
        "alpine-none": ["legacy"],
        "alpine-bios": ["legacy"],
        "alpine-uefi": ["uefi"],
        "alpine-both": ["legacy", "uefi"],
    }
    assert set(listed(BootModes=["uefi"])) == {"alpine-uefi", "alpine-both"}
    assert set(listed(BootModes=["legacy"])) == {"alpine-none", "alpine-bios", "alpine-both"}
    with pytest.raises(Refused, match=r"'BootModes.0': Input should be 'legacy' or 'uefi'"):
        register(oapi, "alpine-wrong", "snap-00000000", BootModes=["bios"])


@pytest.mark.parametrize(
    ("image", "asked", "firmware"),
    [("none", {}, "legacy"), ("uefi", {}, "uefi"), ("both", {}, "uefi"), ("both", {"BootMode": "legacy"}, "legacy")],
)
def test_a_vm_is_started_by_the_firmware_of_its_boot_mode(
    sandbox: Sandbox, oapi: Oapi, images: dict[str, str], image: str, asked: dict[str, str], firmware: str
) -> None:
    vm = oapi.call("CreateVms", ImageId=images[image], **asked)["Vms"][0]
    assert vm["BootMode"] == firmware
    wait_state(oapi, vm["VmId"], "running")
    assert sandbox.machines.vms[vm["VmId"]].spec.firmware == firmware


def test_the_root_disk_hangs_on_what_a_test_says_for_the_vm_s_type(sandbox: Sandbox, oapi: Oapi) -> None:
    assert sandbox.control("PUT", "root-buses", {"tinav7.c1r1p2": "virtio-scsi"}) == {"tinav7.c1r1p2": "virtio-scsi"}
    usual = launch(oapi)
    image = oapi.call("ReadVms", Filters={"VmIds": [usual]})["Vms"][0]["ImageId"]
    other = oapi.call("CreateVms", ImageId=image, VmType="tinav7.c1r1p2")["Vms"][0]["VmId"]
    wait_state(oapi, other, "running")
    buses = {vm_id: vm.spec.root_bus for vm_id, vm in sandbox.machines.vms.items()}
    assert buses == {usual: "virtio-blk", other: "virtio-scsi"}
    with pytest.raises(AssertionError, match="virtio-blk"):
        sandbox.control("PUT", "root-buses", {"tinav7.c1r1p2": "ide"})
