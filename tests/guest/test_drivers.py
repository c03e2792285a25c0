"""The service omi-drivers: which devices it has modprobe look for, in a /sys of a few files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guest.shell import GUEST, run_functions, write_program

# OpenRC runs it without -e
START = f'set +e; ebegin() {{ :; }}; eend() {{ return "$1"; }}; . {GUEST}/files/omi-drivers.initd; start'
DEVICES = {
    "bus/pci/devices/0000:00:02.0/modalias": "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00",
    "bus/pci/devices/0000:00:03.0/modalias": "pci:v00001AF4d00001004sv00001AF4sd00000008bc01sc00i00",
    "bus/virtio/devices/virtio0/modalias": "virtio:d00000001v00001AF4",
    "bus/virtio/devices/virtio1/modalias": "virtio:d00000001v00001AF4",
    "class/input/input0/modalias": "input:b0011v0001p0001eAB41-e0,1,4",
    "class/dmi/id/modalias": "dmi:bvnSeaBIOS:svn3DSOutscale:",
    "devices/system/cpu/modalias": "cpu:type:x86,ven0000fam000F:feature:,0000",
    "devices/system/cpu/uevent": "MODALIAS=cpu:type:x86",
}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    for path, text in DEVICES.items():
        (tmp_path / "sys" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys" / path).write_text(f"{text}\n")
    return tmp_path


def load(machine: Path, modprobe: str) -> list[str]:
    """What modprobe was told, call by call; it fails as it does where a device has no driver."""
    write_program(machine, "modprobe", f'echo "$*" >> {machine}/told\n{modprobe}\nexit 1')
    done = run_functions(START, machine, sys=str(machine / "sys"))
    assert done.returncode == 0, "a device without a driver is no failure"
    assert not done.stdout + done.stderr, "nor does it say anything of it on the console"
    return (machine / "told").read_text().splitlines()


def test_each_kind_of_device_is_looked_for_once_by_few_processes(machine: Path) -> None:
    told = load(machine, "echo 'no such module' >&2")
    assert len(told) == 2, "a second round, for what the first one's drivers find"
    assert told[0].split()[:2] == ["-b", "-a"]
    assert sorted(told[0].split()[2:]) == sorted({text for path, text in DEVICES.items() if "modalias" in path})


def test_what_the_first_drivers_find_gets_its_own(machine: Path) -> None:
    found = machine / "sys/bus/scsi/devices/0:0:0:0"
    first, second = load(machine, f"mkdir -p {found} && echo scsi:t-0x00 > {found}/modalias")
    assert "scsi:t-0x00" not in first
    assert "scsi:t-0x00" in second


def test_it_finds_what_a_walk_through_all_devices_finds(tmp_path: Path) -> None:
    """On this machine: Alpine's hwdrivers walks through all of /sys/devices."""
    walked = {path.read_text().strip() for path in Path("/sys/devices").rglob("modalias")}
    write_program(tmp_path, "modprobe", f'shift 2; for name; do echo "$name"; done >> {tmp_path}/told')
    done = run_functions(START, tmp_path)
    assert done.returncode == 0, done.stderr
    assert set((tmp_path / "told").read_text().splitlines()) == walked
