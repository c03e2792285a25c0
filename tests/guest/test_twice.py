"""Two builds of the same differ in the places that guest/README.md lists, and nowhere else."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.config import default_cache
from sandbox.mirror import ensure
from tests.guest.shell import GUEST
from tests.guest.test_build import PACKAGES, build, loop_device, mounted

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Seen:
    """What a file is; a time is nanoseconds of the epoch."""

    mode: int
    owner: tuple[int, int]
    links: int
    device: int
    content: str
    time: int


def listed(firmware: str) -> set[str]:
    text = (GUEST / "README.md").read_text().partition("## What differs between two builds")[2]
    places = dict(re.findall(r"^- `([^`]+)`: (.*)$", text, re.MULTILINE))
    return {place for place, why in places.items() if firmware == "hybrid" or not why.endswith("(for UEFI)")}


def look(root: Path) -> dict[str, Seen]:
    return {str(path.relative_to(root)): see(path) for path in (root, *root.rglob("*"))}


def see(path: Path) -> Seen:
    facts = path.lstat()
    content, folder = "", stat.S_ISDIR(facts.st_mode)
    if path.is_symlink():
        content = str(path.readlink())
    elif stat.S_ISREG(facts.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    # a folder's count of links and size follow from what is in it
    links = 0 if folder else facts.st_nlink
    return Seen(facts.st_mode, (facts.st_uid, facts.st_gid), links, facts.st_rdev, content, facts.st_mtime_ns)


def build_once(folder: Path, mirror: Path, firmware: str) -> dict[str, Seen]:
    folder.mkdir()
    packages = f"{PACKAGES} grub-efi" if firmware == "hybrid" else PACKAGES
    with loop_device(folder / "disk") as device:
        done = build(folder, device, mirror, FIRMWARE=firmware, PACKAGES=packages.replace(" ", "\n"))
        assert done.returncode == 0, done.stdout + done.stderr
        with mounted(Path(f"{device}p2") if firmware == "hybrid" else device, folder / "root") as root:
            days = [line.split(":")[2] for line in (root / "etc/shadow").read_text().splitlines()]
            today = str(int(datetime.now(UTC).timestamp()) // 86400)
            assert today not in days, "the day of the build"
            return look(root)


@pytest.mark.parametrize("firmware", ["bios", "hybrid"])
def test_two_builds_differ_only_where_it_is_listed(tmp_path: Path, firmware: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("a loop device needs root")
    mirror = ensure(default_cache())
    first = build_once(tmp_path / "first", mirror, firmware)
    second = build_once(tmp_path / "second", mirror, firmware)
    assert len(first) > 1000
    assert first.keys() == second.keys()
    different, known = {name for name in first if first[name] != second[name]}, listed(firmware)
    assert "etc/fstab" in known
    assert different == known, {name: (asdict(first[name]), asdict(second[name])) for name in different ^ known}
