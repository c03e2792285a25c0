"""Two builds of the same differ on the disk where docs/image-files.md lists it, and nowhere else."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
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
SECTOR = 512
BOOT_SECTOR = 1024
"""Bytes before ext4's superblock."""
KINDS = {
    "superblock": r"(?:Primary|Backup) superblock at (\d+)()",
    "group descriptors": r"(?:Group descriptors|Reserved GDT blocks) at (\d+)-(\d+)",
    "block bitmap": r"Block bitmap at (\d+)()",
    "inode bitmap": r"Inode bitmap at (\d+)()",
    "inode table": r"Inode table at (\d+)-(\d+)",
}
"""Kinds of ext4's own blocks, as dumpe2fs shows where they lie."""


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

    disk: Path
    start: int
    """Where the root filesystem begins in it, in bytes."""
    end: int
    seen: dict[str, Seen]
    """Files by path."""
    listed: list[list[str]]
    """The lines of the list that the build makes of them."""
    layout: str
    """dumpe2fs's words on the root filesystem."""
    journal: set[int]
    """The journal's blocks."""

    @property
    def superblock(self) -> dict[str, str]:
        return dict(re.findall(r"^([A-Z][^:\n]*):[ \t]*(.*)$", self.layout.partition("\n\n")[0], re.MULTILINE))

    def outside(self) -> str:
        """A digest of all that lies outside of the root filesystem: boot code, partitions, the loader for UEFI."""
        with self.disk.open("rb") as file:
            digest = hashlib.sha256(file.read(self.start))
            file.seek(self.end)
            digest.update(file.read())
        return digest.hexdigest()

    def blocks(self) -> Iterator[bytes]:
        """The root filesystem in ext4's blocks."""
        size = int(self.superblock["Block size"])
        with self.disk.open("rb") as file:
            file.seek(self.start)
            for _ in range(self.start, self.end, size):
                yield file.read(size)

    def kinds(self) -> dict[int, str]:
        """Of ext4's own blocks and the journal's by number; all others hold data."""
        kinds = dict.fromkeys(self.journal, "journal")
        for kind, pattern in KINDS.items():
            for first, last in re.findall(pattern, self.layout):
                kinds |= dict.fromkeys(range(int(first), int(last or first) + 1), kind)
        return kinds


def may_differ() -> tuple[set[str], set[str], set[str]]:
    """Files, kinds of blocks, and fields of the superblock."""
    page = (GUEST.parent / "docs/image-files.md").read_text().partition("## Two builds of the same")[2]
    files, blocks, fields = (
        set(re.findall(rf"^\| {kind}: `/?(.*?)` \|", page, re.MULTILINE)) for kind in ("file", "block", "ext4")
    )
    return files, blocks, fields


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
        root_device = Path(f"{device}p2") if firmware == "hybrid" else device
        place = Path("/sys/class/block", root_device.name)
        start = int((place / "start").read_text()) * SECTOR if firmware == "hybrid" else 0
        end = start + int((place / "size").read_text()) * SECTOR
        layout = output_of("dumpe2fs", root_device)
        journal = {int(block) for block in output_of("debugfs", "-R", "blocks <8>", root_device).split()}
        with mounted(root_device, folder / "root") as root:
            days = [line.split(":")[2] for line in (root / "etc/shadow").read_text().splitlines()]
            today = str(int(datetime.now(UTC).timestamp()) // 86400)
            assert today not in days, "the day of the build"
            lines = (folder / "data/out/files").read_text().splitlines()[1:]
            return Made(folder / "disk", start, end, look(root), [line.split("\t") for line in lines], layout, journal)


def output_of(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def as_listed(path: str, seen: Seen) -> list[str]:
    """The line that the build's list should have."""
    kind = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l"}[stat.S_IFMT(seen.mode)]
    return [f"/{path}", kind, f"{stat.S_IMODE(seen.mode):o}", *map(str, seen.owner), seen.content]


def differing_blocks(first: Made, second: Made) -> dict[str, list[int]]:
    """The kinds of blocks that differ, with their numbers."""
    kinds, found = first.kinds(), defaultdict[str, list[int]](list)
    assert kinds == second.kinds(), "both have ext4's own blocks at the same places"
    for number, (one, other) in enumerate(zip(first.blocks(), second.blocks(), strict=True)):
        code = BOOT_SECTOR if number == 0 else 0
        if one[:code] != other[:code]:
            found["boot sector"].append(number)
        if one[code:] != other[code:]:
            found[kinds.get(number, "data")].append(number)
    return found


def differing(first: Mapping[str, object], second: Mapping[str, object]) -> set[str]:
    return {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)}


@pytest.mark.parametrize("firmware", ["bios", "hybrid"])
def test_two_builds_differ_only_where_it_is_listed(tmp_path: Path, firmware: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("a loop device needs root")
    mirror = ensure(default_cache())
    first = build_once(tmp_path / "first", mirror, firmware)
    second = build_once(tmp_path / "second", mirror, firmware)
    files, blocks, fields = may_differ()
    assert files == {LOADER}
    assert len(first.seen) > 1000
    assert first.seen.keys() == second.seen.keys()
    found = differing(first.seen, second.seen)
    assert found <= files, {name: (asdict(first.seen[name]), asdict(second.seen[name])) for name in found}
    assert {"Filesystem UUID", "Directory Hash Seed"} <= first.superblock.keys() - fields
    found = differing(first.superblock, second.superblock)
    assert found <= fields, {name: (first.superblock.get(name), second.superblock.get(name)) for name in found}
    assert first.outside() == second.outside()
    kinds = differing_blocks(first, second)
    assert kinds.keys() <= blocks, {kind: kinds[kind][:9] for kind in kinds.keys() - blocks}
    for made in (first, second):
        assert sorted(made.listed) == sorted(as_listed(*file) for file in made.seen.items() if file[0] != ".")
    lines = {line[0].removeprefix("/") for line in first.listed if line not in second.listed}
    assert lines <= files, "the two lists are the same"
