"""Roots of the fixture mirror in which tiny-cloud sets up an instance."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.config import default_cache
from sandbox.mirror import ensure
from tests.guest.instance import Instance


def make_root(folder: Path, *packages: str) -> Path:
    """A root with these packages of the fixture mirror."""
    if os.geteuid() != 0:
        pytest.skip("a chroot needs root")
    mirror = ensure(default_cache())
    (static,) = (mirror / "alpine/v3.23/main/x86_64").glob("apk-tools-static-*.apk")
    with tarfile.open(static) as archive:
        archive.extract("sbin/apk.static", folder)
    root = folder / "root"
    root.mkdir()
    command = [str(folder / "sbin/apk.static"), "add", "--root", str(root), "--initdb", "--keys-dir"]
    command += [str(mirror / "keys"), "--arch", "x86_64", "--no-cache", "--no-progress", "--repositories-file"]
    command += ["/dev/null", "--repository", str(mirror / "alpine/v3.23/main"), *packages]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return root


@pytest.fixture(scope="session")
def alpine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with tiny-cloud, and in the place of what changes disks something that only notes what it was told."""
    root = make_root(tmp_path_factory.mktemp("alpine"), "alpine-base", "openssh-server", "tiny-cloud")
    for program in ("usr/sbin/resize2fs", "sbin/sfdisk", "usr/sbin/sfdisk", "usr/sbin/partx", "sbin/resize2fs"):
        (root / program).unlink(missing_ok=True)
    (root / "usr/sbin/resize2fs").write_text('#!/bin/sh\necho "$@" >> /resized\n')
    (root / "usr/sbin/resize2fs").chmod(0o755)
    return root


@pytest.fixture
def instance(alpine: Path, tmp_path: Path) -> Iterator[Instance]:
    root = tmp_path / "root"
    subprocess.run(["cp", "-a", str(alpine), str(root)], check=True, timeout=60)
    instance = Instance(root, tmp_path)
    instance.set_up()
    yield instance
    shutil.rmtree(root)
