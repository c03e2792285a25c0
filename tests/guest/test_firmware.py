"""Disks for UEFI and for both ways of booting, built on a loop device: partitions, loaders, upgrade and growth."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.config import default_cache
from sandbox.mirror import ensure
from tests.guest.test_build import SIZE, build, left_over, loop_device

pytestmark = pytest.mark.slow

LOADERS = {"uefi": "grub-efi", "hybrid": "grub-efi\nsyslinux"}
PACKAGES = "alpine-base linux-virt openrc partx sfdisk e2fsprogs-extra openssh dhcpcd doas".replace(" ", "\n")
PACKAGES += "\ntiny-cloud\ntiny-cloud-openrc"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"  # UEFI specification, 5.3.3
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
OPTIONS = "modules=ext4,virtio_blk console=ttyS0,115200n8 rootfstype=ext4"


def run(*command: str | Path, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def entered(device: Path, place: Path) -> Iterator[Path]:
    """The image's root as a running system has it: writable, with dev, proc and sys."""
    place.mkdir()
    run("mount", device, place)
    try:
        for name in ("dev", "proc", "sys"):
            run("mount", "--bind", f"/{name}", place / name)
        yield place
    finally:
        for name in ("dev", "proc", "sys", ""):
            # at once, whatever still runs in there: pytest may clear a folder that holds the machine's own devices
            run("umount", "--lazy", place / name)


@pytest.fixture(scope="module", params=sorted(LOADERS))
def disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A built disk, one for all tests of its firmware: they only add to it."""
    folder = tmp_path_factory.mktemp("firmware")
    with loop_device(folder / "disk") as device:
        values = {"FIRMWARE": request.param, "PACKAGES": f"{PACKAGES}\n{LOADERS[request.param]}"}
        done = build(folder, device, ensure(default_cache()), **values)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not left_over(folder)
        yield request.param, device


def part(device: Path, number: int) -> Path:
    return Path(f"{device}p{number}")


def blkid(device: Path, tag: str) -> str:
    return run("blkid", "-p", "-o", "value", "-s", tag, device).strip()


def test_partitions_and_boot_code_are_what_each_firmware_looks_for(disk: tuple[str, Path]) -> None:
    firmware, device = disk
    table: dict[str, Any] = json.loads(run("sfdisk", "--json", device))["partitiontable"]
    esp, root = table["partitions"]
    assert (table["label"], esp["type"], root["type"]) == ("gpt", ESP, LINUX)
    assert root.get("attrs") == ("LegacyBIOSBootable" if firmware == "hybrid" else None)
    assert (esp["size"] * 512, esp["start"] % 2048, root["start"] % 2048) == (16 << 20, 0, 0)
    assert blkid(part(device, 1), "TYPE") == "vfat"
    with device.open("rb") as file:
        boot_code = file.read(440)
        file.seek(root["start"] * 512)
        boot_sector = file.read(512)
    assert bool(boot_code.strip(b"\0")) is (firmware == "hybrid")
    assert boot_sector.endswith(b"\x55\xaa") is (firmware == "hybrid"), "extlinux's mark in the root filesystem"


def test_the_loader_lies_where_firmware_looks_on_an_unknown_disk(disk: tuple[str, Path], tmp_path: Path) -> None:
    _, device = disk
    run("mcopy", "-n", "-i", part(device, 1), "::/EFI/BOOT/BOOTX64.EFI", tmp_path / "loader")
    loader = (tmp_path / "loader").read_bytes()
    header = int.from_bytes(loader[0x3C:0x40], "little")
    assert loader[header : header + 6] == b"PE\0\0\x64\x86", "a program for x86-64"
    assert blkid(part(device, 2), "UUID").encode() in loader, "knows the root filesystem by its UUID"


def test_both_menus_boot_the_same_and_fstab_has_both_filesystems(disk: tuple[str, Path], tmp_path: Path) -> None:
    firmware, device = disk
    esp, root = (blkid(part(device, number), "UUID") for number in (1, 2))
    with entered(part(device, 2), tmp_path / "root") as place:
        menu = (place / "boot/grub/grub.cfg").read_text()
        assert (place / "etc/fstab").read_text() == (
            f"UUID={root}\t/\text4\trw,noatime\t0 1\nUUID={esp}\t/boot/efi\tvfat\trw,noatime,umask=0077\t0 0\n"
        )
        extlinux = place / "boot/extlinux.conf"
        assert esp == f"{root[:4]}-{root[4:8]}".upper(), "two images' partitions can be told apart"
        assert extlinux.exists() is (firmware == "hybrid")
        assert firmware != "hybrid" or f"APPEND root=UUID={root} {OPTIONS}\n" in extlinux.read_text()
        assert not list((place / "boot").rglob("*.apk-new"))
    (line,) = [line.split() for line in menu.splitlines() if line.strip().startswith("linux")]
    assert line[1:4] == ["/boot/vmlinuz-virt", f"root=UUID={root}", "ro"]
    assert line[4:] == OPTIONS.split()
    assert "set timeout=0" in menu


def test_an_upgrade_of_the_kernel_brings_initramfs_and_menus_along(disk: tuple[str, Path], tmp_path: Path) -> None:
    firmware, device = disk
    mirror = ensure(default_cache())
    (apk,) = (mirror / "alpine/v3.23/main/x86_64").glob("apk-tools-static-*.apk")
    run("tar", "--warning=no-unknown-keyword", "-xzf", apk, "-C", tmp_path, "sbin/apk.static")
    (tmp_path / "repositories").write_text(f"{mirror}/alpine/v3.23/main\n")
    with entered(part(device, 2), tmp_path / "root") as place:
        menus = [place / "boot/grub/grub.cfg", *([place / "boot/extlinux.conf"] if firmware == "hybrid" else [])]
        for path in (*menus, place / "boot/initramfs-virt", place / "boot/vmlinuz-virt"):
            path.write_text("of yesterday")
        settings = ("--keys-dir", mirror / "keys", "--repositories-file", tmp_path / "repositories", "--no-cache")
        run(tmp_path / "sbin/apk.static", "--root", place, *settings, "fix", "--reinstall", "linux-virt")
        for menu in menus:
            assert f"root=UUID={blkid(part(device, 2), 'UUID')}" in menu.read_text()
        assert (place / "boot/initramfs-virt").stat().st_size > 1_000_000
        assert (place / "boot/vmlinuz-virt").stat().st_size > 1_000_000


def test_the_root_s_partition_grows_by_the_image_s_own_tools(disk: tuple[str, Path], tmp_path: Path) -> None:
    firmware, device = disk
    (file,) = (Path(line) for line in run("losetup", "--noheadings", "--output", "BACK-FILE", device).splitlines())
    with file.open("r+b") as image:
        image.truncate(2 * SIZE)
    run("losetup", "--set-capacity", device)
    with entered(part(device, 2), tmp_path / "root") as place:
        run("chroot", place, "sfdisk", "-q", "--no-reread", "-N", "2", device, text=", +\n")
        run("chroot", place, "partx", "-u", device)
        # growing a mounted filesystem itself needs a right that containers lack: a VM shows it
        assert int(run("blockdev", "--getsize64", part(device, 2))) > 1.9 * SIZE
    root: dict[str, Any] = json.loads(run("sfdisk", "--json", device))["partitiontable"]["partitions"][1]
    assert root.get("attrs") == ("LegacyBIOSBootable" if firmware == "hybrid" else None)
    assert "No errors detected" in run("sfdisk", "--verify", device)
