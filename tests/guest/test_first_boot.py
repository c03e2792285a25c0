"""An image that the guest's scripts made, in real VMs: what its first boots make of what the metadata service tells.

The tests are one story and run in their order.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.config import default_cache
from sandbox.machines.metadata import Trouble
from sandbox.machines.protocol import Disk, MachineSpec, Metadata
from sandbox.machines.qemu import QemuMachines
from sandbox.mirror import ensure
from tests.guest.test_build import build, loop_device
from tests.sandbox.machines.guest import SSH_PORT, Guest, address, new_key

pytestmark = pytest.mark.slow

LATE_S = 60.0
SCRIPT = b"#!/bin/sh\nhostname > /var/lib/named\necho ran >> /var/lib/ran\n"
CONFIG = b"""#alpine-config
write_files:
  - path: /etc/written
    content: by user data
packages:
  - no-such-package
runcmd:
  - echo ran again >> /var/lib/ran
"""
WAIT = """
for i in $(seq 60); do
	[ "$(/sbin/tiny-cloud --bootstrap status)" != complete ] || exit 0
	sleep 1
done
exit 1
"""


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QemuMachines]:
    """Machines that have the image's snapshot."""
    folder = tmp_path_factory.mktemp("image")
    with loop_device(folder / "disk") as device:
        done = build(folder, device, ensure(default_cache()))
        assert done.returncode == 0, done.stdout + done.stderr
    machines = QemuMachines(folder / "home")
    machines.import_snapshot("snap-image", str(folder / "disk"))
    yield machines
    machines.close()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def first(machines: QemuMachines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    guest = Guest(machines, "i-00000001", address(30), new_key(tmp_path_factory.mktemp("key")), "alpine")
    machines.create_volume("vol-first", 3, "snap-image")
    yield guest
    machines.delete_vm(guest.vm_id)


def start(guest: Guest, volume: str, name: str, user_data: bytes) -> float:
    """Seconds until SSH answers, at most the rest of what Guest.wait grants."""
    entries = {
        "meta-data/instance-id": guest.vm_id.encode(),
        "meta-data/local-hostname": f"{name}.eu-west-2.compute.internal".encode(),
        "meta-data/public-keys/0/openssh-key": guest.key.with_suffix(".pub").read_bytes(),
        "user-data": user_data,
    }
    spec = MachineSpec(guest.vm_id, guest.ip, SSH_PORT, (Disk(volume, "/dev/sda1"),))
    guest.machines.start_vm(spec, Metadata(entries))
    return guest.wait()


def test_a_late_metadata_service_without_a_public_address_still_sets_it_up(
    machines: QemuMachines, first: Guest
) -> None:
    machines.set_trouble(first.vm_id, Trouble(silent_s=LATE_S))
    assert start(first, "vol-first", "ip-10-0-0-5", SCRIPT) > LATE_S
    first.run(WAIT)
    assert first.run("hostname; cat /var/lib/named /var/lib/ran; doas -n id -un").split() == [
        "ip-10-0-0-5",
        "ip-10-0-0-5",
        "ran",
        "root",
    ]
    assert first.run("ls /etc/ssh/ssh_host_*_key").split() == ["/etc/ssh/ssh_host_ed25519_key"]
    assert int(first.run("df -Pk / | awk 'NR == 2 { print $2 }'")) > 2.7 * 1024**2


def test_a_reboot_does_not_set_it_up_again(machines: QemuMachines, first: Guest) -> None:
    host_key = first.run("cat /etc/ssh/ssh_host_ed25519_key.pub")
    first.run("echo mine | doas -n tee /etc/hostname")
    first.run("doas -n sed -i 's/^ *APPEND .*/& ipv6.disable=1/' /boot/extlinux.conf")
    machines.stop_vm(first.vm_id, force=False)
    machines.set_trouble(first.vm_id, Trouble())
    start(first, "vol-first", "ip-10-0-0-5", SCRIPT)
    assert first.run("hostname; cat /var/lib/ran").split() == ["mine", "ran"]
    assert first.run("cat /etc/ssh/ssh_host_ed25519_key.pub") == host_key
    assert first.run("ls -d /proc/sys/net/ipv6", check=False) == ""
    started = first.run("for name in networking sysctl; do /sbin/rc-service $name status; done")
    assert started.split().count("started") == 2


def test_an_image_of_it_becomes_another_instance(machines: QemuMachines, first: Guest, tmp_path: Path) -> None:
    host_key = first.run("cat /etc/ssh/ssh_host_ed25519_key.pub")
    machines.stop_vm(first.vm_id, force=False)
    machines.create_snapshot("snap-first", "vol-first")
    machines.create_volume("vol-second", 4, "snap-first")
    second = Guest(machines, "i-00000002", address(31), new_key(tmp_path), "alpine")
    try:
        start(second, "vol-second", "ip-10-0-0-6", CONFIG)
        second.run(WAIT)
        failed = "user data failed at userdata_packages; it is not run again"
        assert failed in second.run("doas -n cat /var/log/messages")
        assert failed.encode() in machines.console(second.vm_id)
        assert second.run("hostname; cat /etc/written").splitlines() == ["ip-10-0-0-6", "by user data"]
        assert second.run("cat /var/lib/ran").splitlines() == ["ran", "ran again"]
        assert second.run("cat /etc/ssh/ssh_host_ed25519_key.pub") != host_key
        assert int(second.run("df -Pk / | awk 'NR == 2 { print $2 }'")) > 3.6 * 1024**2
    finally:
        machines.delete_vm(second.vm_id)
