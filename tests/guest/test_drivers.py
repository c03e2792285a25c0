"""The services omi-drivers and omi-drivers-late: which devices they have modprobe look for, by a /sys of few files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guest.shell import GUEST, run_functions, write_program

EARLY, LATE = "omi-drivers", "omi-drivers-late"
NETWORK, DISKS = "pci:v00001AF4d00001000sv00001AF4sd00000001", "pci:v00001AF4d00001004sv00001AF4sd00000008"
VIRTIO, BUTTON = "virtio:d00000001v00001AF4", "acpi:LNXPWRBN:"
DEVICES = {
    "bus/pci/devices/0000:00:02.0/modalias": NETWORK,
    "bus/pci/devices/0000:00:03.0/modalias": DISKS,
    "bus/virtio/devices/virtio0/modalias": VIRTIO,
    "bus/virtio/devices/virtio1/modalias": VIRTIO,
    "bus/acpi/devices/LNXPWRBN:00/modalias": BUTTON,
    "bus/serio/devices/serio1/modalias": "serio:ty01pr00id00ex00",
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


def start(service: str) -> str:
    # OpenRC runs it without -e
    return f'set +e; ebegin() {{ :; }}; eend() {{ return "$1"; }}; . {GUEST}/files/{service}.initd; start'


def load(machine: Path, service: str, modprobe: str) -> list[list[str]]:
    """What modprobe was told, call by call; it fails as it does where a device has no driver."""
    write_program(machine, "modprobe", f'echo "$*" >> {machine}/told\n{modprobe}\nexit 1')
    done = run_functions(start(service), machine, sys=str(machine / "sys"))
    assert done.returncode == 0, "a device without a driver is no failure"
    assert not done.stdout + done.stderr, "nor does it say anything of it on the console"
    told = [line.split() for line in (machine / "told").read_text().splitlines()]
    assert all(call[:2] == ["-b", "-a"] for call in told)
    return [sorted(call[2:]) for call in told]


def test_disks_and_networks_come_first_and_are_looked_for_once(machine: Path) -> None:
    assert load(machine, EARLY, "echo 'no such module' >&2") == [sorted([NETWORK, DISKS, VIRTIO])]


def test_all_other_devices_come_late_by_few_processes(machine: Path) -> None:
    told = load(machine, LATE, "echo 'no such module' >&2")
    assert len(told) == 2, "a second round, for what the first one's drivers find"
    assert told[0] == sorted({text for path, text in DEVICES.items() if "modalias" in path})


@pytest.mark.parametrize("service", [EARLY, LATE])
def test_what_the_first_drivers_find_gets_its_own(machine: Path, service: str) -> None:
    found = machine / "sys/bus/scsi/devices/0:0:0:0"
    first, second = load(machine, service, f"mkdir -p {found} && echo scsi:t-0x00 > {found}/modalias")
    assert "scsi:t-0x00" not in first
    assert "scsi:t-0x00" in second


def test_a_machine_without_any_device_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "sys/bus").mkdir(parents=True)
    write_program(tmp_path, "modprobe", f"echo called > {tmp_path}/told")
    done = run_functions(start(EARLY), tmp_path, sys=str(tmp_path / "sys"))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert not (tmp_path / "told").exists()


def test_together_they_find_what_a_walk_through_all_devices_finds(tmp_path: Path) -> None:
    """On this machine: Alpine's hwdrivers walks through all of /sys/devices."""
    walked = {path.read_text().strip() for path in Path("/sys/devices").rglob("modalias")}
    write_program(tmp_path, "modprobe", f'shift 2; for name; do echo "$name"; done >> {tmp_path}/told')
    done = run_functions(start(LATE), tmp_path)
    assert done.returncode == 0, done.stderr
    assert set((tmp_path / "told").read_text().splitlines()) == walked
