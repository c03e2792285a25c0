from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from sandbox.machines.accelerator import Accelerator
from sandbox.machines.command import Surroundings, attachment, qemu_command
from sandbox.machines.protocol import Disk, MachineError, MachineSpec

ROOT = Disk("vol-1", "/dev/sda1")
SPEC = MachineSpec("i-1", "127.93.16.4", 2222, (ROOT, Disk("vol-2", "/dev/xvdf")))
AROUND = Surroundings(
    Accelerator.TCG,
    {"vol-1": Path("/home/a, b/1.qcow2"), "vol-2": Path("/home/a, b/2.qcow2")},
    Path("/home/a, b/vms/i-1"),
    8000,
    7,
    "/usr/bin/socat",
)


def values(command: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(command) if name == option]


def parsed(device: str) -> object:
    return json.loads(device) if device.startswith("{") else device


def test_emulation_uses_one_thread_and_one_cpu() -> None:
    command = qemu_command(SPEC, AROUND)

    assert values(command, "-accel") == ["tcg,thread=single,tb-size=64"]
    assert values(command, "-smp") == ["1"]
    assert values(command, "-cpu") == ["max"]


def test_the_first_disk_is_virtio_blk_and_the_others_are_found_by_id() -> None:
    command = qemu_command(SPEC, AROUND)
    root, second = (json.loads(value) for value in values(command, "-blockdev"))
    devices = values(command, "-device")

    assert root["file"]["filename"] == "/home/a, b/1.qcow2"
    assert {"driver": "virtio-blk-pci", "drive": "node-root", "id": "root", "bootindex": 0} in map(parsed, devices)
    assert json.loads(devices[-1]) == {
        "driver": "scsi-hd",
        "id": "sdf",
        "bus": "scsi0.0",
        "drive": second["node-name"],
        "device_id": "sdf",
        "serial": "sdf",
    }
    assert all(disk["discard"] == disk["detect-zeroes"] == "unmap" for disk in (root, second))


def test_the_root_may_be_on_virtio_scsi_where_it_is_still_the_first_disk_to_boot() -> None:
    devices = values(qemu_command(replace(SPEC, root_bus="virtio-scsi"), AROUND), "-device")

    root, second = (json.loads(device) for device in devices[-2:])
    assert root == {"driver": "scsi-hd", "bus": "scsi0.0", "drive": "node-root", "id": "root", "bootindex": 0}
    assert (second["id"], second["bus"]) == ("sdf", "scsi0.0")
    assert not [device for device in devices if "virtio-blk" in device]


def test_the_guest_gets_ssh_metadata_and_outscales_name() -> None:
    command = qemu_command(SPEC, AROUND)

    (netdev,) = values(command, "-netdev")
    assert "hostfwd=tcp:127.93.16.4:2222-169.254.0.15:22" in netdev
    assert "guestfwd=tcp:169.254.169.254:80-cmd:/usr/bin/socat - TCP:127.0.0.1:8000" in netdev
    assert values(command, "-smbios") == ["type=1,manufacturer=3DS Outscale,product=3DS Outscale VM,serial=i-1"]


def test_without_an_address_no_port_of_the_guest_is_reachable() -> None:
    command = qemu_command(MachineSpec("i-1", "", 2222, (ROOT,)), AROUND)

    assert "hostfwd" not in " ".join(command)


def test_legacy_boots_by_the_bios_and_uefi_by_its_own_copy_of_the_variables() -> None:
    legacy = qemu_command(SPEC, AROUND)
    uefi = qemu_command(MachineSpec("i-1", "", 2222, (ROOT,), "uefi"), AROUND)

    assert values(legacy, "-drive") == []
    assert values(uefi, "-drive") == [
        "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
        "if=pflash,format=raw,file=/home/a,, b/vms/i-1/uefi-variables.fd",
    ]
    with pytest.raises(MachineError, match="allowed are legacy and uefi"):
        qemu_command(MachineSpec("i-1", "", 2222, (ROOT,), "bios"), AROUND)


@pytest.mark.parametrize(("device", "name"), [("/dev/xvdf", "sdf"), ("/dev/sdb", "sdb"), ("/dev/xvdaa", "sdaa")])
def test_a_device_of_the_api_has_its_name_in_the_guest(device: str, name: str) -> None:
    assert attachment(Disk("vol-2", device)).name == name


@pytest.mark.parametrize("device", ["/dev/sda1", "xvdf", "/dev/vdb", "/dev/xvdf,drive=x", ""])
def test_a_device_that_is_none_is_refused(device: str) -> None:
    with pytest.raises(MachineError, match="allowed are names like /dev/xvdb"):
        attachment(Disk("vol-2", device))
