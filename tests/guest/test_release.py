"""What is written down of an image: the indexes that its packages came from, and what it is."""

from __future__ import annotations

import hashlib
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from omi.state.release_file import read_indexes, read_release
from sandbox.mirror import apk
from sandbox.mirror.package import Package, PackageFile, with_parents
from sandbox.mirror.signing import SigningKey, new_key
from tests.guest.shell import GUEST, run_functions, write_program
from tests.guest.test_steps import SETTINGS

MUSL = Package(
    name="musl", version="1.2.5-r23", description="libc", url="", license="", origin="musl", maintainer="",
    build_date=1_790_000_000, entries=with_parents((PackageFile("lib/libc.so", b"libc", 0o755),)),
)  # fmt: skip


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


@pytest.fixture
def mirror(tmp_path: Path, key: SigningKey) -> Path:
    """A mirror of two repositories, and the key that is trusted."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / key.name).write_bytes(key.public_pem)
    for name, day in (("main", 0), ("community", 5)):
        offer(tmp_path / "mirror" / name, replace(MUSL, build_date=MUSL.build_date + day), key)
    return tmp_path / "mirror"


def offer(repository: Path, package: Package, key: SigningKey) -> Path:
    place = repository / "x86_64"
    place.mkdir(parents=True, exist_ok=True)
    (place / package.file_name).write_bytes(apk.write_package(package, key))
    index = place / "APKINDEX.tar.gz"
    index.write_bytes(apk.write_index(map(apk.index_record, place.glob("*.apk")), "test", key))
    return index


def run(text: str, mirror: Path) -> subprocess.CompletedProcess[str]:
    folder = mirror.parent
    repositories = f"file://{mirror}/main\n@c file://{mirror}/community/\n#file://{mirror}/none"
    return run_functions(text, folder, INSTALL_REPOSITORIES=repositories, ARCH="x86_64", KEYS=str(folder / "keys"))


def test_each_index_is_told_with_its_digest(mirror: Path) -> None:
    done = run('read_indexes; echo "$SOURCE_DATE_EPOCH"; check_indexes', mirror)
    assert done.returncode == 0, done.stderr
    indexes = [mirror / name / "x86_64/APKINDEX.tar.gz" for name in ("main", "community")]
    wanted = [f"{hashlib.sha256(index.read_bytes()).hexdigest()} file://{index}" for index in indexes]
    assert (mirror.parent / "indexes").read_text().splitlines() == wanted
    assert done.stdout.splitlines()[-1] == "1790000005", "the time of the newest package"


def test_an_index_of_another_key_is_refused(mirror: Path) -> None:
    offer(mirror / "community", MUSL, new_key())
    done = run("read_indexes", mirror)
    assert done.returncode == 1
    assert re.search(r"^guest: ERROR: file://\S+/community/x86_64/APKINDEX\S+ is signed by \S+, which is not trusted",
                     done.stderr, re.MULTILINE)  # fmt: skip


def test_a_mirror_that_changes_meanwhile_is_noticed(mirror: Path, key: SigningKey) -> None:
    later = f"cp {mirror.parent}/later {mirror}/main/x86_64/APKINDEX.tar.gz"
    (mirror.parent / "later").write_bytes(offer(mirror.parent / "other", MUSL, key).read_bytes())
    offer(mirror / "main", replace(MUSL, version="1.2.5-r24"), key)
    done = run(f"read_indexes; {later}; check_indexes", mirror)
    assert done.returncode == 1
    assert "the mirror's package indexes changed while packages were installed (run it again)" in done.stderr


def test_what_a_url_says_of_a_login_is_not_told(tmp_path: Path) -> None:
    done = run_functions("without_login https://me:secret@example.org/a@b", tmp_path)
    assert done.stdout == "https://example.org/a@b\n"


def test_the_image_says_what_it_is_and_apks_records_are_given_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for folder in ("root/etc", "root/lib/apk/db", "data"):
        (tmp_path / folder).mkdir(parents=True)
    (root / "lib/apk/db/installed").write_text("C:Q1x=\nP:musl\nV:1.2.5-r23\nF:lib\nR:libc.so\nZ:Q1y=\n\nP:busybox\n\n")
    (tmp_path / "indexes").write_text(f"{'a' * 64} https://m/v3.23/main/x86_64/APKINDEX.tar.gz\n")
    write_program(tmp_path, "apk", "echo 'apk-tools 3.0.8, compiled for x86_64.'")
    values = {**SETTINGS, "MIRROR": "https://me:secret@m", "ROOT": str(root), "DATA": str(tmp_path / "data")}
    done = run_functions("umask 077; write_release", tmp_path, APK="apk", **values)
    assert done.returncode == 0, done.stderr
    path = root / "etc/alpine-omi-release"
    assert path.stat().st_mode & 0o777 == 0o644
    said = read_release(path.read_text().splitlines())
    assert said == {
        "NAME": "alpine-3.23.6-x86_64-r0",
        "PROFILE": "alpine",
        "BUILD": "v3_23-x86_64",
        "RELEASE": "3.23.6",
        "REVISION": "r0",
        "DIGEST": SETTINGS["DIGEST"],
        "COMMIT": SETTINGS["COMMIT"],
        "MIRROR": "https://m",
        "INDEX_1": f"sha256:{'a' * 64} https://m/v3.23/main/x86_64/APKINDEX.tar.gz",
        "TOOLS": "packer 1.16.0, apk-tools 3.0.8",
    }
    assert read_indexes(said) == [("https://m/v3.23/main/x86_64/APKINDEX.tar.gz", f"sha256:{'a' * 64}")]
    assert (tmp_path / "data/out/alpine-omi-release").read_text() == path.read_text()
    assert (tmp_path / "data/out/packages").read_text() == "C:Q1x=\nP:musl\nV:1.2.5-r23\n\nP:busybox\n\n"


def test_signatures_are_never_off() -> None:
    scripts = {path.name: path.read_text() for path in GUEST.rglob("*") if path.is_file() and path.suffix != ".md"}
    assert not [name for name, text in scripts.items() if "allow-untrusted" in text or "--insecure" in text]
    installs = [line for text in scripts.values() for line in re.split(r"(?<!\\)\n", text) if '"$APK" add' in line]
    assert installs
    assert all('--keys-dir "$KEYS"' in line for line in installs)
