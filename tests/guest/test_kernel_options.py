"""The options of Alpine's init on the kernel's command line, in VMs that end by themselves.

Not seen: `cryptroot=`, which needs the package cryptsetup in the image, and the fixture mirror has none.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox.config import default_cache
from sandbox.machines.accelerator import QEMU, Accelerator
from sandbox.mirror import ensure
from tests.guest.test_build import build, loop_device, mounted

pytestmark = pytest.mark.slow

LIMIT = 240
"""Seconds that one boot may take under emulation."""
ENDS = "panic=1"
"""The kernel restarts after a panic, which ends QEMU; Alpine's init panics where it would open a shell otherwise."""
ROOT = "root=LABEL=alpine-root rootfstype=ext4"
DISK = "virtio_blk virtio"
"""Begins what the kernel says of a disk."""
SEPARATE_USR = 'echo "LABEL=usr /usr ext4 ro 0 0" >> "$TARGET/etc/fstab"\n'


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a built `disk` whose /usr is the filesystem `usr` beside it, and with its kernel and initramfs."""
    folder = tmp_path_factory.mktemp("options")
    (folder / "data").mkdir()
    (folder / "data/usr").write_text(SEPARATE_USR)
    with loop_device(folder / "disk") as device:
        done = build(folder, device, ensure(default_cache()), SETUP_SCRIPT="usr")
        assert done.returncode == 0, done.stdout + done.stderr
        with mounted(device, folder / "root") as root:
            for name in ("vmlinuz-virt", "initramfs-virt"):
                shutil.copy(root / "boot" / name, folder)
    subprocess.run(["mkfs.ext4", "-q", "-L", "usr", folder / "usr", "8M"], check=True, timeout=30)
    return folder


def boot(image: Path, options: str) -> str:
    """What the console shows until the kernel panics."""
    done = subprocess.run(
        [
            *(QEMU, "-machine", "q35", *Accelerator.TCG.arguments(), "-m", "512", "-no-reboot"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-snapshot"),
            *("-kernel", image / "vmlinuz-virt", "-initrd", image / "initramfs-virt"),
            *("-append", f"console=ttyS0 {options} {ENDS}"),
            *("-netdev", "user,id=net0,restrict=on", "-device", "virtio-net-pci,netdev=net0,romfile="),
            *("-blockdev", json.dumps(raw(image, "disk")), "-device", "virtio-blk-pci,drive=disk"),
            *("-blockdev", json.dumps(raw(image, "usr")), "-device", "virtio-blk-pci,drive=usr"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
        check=True,
    )
    return done.stdout.decode(errors="replace")


def raw(image: Path, name: str) -> dict[str, Any]:
    return {"driver": "raw", "node-name": name, "file": {"driver": "file", "filename": str(image / name)}}


def test_root_and_usr_overlay_address_resume_and_arguments_for_init(image: Path) -> None:
    # the address is set where something of the network is asked for: here a disk that nobody serves
    address = "modules=virtio_net nbd=10.0.2.2:9 ip=10.0.2.9:::255.255.255.0::eth0:none"
    options = "overlaytmpfs usrflags=ro,nodev,nosuid resume=/dev/vda init=/bin/busybox init_args=mount"
    shown = boot(image, f"{ROOT} {address} {options}")
    assert DISK in shown
    assert "Resume from disk" in shown or "no hibernation support" in shown
    assert "Setting IP (eth0): ok." in shown
    assert " on / type overlay (rw" in shown, shown  # init is run with its arguments, on the overlay
    assert " on /usr type ext4 (ro,nosuid,nodev" in shown, shown


def test_a_missing_root_ends_in_a_panic_where_the_options_say_so(image: Path) -> None:
    shown = boot(image, "root=LABEL=nobody")
    assert "Mounting root: failed." in shown
    assert "recovery shell" not in shown


def test_a_driver_on_the_blacklist_is_not_loaded(image: Path) -> None:
    shown = boot(image, f"{ROOT} blacklist=virtio_blk")
    assert "Mounting root: failed." in shown
    assert DISK not in shown
