"""Two builds of the same differ on the disk where docs/image-files.md lists it, and nowhere else."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.config import default_cache
from sandbox.mirror import ensure
from tests.guest.shell import GUEST
from tests.guest.test_build import PACKAGES, build, loop_device, mounted

pytestmark = pytest.mark.slow

LOADER = "boot/ldlinux.sys"
TABLE = 1 << 20
"""Bytes before the first partition: boot code and partition table."""


@dataclass(frozen=True)
class Seen:
    """All of one file."""

    mode: int
    owner: tuple[int, int]
    links: int
    device: int
    content: str
    time: int


@dataclass(frozen=True)
class Made:
    """What came out of one build."""

    seen: dict[str, Seen]
    """Files by path."""
    listed: list[list[str]]
    """The lines of the list that the build makes of them."""
    partitions: str
    """A digest of all that lies outside of the root filesystem."""
    superblock: dict[str, str]


def may_differ() -> tuple[set[str], set[str]]:
    """Files, and fields of the superblock."""
    page = (GUEST.parent / "docs/image-files.md").read_text().partition("## Two builds of the same")[2]
    files, fields = (set(re.findall(rf"^\| {kind}: `/?(.*?)` \|", page, re.MULTILINE)) for kind in ("file", "ext4"))
    return files, fields


def look(root: Path) -> dict[str, Seen]:
    return {str(path.relative_to(root)): see(path) for path in (root, *root.rglob("*"))}


def see(path: Path) -> Seen:
    facts = path.lstat()
    content = ""
    if stat.S_ISLNK(facts.st_mode):
        content = str(path.readlink())
    elif stat.S_ISREG(facts.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    # a folder's links are its subfolders
    links = 0 if stat.S_ISDIR(facts.st_mode) else facts.st_nlink
    return Seen(facts.st_mode, (facts.st_uid, facts.st_gid), links, facts.st_rdev, content, facts.st_mtime_ns)


def build_once(folder: Path, mirror: Path, firmware: str) -> Made:
    folder.mkdir()
    packages = f"{PACKAGES} grub-efi" if firmware == "hybrid" else PACKAGES
    with loop_device(folder / "disk") as device:
        done = build(folder, device, mirror, FIRMWARE=firmware, PACKAGES=packages.replace(" ", "\n"))
        assert done.returncode == 0, done.stdout + done.stderr
        root_device, partitions = device, ""
        if firmware == "hybrid":
            root_device, partitions = Path(f"{device}p2"), digest_of(device, TABLE) + digest_of(Path(f"{device}p1"))
        superblock = superblock_of(root_device)
        with mounted(root_device, folder / "root") as root:
            days = [line.split(":")[2] for line in (root / "etc/shadow").read_text().splitlines()]
            today = str(int(datetime.now(UTC).timestamp()) // 86400)
            assert today not in days, "the day of the build"
            lines = (folder / "data/out/files").read_text().splitlines()[1:]
            return Made(look(root), [line.split("\t") for line in lines], partitions, superblock)


def digest_of(device: Path, size: int = -1) -> str:
    with device.open("rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()


def superblock_of(device: Path) -> dict[str, str]:
    shown = subprocess.run(["dumpe2fs", "-h", device], capture_output=True, text=True, check=True, timeout=30)
    return dict(re.findall(r"^([A-Z][^:]*):\s*(.*)$", shown.stdout, re.MULTILINE))


def differing(first: Mapping[str, object], second: Mapping[str, object]) -> set[str]:
    return {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)}


@pytest.mark.parametrize("firmware", ["bios", "hybrid"])
def test_two_builds_differ_only_where_it_is_listed(tmp_path: Path, firmware: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("a loop device needs root")
    mirror = ensure(default_cache())
    first = build_once(tmp_path / "first", mirror, firmware)
    second = build_once(tmp_path / "second", mirror, firmware)
    files, fields = may_differ()
    assert files == {LOADER}
    assert len(first.seen) > 1000
    assert first.seen.keys() == second.seen.keys()
    found = differing(first.seen, second.seen)
    assert found <= files, {name: (asdict(first.seen[name]), asdict(second.seen[name])) for name in found}
    assert {"Filesystem UUID", "Directory Hash Seed"} <= first.superblock.keys() - fields
    found = differing(first.superblock, second.superblock)
    assert found <= fields, {name: (first.superblock.get(name), second.superblock.get(name)) for name in found}
    assert first.partitions == second.partitions
    content = {name: seen.content for name, seen in first.seen.items() if name != "."}
    assert {line[0].removeprefix("/"): line[5] for line in first.listed} == content
