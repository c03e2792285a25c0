"""Nothing is run that a trusted key has not signed: every way to slip something in is refused."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.mirror import apk
from sandbox.mirror.package import File, Package, with_parents
from sandbox.mirror.signing import SigningKey, new_key
from tests.guest.shell import run_functions

PROGRAM = b'#!/bin/sh\necho "apk-tools 3.0.8 (test)"\n'
PACKAGE = Package(
    name="apk-tools-static",
    version="3.0.8-r0",
    description="apk",
    url="",
    license="",
    origin="apk-tools",
    maintainer="",
    build_date=0,
    entries=with_parents((File("sbin/apk.static", PROGRAM, 0o755), File("sbin/filler", bytes(range(256)) * 400))),
)
MUSL = replace(PACKAGE, name="musl", version="1.2.5-r23")


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


class Mirror:
    """A branch with two packages, and the keys that are trusted."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self.folder = folder
        self.key = key
        self.place = folder / "mirror/v3.23/main/x86_64"
        self.place.mkdir(parents=True)
        (folder / "keys").mkdir()
        (folder / "keys" / key.name).write_bytes(key.public_pem)
        self.package = self.put(PACKAGE, key)
        self.put(MUSL, key)
        self.index(key)

    def put(self, package: Package, key: SigningKey) -> Path:
        path = self.place / package.file_name
        path.write_bytes(apk.write_package(package, key))
        return path

    def index(self, key: SigningKey) -> None:
        packages = sorted(self.place.glob("*.apk"))
        (self.place / "APKINDEX.tar.gz").write_bytes(apk.write_index(packages, "v3.23", key))

    def get(self) -> subprocess.CompletedProcess[str]:
        return run_functions(
            'get_apk; echo "APK=$APK"',
            self.folder,
            MIRROR=f"file://{self.folder}/mirror",
            BRANCH="v3.23",
            ARCH="x86_64",
            KEYS=str(self.folder / "keys"),
        )


@pytest.fixture
def mirror(tmp_path: Path, key: SigningKey) -> Mirror:
    return Mirror(tmp_path, key)


def test_a_signed_apk_is_fetched_and_runs(mirror: Mirror) -> None:
    done = mirror.get()
    assert done.returncode == 0, done.stderr
    assert "apk-tools 3.0.8 (test)" in done.stdout
    program = Path(done.stdout.rpartition("APK=")[2].strip())
    assert program.read_bytes() == PROGRAM


def flip(path: Path, where: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * where)] ^= 1
    path.write_bytes(bytes(content))


def foreign_index(mirror: Mirror) -> None:
    mirror.index(new_key())


def same_name_other_key(mirror: Mirror) -> None:
    (mirror.folder / "keys" / mirror.key.name).write_bytes(new_key().public_pem)


def damaged_index(mirror: Mirror) -> None:
    flip(mirror.place / "APKINDEX.tar.gz", 0.9)


def foreign_package(mirror: Mirror) -> None:
    mirror.put(PACKAGE, new_key())


def older_package(mirror: Mirror) -> None:
    mirror.package.write_bytes(apk.write_package(replace(PACKAGE, version="2.0-r0"), mirror.key))


def other_files(mirror: Mirror) -> None:
    evil = replace(PACKAGE, entries=with_parents((File("sbin/apk.static", b"#!/bin/sh\necho evil\n", 0o755),)))
    content, others = mirror.package.read_bytes(), apk.write_package(evil, mirror.key)
    signature, rest = apk.split_member(content)
    control, _ = apk.split_member(rest)
    mirror.package.write_bytes(signature + control + apk.split_member(apk.split_member(others)[1])[1])


def appended_files(mirror: Mirror) -> None:
    other = apk.write_package(PACKAGE, mirror.key)
    mirror.package.write_bytes(mirror.package.read_bytes() + apk.split_member(apk.split_member(other)[1])[1])


def no_package(mirror: Mirror) -> None:
    mirror.package.unlink()


def not_in_the_index(mirror: Mirror) -> None:
    mirror.package.unlink()
    mirror.index(mirror.key)


def no_mirror(mirror: Mirror) -> None:
    (mirror.place / "APKINDEX.tar.gz").write_text("<html>not what you asked for</html>")


def empty_index(mirror: Mirror) -> None:
    (mirror.place / "APKINDEX.tar.gz").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (foreign_index, "is not trusted"),
        (same_name_other_key, "the signature of .*APKINDEX.tar.gz is wrong"),
        (foreign_package, "is not trusted"),
        (older_package, "is not the one that the index names"),
        (other_files, "are not those that were signed"),
        (appended_files, "are not those that were signed"),
        (no_package, "apk-tools-static-3.0.8-r0.apk can't be fetched"),
        (not_in_the_index, "has no apk-tools-static"),
        (no_mirror, "is no signed index or package of apk's v2 format"),
        (empty_index, "is no signed index or package of apk's v2 format"),
        (damaged_index, "is wrong|is no signed index"),
    ],
)
def test_anything_else_is_refused_before_it_runs(mirror: Mirror, spoil: Callable[[Mirror], None], reason: str) -> None:
    spoil(mirror)
    done = mirror.get()
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("guest: ERROR: ")]
    assert re.search(reason, line), line
    assert "apk-tools 3.0.8" not in done.stdout
    assert "evil" not in done.stdout
