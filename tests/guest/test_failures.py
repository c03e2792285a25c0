"""Whatever stops a build is one exact line that names it, and nothing is left mounted: real builds on loop devices."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from sandbox.config import default_cache
from sandbox.mirror import apk, ensure
from sandbox.mirror.signing import new_key
from tests.guest.shell import run_functions
from tests.guest.test_build import SIZE, build, left_over, loop_device

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:9/alpine"


@pytest.fixture(scope="module")
def mirror() -> Path:
    return ensure(default_cache())


def reason(folder: Path, mirror: Path, values: dict[str, str], size: int = SIZE) -> str:
    """The one error of a build that fails."""
    with loop_device(folder / "disk", size) as device:
        done = build(folder, device, mirror, **values)
        assert done.returncode == 1, done.stdout + done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("guest: ERROR: ")]
        assert re.fullmatch(r"guest: ERROR: .+ \(.+\)", line), "what, and what to do"
        assert "guest: RESULT" not in done.stdout
        assert not left_over(folder)
        return line.removeprefix("guest: ERROR: ")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"RELEASE": "3.23.7"}, "the mirror holds Alpine 3.23.6, not 3.23.7 ("),
        ({"PACKAGES": "alpine-base\nno-such-package"}, "no repository has the package no-such-package ("),
        ({"PACKAGES": "gone\nalpine-base\nlost"}, "no repository has the package gone, lost ("),
        (
            {"PACKAGES": "alpine-base\nmusl<1"},
            "apk could not install the packages: ERROR: unable to select packages: musl",
        ),
        ({"SERVICES_DEFAULT": "chronyd"}, "the service chronyd (default) is in none of the installed packages ("),
        ({"PRIVILEGES": "sudo"}, "sudo is not installed ("),
        ({"TIMEZONE": "Europe/Pariss"}, "tzdata knows no time zone Europe/Pariss ("),
        ({"DISK_SIZE_BYTES": str(2 * SIZE)}, "has 1073741824 bytes, not 2147483648 ("),
        ({"MIRROR": NOWHERE}, f"{NOWHERE}/v3.23/main/x86_64/APKINDEX.tar.gz can't be fetched: curl: (7) "),
    ],
)
def test_what_is_missing_is_named(mirror: Path, tmp_path: Path, values: dict[str, str], said: str) -> None:
    assert said in reason(tmp_path, mirror, values)


@pytest.mark.parametrize("tag", ["", "@own "])
def test_a_repository_that_can_not_be_reached_is_named(mirror: Path, tmp_path: Path, tag: str) -> None:
    repositories = f"file://{mirror}/alpine/v3.23/main\n{tag}{NOWHERE}/own"
    said = reason(tmp_path, mirror, {"INSTALL_REPOSITORIES": repositories})
    assert said.startswith(f"{NOWHERE}/own/x86_64/APKINDEX.tar.gz can't be fetched: curl: (7) Failed to connect to ")


def own_repository(folder: Path, mirror: Path, index: bytes) -> dict[str, str]:
    (folder / "own/x86_64").mkdir(parents=True)
    (folder / "own/x86_64/APKINDEX.tar.gz").write_bytes(index)
    return {"INSTALL_REPOSITORIES": f"file://{mirror}/alpine/v3.23/main\nfile://{folder}/own"}


def test_a_repository_that_another_key_has_signed_is_named(mirror: Path, tmp_path: Path) -> None:
    (package,) = (mirror / "alpine/v3.23/main/x86_64").glob("zlib-*.apk")
    key = new_key()
    said = reason(
        tmp_path, mirror, own_repository(tmp_path, mirror, apk.write_index([apk.index_record(package)], "own", key))
    )
    where = f"file://{tmp_path}/own/x86_64/APKINDEX.tar.gz"
    assert said.startswith(f"{where} is signed by {key.name}, which is not trusted (name the key in the profile")


def test_a_repository_that_nobody_has_signed_is_named(mirror: Path, tmp_path: Path) -> None:
    index = io.BytesIO()
    with tarfile.open(fileobj=index, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("APKINDEX"), io.BytesIO())
    said = reason(tmp_path, mirror, own_repository(tmp_path, mirror, index.getvalue()))
    assert said.startswith(f"file://{tmp_path}/own/x86_64/APKINDEX.tar.gz is not a signed index")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "WARNING: opening http://a.example/own/x86_64/APKINDEX.tar.gz: UNTRUSTED signature",
            "the repository http://a.example/own is signed by no key that is trusted: UNTRUSTED signature (name",
        ),
        (
            "WARNING: fetching http://a.example/own/x86_64/APKINDEX.tar.gz: Connection refused",
            "the repository http://a.example/own can't be read: Connection refused (check its address",
        ),
        (
            "WARNING: Ignoring http://a.example/own/x86_64/APKINDEX.tar.gz: No such file or directory",
            "the repository http://a.example/own can't be read: No such file or directory (check its address",
        ),
        ("WARNING: opening from cache: nothing", ""),
    ],
)
def test_a_repository_that_apk_goes_on_without_stops_the_build(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "apk.log").write_text(f"{line}\n(1/1) Installing musl (1-r0)\nOK: 1 MiB in 1 packages\n")
    done = run_functions("check_repositories", tmp_path)
    assert done.stderr.startswith(f"guest: ERROR: {said}" if said else "")
    assert done.returncode == bool(said)


def script(folder: Path, text: str) -> dict[str, str]:
    (folder / "data").mkdir()
    (folder / "data/setup_script").write_text(text)
    return {"SETUP_SCRIPT": "setup_script", "SETUP_NAME": "setup/web.sh"}


def test_a_setup_script_that_fails_is_named_with_its_last_words(mirror: Path, tmp_path: Path) -> None:
    values = script(tmp_path, "echo fine\ncp nginx.conf /nowhere\n")
    said = (
        "the setup script setup/web.sh ended with exit code 1: cp: cannot stat 'nginx.conf': No such file or directory"
    )
    assert reason(tmp_path, mirror, values).startswith(f"{said} (")


def test_packages_that_are_too_large_for_the_volume(mirror: Path, tmp_path: Path) -> None:
    size = 96 << 20
    said = reason(tmp_path, mirror, {"DISK_SIZE_BYTES": str(size)}, size)
    assert re.match(r"the root volume of \d\d MiB is (full|too small)", said)
    assert said.endswith("(raise volume_size in the profile)")


def test_a_setup_script_that_fills_the_volume(mirror: Path, tmp_path: Path) -> None:
    size = 256 << 20
    values = script(tmp_path, 'dd if=/dev/zero of="$TARGET/big" bs=1M\n')
    said = reason(tmp_path, mirror, {"DISK_SIZE_BYTES": str(size), **values}, size)
    assert re.match(r"the root volume of \d+ MiB is full: the setup script setup/web.sh ended with exit code 1: ", said)
    assert said.endswith("(raise volume_size in the profile)")


def test_the_same_goes_where_there_is_wget_alone(tmp_path: Path) -> None:
    if shutil.which("wget") is None:
        pytest.skip("wget is not installed here")
    text = 'command() { [ "$2" = wget ]; }; fetch http://127.0.0.1:9/index index'
    done = run_functions(text, tmp_path)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("guest: ERROR: ")]
    assert re.search(r"http://127\.0\.0\.1:9/index can't be fetched: .*[Cc]onnection refused", line), line
