"""The options of Alpine's init on the kernel's command line, in VMs that end by themselves."""

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
from tests.guest.test_build import FEATURES, build, loop_device, mounted

pytestmark = pytest.mark.slow

LIMIT = 240
"""Seconds that one boot may take under emulation."""
ENDS = "panic=1"
"""The kernel restarts after a panic, which ends QEMU; Alpine's init panics where it would open a shell otherwise."""
PASSPHRASE = b"correct horse"
ASKS = b"Enter passphrase for /dev/vda: "
ROOT = "cryptroot=/dev/vda cryptdm=unlocked root=/dev/mapper/unlocked rootfstype=ext4"
DISK = "virtio_blk virtio"
"""Begins what the kernel says of a disk."""
SEPARATE_USR = 'echo "LABEL=usr /usr ext4 ro 0 0" >> "$TARGET/etc/fstab"\n'


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a built image's kernel, initramfs and encrypted `disk`, and its /usr, the filesystem `usr`."""
    folder = tmp_path_factory.mktemp("options")
    (folder / "data").mkdir()
    (folder / "data/usr").write_text(SEPARATE_USR)
    features = f"{FEATURES} cryptsetup".replace(" ", "\n")
    with loop_device(folder / "built") as device:
        done = build(folder, device, ensure(default_cache()), SETUP_SCRIPT="usr", INITFS_FEATURES=features)
        assert done.returncode == 0, done.stdout + done.stderr
        with mounted(device, folder / "root") as root:
            for name in ("vmlinuz-virt", "initramfs-virt"):
                shutil.copy(root / "boot" / name, folder)
            make_filesystem(folder / "plain", "256M", "-d", str(root))
    encrypt(folder / "plain", folder / "disk")
    make_filesystem(folder / "usr", "8M", "-L", "usr")
    return folder


def make_filesystem(disk: Path, size: str, *options: str) -> None:
    subprocess.run(["mkfs.ext4", "-q", *options, disk, size], check=True, timeout=60)


def encrypt(plain: Path, disk: Path) -> None:
    """Put a raw disk into LUKS, with as few rounds of its key as can be: the VM is emulated."""
    secret = disk.with_name("passphrase")
    secret.write_bytes(PASSPHRASE)
    options = ["--object", f"secret,id=key,file={secret}", "-O", "luks", "-o", "key-secret=key,iter-time=10"]
    subprocess.run(["qemu-img", "convert", *options, plain, disk], check=True, timeout=60)


def boot(image: Path, options: str) -> str:
    """What the console shows until the kernel panics; the passphrase is typed when it is asked for."""
    command: list[str | Path] = [
        *("timeout", str(LIMIT), QEMU, "-machine", "q35", *Accelerator.TCG.arguments(), "-m", "512", "-no-reboot"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-snapshot"),
        *("-kernel", image / "vmlinuz-virt", "-initrd", image / "initramfs-virt"),
        *("-append", f"console=ttyS0 {options} {ENDS}"),
        *("-netdev", "user,id=net0,restrict=on", "-device", "virtio-net-pci,netdev=net0,romfile="),
        *("-blockdev", json.dumps(raw(image, "disk")), "-device", "virtio-blk-pci,drive=disk"),
        *("-blockdev", json.dumps(raw(image, "usr")), "-device", "virtio-blk-pci,drive=usr"),
    ]
    shown = b""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as vm:
        assert vm.stdout
        while ASKS not in shown and (some := vm.stdout.read(4096)):
            shown += some
        shown += vm.communicate(PASSPHRASE + b"\n")[0]
    assert vm.returncode == 0, shown.decode(errors="replace")
    return shown.decode(errors="replace")


def raw(image: Path, name: str) -> dict[str, Any]:
    return {"driver": "raw", "node-name": name, "file": {"driver": "file", "filename": str(image / name)}}


def test_encrypted_root_usr_overlay_address_resume_and_arguments_for_init(image: Path) -> None:
    # the address is set where something of the network is asked for: here a disk that nobody serves
    address = "modules=virtio_net nbd=10.0.2.2:9 ip=10.0.2.9:::255.255.255.0::eth0:none"
    options = "overlaytmpfs usrflags=ro,nodev,nosuid resume=/dev/vda init=/bin/busybox init_args=mount"
    shown = boot(image, f"{ROOT} {address} {options}")
    assert DISK in shown
    assert ASKS.decode() in shown
    assert "Resume from disk" in shown or "no hibernation support" in shown
    assert "Setting IP (eth0): ok." in shown
    assert "/dev/mapper/unlocked on /media/root-ro type ext4 (ro" in shown, shown
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
