"""An image of an older point release, upgraded by apk in a real VM, boots as before: by BIOS, by UEFI.

The tests are one story and run in their order, once for a root as the packages lay it out and once for one that is
merged into /usr. Release 3.23.4 with its kernel comes from an older Python wheel, 3.23.6 is the fixture mirror's.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from sandbox.config import default_cache
from sandbox.machines.qemu import QemuMachines
from sandbox.mirror import Catalogue, CatalogueBranch, MirrorSettings, MirrorSource, PointRelease, serve
from sandbox.mirror.cache import signing_key, silent
from sandbox.mirror.make import make_pool, make_tree
from tests.guest.boots import IMAGE, WAIT, machines_with_image, start
from tests.guest.test_firmware import LOADERS, PACKAGES, entered, part, run
from tests.sandbox.machines.guest import Guest, address, new_key

pytestmark = pytest.mark.slow

OLDER = Path(__file__).with_name("older-wheel.txt")
HOST = "169.254.0.2"
"""This machine's loopback, as a VM reaches it."""
WAITS = 15
"""Minutes that an upgrade may take."""
STATE = """
id; doas -n id -un; hostname; cat .ssh/authorized_keys /etc/ssh/ssh_host_ed25519_key.pub /var/lib/ran
/sbin/ip -o -4 addr show dev eth0 | awk '{ print $4 }'; /sbin/ip route show default; cat /etc/resolv.conf
df -Pk / | awk 'NR == 2 { print $2 }'; ls /etc/runlevels/*; doas -n /sbin/apk audit
doas -n /sbin/apk audit | while read -r kind file; do
	case $kind in A | U) [ ! -f "/$file" ] || doas -n sha256sum "/$file" ;; esac
done
doas -n cat /etc/mkinitfs/mkinitfs.conf /boot/extlinux.conf
doas -n grep -E '^[[:blank:]]*(menuentry|linux|initrd)[[:blank:]]' /boot/grub/grub.cfg
"""
"""What nobody wants an upgrade to change."""


def older_mirror(folder: Path) -> Path:
    """A mirror that has the older release alone."""
    (folder / "scratch").mkdir(parents=True)
    cache, key = default_cache(), signing_key(default_cache())
    pool = make_pool(folder / "pool", cache / "mirror/downloads", folder / "scratch", key, silent, OLDER)
    day = date(2026, 4, 15)
    branch = CatalogueBranch(
        "v3.23", released=day, end_of_life=date(2027, 11, 1), releases=(PointRelease("3.23.4", day),)
    )
    make_tree(folder / "mirror", Catalogue((branch,), "v3.23"), pool)
    return folder / "mirror"


def older_release() -> dict[str, str]:
    """Settings of a build of it."""
    return {"IMAGE_KEYS": signing_key(default_cache()).name, "RELEASE": "3.23.4"}


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mirror of the older release."""
    return older_mirror(tmp_path_factory.mktemp("older"))


def merge_usr(root: Path) -> None:
    """Move what lies in /bin, /sbin and /lib into /usr, as new installations of Alpine have it."""
    for name in ("bin", "sbin", "lib"):
        run("cp", "-a", f"{root / name}/.", root / "usr" / name)
        shutil.rmtree(root / name)
        (root / name).symlink_to(f"usr/{name}")


@pytest.fixture(scope="module", params=["/lib", "usr/lib"])
def library(request: pytest.FixtureRequest) -> str:
    """Where /lib leads; the second is a root that is merged into /usr."""
    return str(request.param)


@pytest.fixture(scope="module")
def machines(older: Path, library: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QemuMachines]:
    """Machines that have an image of the older release for both firmwares, with the newer one in its repositories."""

    def change(device: Path) -> None:
        if library == "usr/lib":
            with entered(part(device, 2), tmp_path_factory.mktemp("merged") / "root") as root:
                merge_usr(root)

    newer = serve(("127.0.0.1", 0), default_cache(), MirrorSettings(MirrorSource.FIXTURE))
    try:
        values = {
            **older_release(),
            "FIRMWARE": "hybrid",
            "PACKAGES": f"{PACKAGES}\n{LOADERS['hybrid']}",
            "REPOSITORIES": f"{newer.url.replace('127.0.0.1', HOST)}/alpine/v3.23/main",
        }
        with machines_with_image(tmp_path_factory.mktemp("image"), older, values, change) as machines:
            yield machines
    finally:
        newer.close()


@pytest.fixture(scope="module")
def guest(machines: QemuMachines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    guest = Guest(machines, "i-00000001", address(40), new_key(tmp_path_factory.mktemp("key")), "alpine")
    machines.create_volume("vol-root", 2, IMAGE)
    start(guest, "vol-root", "ip-10-0-0-5", b"#!/bin/sh\necho ran >> /var/lib/ran\n")
    guest.run(WAIT)
    yield guest
    machines.delete_vm(guest.vm_id)


@pytest.fixture(scope="module")
def before(guest: Guest) -> str:
    """The state before the upgrade."""
    return guest.run(STATE)


def finish_upgrade(guest: Guest, command: str) -> None:
    """Run apk as root until it has ended; it takes minutes under emulation."""
    log = "/var/log/upgrade"
    guest.run(f"doas -n sh -c 'touch /var/lib/before; nohup sh -c \"{command}; echo ended \\$?\" > {log} 2>&1 &'")
    wait = f'timeout 60 sh -c "until grep ^ended {log}; do sleep 1; done"'
    ended = next(filter(None, (guest.run(wait, check=False) for _ in range(WAITS))), "")
    assert ended == "ended 0\n", guest.run(f"cat {log}")


def test_the_upgrade_rebuilds_the_initramfs_and_both_menus(guest: Guest, library: str, before: str) -> None:
    assert guest.run("readlink /lib || echo /lib") == f"{library}\n"
    finish_upgrade(guest, "/sbin/apk upgrade")
    assert guest.run("cat /etc/alpine-release") == "3.23.6\n"
    written = guest.run("doas -n find /boot -newer /var/lib/before").split()
    assert {"/boot/initramfs-virt", "/boot/extlinux.conf", "/boot/grub/grub.cfg"} <= set(written)
    assert guest.run("readlink /lib || echo /lib") == f"{library}\n"


@pytest.mark.parametrize("firmware", ["uefi", "legacy"])
def test_it_boots_the_new_kernel_and_is_what_it_was(guest: Guest, before: str, firmware: str) -> None:
    running = guest.run("uname -r")
    guest.machines.stop_vm(guest.vm_id, force=False)
    start(guest, "vol-root", "ip-10-0-0-5", firmware=firmware)
    installed = guest.run("/sbin/apk list --installed linux-virt").removeprefix("linux-virt-")
    assert guest.run("uname -r").split("-")[0] == installed.split("-")[0]
    assert firmware == "legacy" or guest.run("uname -r") != running
    assert guest.run("[ ! -e /sys/firmware/efi ] || echo uefi") == ("uefi\n" if firmware == "uefi" else "")
    assert guest.run(STATE) == before
