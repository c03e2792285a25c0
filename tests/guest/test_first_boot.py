"""An image that the guest's scripts made, in real VMs: what its first boots make of the metadata service, and of
machines with two network cards, jumbo frames, no IPv6, swap, and a disk of 2 TiB.

The tests are one story and run in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.config import default_cache
from sandbox.machines import vm
from sandbox.machines.command import Surroundings, qemu_command
from sandbox.machines.protocol import MachineSpec
from sandbox.machines.qemu import QemuMachines
from sandbox.mirror import ensure
from tests.guest.boots import IMAGE, WAIT, machines_with_image, start
from tests.sandbox.machines.guest import Guest, address, new_key

pytestmark = pytest.mark.slow

LATE_S = 60.0
MTU = 9000
SERVICES_BOOT = "bootmisc hostname hwclock modules networking swap sysctl syslog"
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


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QemuMachines]:
    """Machines that have the image's snapshot."""
    values = {"SERVICES_BOOT": SERVICES_BOOT.replace(" ", "\n")}
    with machines_with_image(tmp_path_factory.mktemp("image"), ensure(default_cache()), values) as machines:
        yield machines


@pytest.fixture(scope="module", autouse=True)
def two_cards() -> Iterator[None]:
    """The first network card has jumbo frames, and every VM has a second one on a network of its own."""

    def command(spec: MachineSpec, around: Surroundings) -> list[str]:
        usual = [f"{word},host_mtu={MTU}" if "netdev=net0" in word else word for word in qemu_command(spec, around)]
        return [*usual, "-netdev", "user,id=net1,net=10.9.0.0/24", "-device", "virtio-net-pci,netdev=net1,romfile="]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vm, "qemu_command", command)
        yield


@pytest.fixture(scope="module")
def first(machines: QemuMachines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    guest = Guest(machines, "i-00000001", address(30), new_key(tmp_path_factory.mktemp("key")), "alpine")
    machines.create_volume("vol-first", 3, IMAGE)
    yield guest
    machines.delete_vm(guest.vm_id)


def test_a_late_metadata_service_without_a_public_address_still_sets_it_up(
    machines: QemuMachines, first: Guest
) -> None:
    machines.delay_metadata(first.vm_id, LATE_S)
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


def test_a_second_network_card_is_left_to_its_owner_and_jumbo_frames_are_used(first: Guest) -> None:
    assert first.run("cat /sys/class/net/eth0/mtu") == f"{MTU}\n"
    assert first.run("ls /sys/class/net").split() == ["eth0", "eth1", "lo"]
    assert first.run("/sbin/ip route show default").split()[:5] == ["default", "via", "169.254.0.2", "dev", "eth0"]
    assert first.run("/sbin/ip -4 addr show dev eth1") == ""


def test_a_reboot_does_not_set_it_up_again(machines: QemuMachines, first: Guest) -> None:
    host_key = first.run("cat /etc/ssh/ssh_host_ed25519_key.pub")
    first.run("echo mine | doas -n tee /etc/hostname")
    first.run("doas -n sed -i 's/^ *APPEND .*/& ipv6.disable=1/' /boot/extlinux.conf")
    swap = "dd if=/dev/zero of=/swap bs=1M count=64 && chmod 600 /swap && mkswap /swap && echo /swap none swap sw 0 0"
    first.run(f"doas -n sh -c '{swap} >> /etc/fstab' 2> /dev/null")
    machines.stop_vm(first.vm_id, force=False)
    machines.delay_metadata(first.vm_id, 0.0)
    start(first, "vol-first", "ip-10-0-0-5", SCRIPT)
    assert first.run("hostname; cat /var/lib/ran").split() == ["mine", "ran"]
    assert first.run("cat /etc/ssh/ssh_host_ed25519_key.pub") == host_key
    assert first.run("ls -d /proc/sys/net/ipv6", check=False) == ""
    assert first.run("tail -n +2 /proc/swaps | cut -d' ' -f1") == "/swap\n"
    started = first.run("for name in networking sysctl; do /sbin/rc-service $name status; done")
    assert started.split().count("started") == 2


def test_an_image_made_while_it_runs_becomes_another_instance_with_a_disk_of_2_tib(
    machines: QemuMachines, first: Guest, tmp_path: Path
) -> None:
    host_key = first.run("sync; cat /etc/ssh/ssh_host_ed25519_key.pub")
    machines.create_snapshot("snap-first", "vol-first")
    machines.stop_vm(first.vm_id, force=True)
    machines.create_volume("vol-second", 2048, "snap-first")
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
        assert int(second.run("df -Pk / | awk 'NR == 2 { print $2 }'")) > 1.9 * 1024**3
        # The boot loader must also find an initramfs that was written after the filesystem grew.
        second.run("doas -n sh -c 'cp /boot/initramfs-virt /boot/new && mv /boot/new /boot/initramfs-virt && sync'")
        machines.stop_vm(second.vm_id, force=False)
        start(second, "vol-second", "ip-10-0-0-6", CONFIG)
        assert second.run("cat /var/lib/ran").splitlines() == ["ran", "ran again"]
    finally:
        machines.delete_vm(second.vm_id)
