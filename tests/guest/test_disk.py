"""Which disk is taken: the one the API's name leads to, else the one empty disk of the right size, else none."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.guest.shell import run_functions, write_program

GIB = 1024**3


@dataclass(frozen=True)
class Disk:
    name: str
    size: int = GIB
    partitions: int = 0
    mounted: str = ""
    holds: str = ""


def choose(tmp_path: Path, disks: list[Disk], links: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run choose_disk on a machine with these disks; `links` are names in /dev/disk/by-id."""
    devices = tmp_path / "dev"
    (tmp_path / "by-id").mkdir()
    devices.mkdir()
    lsblk = ['if [ "$1" = -dbnpro ]; then']
    lsblk += [f"echo {devices}/{disk.name} disk {disk.size}" for disk in disks]
    lsblk += ['exit; fi; case "$2 $3" in']
    blkid = ["for last; do :; done", 'case "$last" in']
    for disk in disks:
        place = devices / disk.name
        place.touch()
        names = "; ".join(f"echo {disk.name}{n or ''}" for n in range(disk.partitions + 1))
        lsblk += [f'"NAME {place}") {names} ;;', f'"MOUNTPOINT {place}") echo "{disk.mounted}" ;;']
        lsblk += [f'"SIZE {place}") echo {disk.size} ;;']
        blkid += [f'{place}) echo "{disk.holds}" ;;']
    write_program(tmp_path, "lsblk", "\n".join([*lsblk, "esac"]))
    write_program(tmp_path, "blkid", "\n".join([*blkid, "esac"]))
    for link, target in links.items():
        (tmp_path / "by-id" / link).symlink_to(devices / target)
    return run_functions(
        'choose_disk; echo "DISK=$DISK"',
        tmp_path,
        BY_ID=str(tmp_path / "by-id"),
        DISK_SECONDS="0",
        DISK_DEVICE="/dev/xvdf",
        DISK_SIZE_BYTES=str(GIB),
    )


ROOT = Disk("vda", size=4 * GIB, partitions=1, mounted="/")


def test_the_apis_name_leads_to_the_disk(tmp_path: Path) -> None:
    links = {"scsi-0QEMU_QEMU_HARDDISK_sdf": "sdb", "scsi-SQEMU_QEMU_HARDDISK_sdf": "sdb", "scsi-0QEMU_x_sdg": "sdc"}
    done = choose(tmp_path, [ROOT, Disk("sdb"), Disk("sdc")], links)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("/dev/sdb\n")


def test_without_a_link_the_only_fitting_disk_is_taken(tmp_path: Path) -> None:
    done = choose(tmp_path, [ROOT, Disk("sdb"), Disk("sdc", size=2 * GIB), Disk("sdd", holds="ext4 filesystem")], {})
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("/dev/sdb\n")


@pytest.mark.parametrize(
    "disks",
    [
        pytest.param([ROOT], id="none"),
        pytest.param([ROOT, Disk("sdb"), Disk("sdc")], id="two that fit"),
        pytest.param([ROOT, Disk("sdb", size=GIB - 512)], id="another size"),
        pytest.param([ROOT, Disk("sdb", partitions=1)], id="partitions"),
        pytest.param([ROOT, Disk("sdb", mounted="/data")], id="mounted"),
        pytest.param([ROOT, Disk("sdb", holds="gpt")], id="a partition table"),
    ],
)
def test_it_never_guesses(tmp_path: Path, disks: list[Disk]) -> None:
    done = choose(tmp_path, disks, {})
    assert done.returncode == 1
    assert "guest: ERROR: no disk is known as /dev/xvdf, and not exactly one empty disk has 1073741824" in done.stderr
    assert "all disks:" in done.stderr


@pytest.mark.parametrize(
    ("disk", "reason"),
    [
        (Disk("sdb", holds="ext4 filesystem"), "is not empty: it holds ext4 filesystem"),
        (Disk("sdb", partitions=2), "has partitions"),
        (Disk("sdb", mounted="/data"), "is mounted"),
        (Disk("sdb", size=2 * GIB), "has 2147483648 bytes, not 1073741824"),
    ],
)
def test_a_named_disk_that_is_not_empty_is_refused(tmp_path: Path, disk: Disk, reason: str) -> None:
    done = choose(tmp_path, [ROOT, disk, Disk("sdc")], {"scsi-0QEMU_QEMU_HARDDISK_sdf": "sdb"})
    assert done.returncode == 1
    assert reason in done.stderr
    assert "DISK=" not in done.stdout


def test_two_disks_of_one_name_are_not_chosen_from(tmp_path: Path) -> None:
    links = {"scsi-0QEMU_a_sdf": "sdb", "scsi-0QEMU_b_sdf": "sdc"}
    assert choose(tmp_path, [ROOT, Disk("sdb"), Disk("sdc")], links).returncode == 1
