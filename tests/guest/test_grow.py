"""The root filesystem of an image of 1 GiB grows to the disk of a large VM, as the first boot lets it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.guest.shell import run_functions

GIB = 1024**3
IMAGE = {"ROOT_LABEL": "alpine-root", "IMAGE_NAME": "alpine", "DIGEST": "sha256:0", "SOURCE_DATE_EPOCH": "1"}
# the script mounts what it made; that isn't looked at here and would need root
MADE = 'mount() { mkdir "$ROOT/lost+found"; }; enter_root() { :; }; make_filesystem'


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("size", [2, 100])
def test_the_root_filesystem_grows_to_a_disk_of_any_size(tmp_path: Path, size: int) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(GIB)
    done = run_functions(MADE, tmp_path, ROOT_DEVICE=str(disk), **IMAGE)
    assert done.returncode == 0, done.stderr
    # it is mounted when it grows, which needs room for the new groups' descriptors
    assert " resize_inode " in run("dumpe2fs", "-h", str(disk))
    with disk.open("r+b") as file:
        file.truncate(size * GIB)
    run("e2fsck", "-fn", str(disk))
    run("resize2fs", "-f", str(disk))
    told = run("dumpe2fs", "-h", str(disk))
    (blocks,) = re.findall(r"^Block count: +(\d+)$", told, re.MULTILINE)
    assert int(blocks) * 4096 == size * GIB
    run("e2fsck", "-fn", str(disk))
    assert disk.stat().st_blocks * 512 < GIB
