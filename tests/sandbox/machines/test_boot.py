"""The source OMI in real VMs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.machines.protocol import Disk, MachineSpec
from sandbox.machines.qemu import QemuMachines
from sandbox.source_omi import SourceDisk
from tests.sandbox.machines.guest import BOOT_LIMIT_S, SSH_PORT, Guest, address, metadata, new_key

pytestmark = pytest.mark.slow

BY_ID = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_"
DATA = Disk("vol-data", "/dev/xvdf")
MORE = Disk("vol-more", "/dev/xvdg")
USER_DATA = b"#!/bin/sh\necho once >>/var/tmp/user-data-ran\n"


@pytest.fixture(scope="module")
def machines(source_disk: SourceDisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QemuMachines]:
    home = tmp_path_factory.mktemp("home")
    machines = QemuMachines(home)
    machines.import_snapshot("snap-source", str(source_disk.path))
    yield machines
    machines.close()
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def guest(machines: QemuMachines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """A VM from the source OMI on a larger volume, with an empty volume at /dev/xvdf."""
    guest = Guest(machines, "i-aaaa", address(2), new_key(tmp_path_factory.mktemp("key")))
    root = Disk("vol-root", "/dev/sda1")
    machines.create_volume(root.volume_id, 12, "snap-source")
    for disk in (DATA, MORE):
        machines.create_volume(disk.volume_id, 10, None)
    spec = MachineSpec(guest.vm_id, guest.ip, SSH_PORT, (root, DATA))
    machines.start_vm(spec, metadata(guest.vm_id, guest.key, USER_DATA))
    guest.wait()
    yield guest
    machines.delete_vm(guest.vm_id)


def test_the_key_of_the_metadata_opens_the_vm(guest: Guest, tmp_path: Path) -> None:
    assert guest.run("id -un; sudo -n id -un; hostname").split() == ["outscale", "root", "i-aaaa"]
    other = Guest(guest.machines, guest.vm_id, guest.ip, new_key(tmp_path, "other"))
    assert other.run("id -un", check=False) == ""


def test_the_vm_is_outscales_and_healthy(guest: Guest) -> None:
    assert guest.run("cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name").splitlines() == [
        "3DS Outscale",
        "3DS Outscale VM",
    ]
    assert guest.run("sudo systemctl list-units --failed --no-legend").strip() == ""
    assert guest.run("ls /etc/ssh/ssh_host_*_key").split() == ["/etc/ssh/ssh_host_ed25519_key"]
    assert (
        guest.run(
            "ls -d /etc/apt/sources.list* /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/99mm* 2>/dev/null; true"
        ).strip()
        == "/etc/apt/sources.list.d"
    )


def test_the_image_has_what_a_build_needs_and_nothing_of_alpine(guest: Guest) -> None:
    tools = "mkfs.ext4 sfdisk mkfs.vfat modprobe zstd xz wget curl lsblk blkid fstrim parted sudo"
    assert (
        guest.run(f"export PATH=$PATH:/usr/sbin:/sbin; for t in {tools}; do command -v $t >/dev/null || echo $t; done")
        == ""
    )
    assert guest.run("command -v extlinux syslinux apk", check=False) == ""


def test_the_root_grows_with_its_volume(guest: Guest) -> None:
    guest.run("for i in $(seq 60); do [ -e /var/tmp/user-data-ran ] && exit; sleep 1; done; exit 1")
    assert int(guest.run("df --output=size -BM / | tail -1").strip().rstrip("M")) > 11 * 1024


def test_metadata_is_imdsv1_only(guest: Guest) -> None:
    base = "http://169.254.169.254/latest"
    assert guest.run(f"curl -s -m 10 {base}/meta-data/instance-id") == "i-aaaa"
    assert guest.run(f"curl -s -m 10 -X PUT -o /dev/null -w '%{{http_code}}' {base}/api/token") == "405"
    many = f"for i in $(seq 10); do curl -s -m 20 -o /dev/null -w '%{{http_code}}\\n' {base}/user-data & done; wait"
    assert guest.run(many).split() == ["200"] * 10


def test_volumes_are_found_by_their_api_name_and_come_and_go(guest: Guest) -> None:
    assert guest.run(f"ls {BY_ID}*").split() == [f"{BY_ID}sdf"]
    guest.machines.attach_volume(guest.vm_id, MORE)
    guest.run(f"for i in $(seq 100); do [ -b {BY_ID}sdg ] && exit; sleep 0.1; done; exit 1")
    guest.machines.detach_volume(guest.vm_id, MORE)
    guest.run(f"for i in $(seq 100); do [ -b {BY_ID}sdg ] || exit 0; sleep 0.1; done; exit 1")


def test_a_snapshot_holds_what_the_guest_wrote(guest: Guest) -> None:
    guest.run(
        f"sudo mkfs.ext4 -q {BY_ID}sdf && sudo mount {BY_ID}sdf /mnt && echo kept | sudo tee /mnt/file && sudo sync"
    )
    guest.machines.create_snapshot("snap-data", DATA.volume_id)
    guest.run("sudo umount /mnt")

    assert guest.machines._disks.snapshot("snap-data").stat().st_blocks * 512 < 200 << 20
    guest.machines.create_volume("vol-copy", 10, "snap-data")
    copy = Disk("vol-copy", "/dev/sdh")
    guest.machines.attach_volume(guest.vm_id, copy)
    mount = f"for i in $(seq 100); do [ -b {BY_ID}sdh ] && break; sleep 0.1; done; sudo mount {BY_ID}sdh /mnt"
    assert guest.run(f"{mount} && cat /mnt/file; sudo umount /mnt").strip() == "kept"
    guest.machines.detach_volume(guest.vm_id, copy)


def test_freed_blocks_go_back(guest: Guest) -> None:
    guest.machines.attach_volume(guest.vm_id, MORE)
    wait = f"for i in $(seq 100); do [ -b {BY_ID}sdg ] && break; sleep 0.1; done"
    guest.run(f"{wait}; sudo dd if=/dev/urandom of={BY_ID}sdg bs=1M count=64 oflag=direct status=none")
    guest.run(f"sudo blkdiscard {BY_ID}sdg")
    guest.machines.create_snapshot("snap-more", MORE.volume_id)
    guest.machines.detach_volume(guest.vm_id, MORE)

    assert guest.machines._disks.snapshot("snap-more").stat().st_blocks * 512 < 2 << 20


def test_power_off_keeps_what_was_written_and_user_data_runs_once(guest: Guest) -> None:
    key = guest.run("cat /etc/ssh/ssh_host_ed25519_key.pub")
    guest.run("echo mine >note")
    guest.machines.stop_vm(guest.vm_id, force=False)
    console = guest.machines.console(guest.vm_id)
    assert not guest.machines.vm_running(guest.vm_id)
    assert b"Power down" in console
    assert b"metadata-agent: i-aaaa is ready" in console

    root = Disk("vol-root", "/dev/sda1")
    spec = MachineSpec(guest.vm_id, guest.ip, SSH_PORT, (root,))
    guest.machines.start_vm(spec, metadata(guest.vm_id, guest.key, USER_DATA))
    guest.wait()
    assert guest.run("cat note; cat /etc/ssh/ssh_host_ed25519_key.pub") == f"mine\n{key}"
    assert guest.run("cat /var/tmp/user-data-ran").split() == ["once"]


def test_two_vms_at_once_one_with_a_late_metadata_service(machines: QemuMachines, tmp_path: Path) -> None:
    guests = [Guest(machines, f"i-two{n}", address(10 + n), new_key(tmp_path, f"key{n}")) for n in range(2)]
    machines.delay_metadata("i-two1", BOOT_LIMIT_S)
    for guest in guests:
        machines.create_volume(f"vol-{guest.vm_id}", 10, "snap-source")
        spec = MachineSpec(guest.vm_id, guest.ip, SSH_PORT, (Disk(f"vol-{guest.vm_id}", "/dev/sda1"),))
        machines.start_vm(spec, metadata(guest.vm_id, guest.key))
    guests[0].wait()

    assert not guests[1].answers()
    machines.delay_metadata("i-two1", 0.0)
    guests[1].wait()
    assert [guest.run("curl -s -m 10 http://169.254.169.254/latest/meta-data/instance-id") for guest in guests] == [
        "i-two0",
        "i-two1",
    ]
    for guest in guests:
        machines.delete_vm(guest.vm_id)
