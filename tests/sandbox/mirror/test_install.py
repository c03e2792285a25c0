"""The made mirror, and a root installed from it by its own apk with signatures on."""

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
from sandbox.mirror.signing import new_key

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mirror() -> Path:
    return ensure(default_cache())


@pytest.fixture(scope="module")
def apk(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apk")
    (package,) = (mirror / "alpine/v3.23/main/x86_64").glob("apk-tools-static-*.apk")
    with tarfile.open(package) as archive:
        archive.extract("sbin/apk.static", folder)
    (folder / "sbin/apk.static").chmod(0o755)
    return folder / "sbin/apk.static"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder for a root; files in it may belong to ids that only a user namespace can remove."""
    yield tmp_path / "root"
    subprocess.run([*as_root(), "rm", "-rf", str(tmp_path / "root")], check=True, timeout=60)


def as_root() -> list[str]:
    if os.geteuid() == 0:
        return []
    if shutil.which("newuidmap") is None:
        pytest.skip("needs root, or uidmap for unshare --map-auto")
    return ["unshare", "--map-root-user", "--map-auto", "--mount"]


def add(apk: Path, root: Path, keys: Path, repository: Path, *names: str) -> subprocess.CompletedProcess[str]:
    command = [str(apk), "add", "--root", str(root), "--initdb", "--keys-dir", str(keys), "--arch", "x86_64"]
    command += ["--no-cache", "--no-progress", "--repositories-file", "/dev/null", "--repository", str(repository)]
    root.mkdir(parents=True)
    return subprocess.run([*as_root(), *command, *names], capture_output=True, text=True, timeout=120, check=False)


def test_a_bootable_root_installs_without_a_warning(mirror: Path, apk: Path, root: Path) -> None:
    names = ("alpine-base", "linux-virt", "openssh", "sudo", "dhcpcd", "e2fsprogs-extra")
    done = add(apk, root, mirror / "keys", mirror / "alpine/v3.23/main", *names)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    assert "ERROR" not in done.stdout + done.stderr
    for path in ("boot/vmlinuz-virt", "boot/initramfs-virt", "usr/sbin/sshd", "etc/init.d/mdev", "etc/init.d/acpid"):
        assert (root / path).is_file(), path
    audit = subprocess.run(
        [*as_root(), str(apk), "--root", str(root), "audit", "--system"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # passwd and group gain dhcpcd's account; nothing else may differ from its package
    changed = [line for line in audit.stdout.splitlines() if line.startswith("U ") and "/etc/" not in f"/{line[2:]}"]
    assert not changed


@pytest.mark.parametrize(("branch", "release"), [("v3.22", "3.22.6"), ("v3.23", "3.23.6"), ("v3.20", "3.20.10")])
def test_each_branch_installs_its_own_release(mirror: Path, apk: Path, root: Path, branch: str, release: str) -> None:
    done = add(apk, root, mirror / "keys", mirror / f"alpine/{branch}/main", "alpine-base")
    assert done.returncode == 0, done.stderr
    assert (root / "etc/alpine-release").read_text() == f"{release}\n"


def test_another_key_is_not_trusted(mirror: Path, apk: Path, root: Path, tmp_path: Path) -> None:
    (name,) = (path.name for path in (mirror / "keys").iterdir())
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / name).write_bytes(new_key().public_pem)
    done = add(apk, root, tmp_path / "keys", mirror / "alpine/v3.23/main", "alpine-base")
    assert done.returncode != 0
    assert "BAD signature" in done.stdout + done.stderr
    assert not (root / "etc/alpine-release").exists()


def test_an_unknown_key_is_not_trusted(mirror: Path, apk: Path, root: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    done = add(apk, root, tmp_path / "keys", mirror / "alpine/v3.23/main", "alpine-base")
    assert done.returncode != 0
    assert "UNTRUSTED" in done.stdout + done.stderr


@pytest.mark.parametrize("place", ["control", "data"])
def test_a_flipped_byte_is_found(mirror: Path, apk: Path, root: Path, tmp_path: Path, place: str) -> None:
    copy = tmp_path / "main"
    shutil.copytree(mirror / "alpine/v3.23/main", copy)
    (package,) = (copy / "x86_64").glob("musl-1*.apk")
    content = bytearray(package.read_bytes())
    content[700 if place == "control" else len(content) // 2] ^= 1
    package.write_bytes(bytes(content))
    done = add(apk, root, mirror / "keys", copy, "musl")
    assert done.returncode != 0
    assert "ERROR" in done.stdout + done.stderr


def test_stand_ins_say_so(mirror: Path) -> None:
    with tarfile.open(mirror / "alpine/v3.23/main/x86_64/APKINDEX.tar.gz") as archive:
        member = archive.extractfile("APKINDEX")
        assert member is not None
        records = member.read().decode().strip().split("\n\n")
    described = {next(line[2:] for line in record.splitlines() if line.startswith("P:")): record for record in records}
    ours = ("openssh", "openssh-server", "syslinux", "apk-tools-static", "busybox-mdev-openrc", "alpine-base")
    for name in (*ours, "tiny-cloud", "tiny-cloud-openrc", "yx"):
        assert "fixture" in described[name], name
    assert "fixture" not in described["musl"]
