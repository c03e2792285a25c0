"""The same answers as apk itself gives, for the project's own builds and for made-up repositories."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from omi.apkindex.read import Package, read_index
from omi.apkindex.select import UnresolvableError, select
from omi.apkindex.universe import Repository
from omi.apkindex.version import compare
from omi.profile.content import install_repositories, package_lines
from omi.profile.load import load_profile
from omi.profile.model import Build
from sandbox.mirror import ensure
from sandbox.mirror.__main__ import default_cache
from tests.omi.apkindex.make import Key, index_text, package, signed

pytestmark = pytest.mark.slow
TOP = Path(__file__).resolve().parents[3]
_INSTALLING = re.compile(r"Installing (\S+?)(?:@\S+)? \((\S+)\)")
_MADE_UP = 120


class Apk:
    """The fixture mirror's own apk, with an empty root."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self.root, self._repositories = program, folder / "root", folder / "repositories"
        self.root.mkdir()
        self.run("add", "--initdb")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._program), *arguments, "--root", str(self.root), "--arch", "x86_64", "--no-cache"]
        command += ["--no-progress", "--repositories-file", str(self._repositories)]
        return subprocess.run([*as_root(), *command], capture_output=True, text=True, timeout=120, check=False)

    def add(self, keys: Path, repositories: Sequence[str], *arguments: str) -> list[str] | None:
        """What it would install, or installs, sorted; None where it says that it can't."""
        self._repositories.write_text("".join(f"{line}\n" for line in repositories))
        done = self.run("add", "--keys-dir", str(keys), *arguments)
        return (
            sorted(f"{name}={version}" for name, version in _INSTALLING.findall(done.stdout))
            if not done.returncode
            else None
        )


def as_root() -> list[str]:
    if os.geteuid() == 0:
        return []
    if shutil.which("newuidmap") is None:
        pytest.skip("needs root, or uidmap for unshare --map-auto")
    return ["unshare", "--map-root-user", "--map-auto", "--mount"]


@pytest.fixture(scope="module")
def mirror() -> Path:
    return ensure(default_cache())


@pytest.fixture(scope="module")
def program(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apk")
    (static,) = (mirror / "alpine/v3.23/main/x86_64").glob("apk-tools-static-*.apk")
    with tarfile.open(static) as archive:
        archive.extract("sbin/apk.static", folder, filter="data")
    (folder / "sbin/apk.static").chmod(0o755)
    return folder / "sbin/apk.static"


@pytest.fixture
def apk(program: Path, tmp_path: Path) -> Iterator[Apk]:
    yield Apk(program, tmp_path)
    subprocess.run([*as_root(), "rm", "-rf", str(tmp_path / "root")], check=True, timeout=60)


def builds() -> list[Build]:
    return list(load_profile("alpine", TOP / "profiles").builds)


@pytest.mark.parametrize("build", builds(), ids=lambda build: build.name)
def test_the_default_builds_get_what_apk_installs(mirror: Path, apk: Apk, build: Build) -> None:
    places = list(install_repositories(build, str(mirror / "alpine")))
    keys = {path.name: path.read_text() for path in (mirror / "keys").iterdir()}
    indexes = [Path(place, "x86_64", "APKINDEX.tar.gz") for place in places]
    repositories = [Repository(read_index(path.read_bytes(), keys, "x86_64", str(path))) for path in indexes]
    chosen = sorted(select(repositories, package_lines(build)).lines)
    assert apk.add(mirror / "keys", places, *package_lines(build)) == chosen
    told = subprocess.run(
        ["sh", "-c", ". guest/lib/report.sh; . guest/steps/40-packages.sh; tell_installed"],
        cwd=TOP, env={**os.environ, "APK": str(apk._program), "ROOT": str(apk.root)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert sorted(told.stdout.removeprefix("guest: INSTALLED ").split()) == chosen


def test_made_up_repositories_give_what_apk_would_install(program: Path, tmp_path: Path) -> None:
    """Far denser than Alpine's. What apk gives up on doesn't count; a few hang on apk's order of looking."""
    key = Key()
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / key.name).write_text(key.pem)
    apk, agreed, differed = Apk(program, tmp_path), 0, []
    for seed in range(_MADE_UP):
        random = Random(seed)  # noqa: S311 - repeatable on purpose
        parts, wanted = made_up(random), random.sample("abcdefgh", random.choice([1, 2, 3]))
        folders = [tmp_path / f"repository{place}" for place in range(len(parts))]
        for folder, packages in zip(folders, parts, strict=True):
            (folder / "x86_64").mkdir(parents=True, exist_ok=True)
            (folder / "x86_64" / "APKINDEX.tar.gz").write_bytes(signed(index_text(packages), key))
        theirs = apk.add(tmp_path / "keys", [str(folder) for folder in folders], "--simulate", *wanted)
        if theirs is None:
            continue
        try:
            ours: list[str] | None = sorted(select([Repository(packages) for packages in parts], wanted).lines)
        except UnresolvableError:
            ours = None
        agreed += ours == theirs
        differed += [] if ours == theirs else [(seed, theirs, ours)]
    assert agreed > _MADE_UP // 4
    assert len(differed) <= 0.05 * agreed, differed


def made_up(random: Random) -> list[list[Package]]:
    """Two repositories of packages that lean on each other, each in one version, as a branch of Alpine has them."""
    parts: list[list[Package]] = [[], []]
    for name in "abcdefgh":
        for repository in random.choice([parts[:1], parts[1:], parts]):
            others = [other for other in "abcdefgh" if other != name]
            depends = {
                random.choice(
                    [other, f"{other}>=1", f"{other}<3-r0", f"{other}~1", f"so:{random.choice('xyz')}", "virt"]
                )
                for other in random.sample(others, random.choice([0, 0, 1, 1, 2]))
            }
            provides = random.choice(["", "", "", f"so:{random.choice('xyz')}={random.choice('12')}", "virt"])
            triggers = " ".join(random.sample(others, 2)) if random.random() < 0.15 else ""
            version = random.choice(["1-r0", "1-r1", "1.2_rc1-r0", "2-r0", "3-r0"])
            made = package(
                name, version, depends=" ".join(sorted(depends)), provides=provides, install_if=triggers,
                priority=random.choice([0, 0, 1, 5, 10]),
            )  # fmt: skip
            repository.append(made)
    return parts


def test_versions_are_ordered_as_apk_orders_them(apk: Apk) -> None:
    random = Random(1)  # noqa: S311 - repeatable on purpose
    parts = [["0", "1", "1.2", "1.10", "1.02", "1.2.3"], ["", "a", "b"], ["", "_rc1", "_alpha", "_p2", "_git20260101"]]
    known = [f"{a}{b}{c}{d}" for a in parts[0] for b in parts[1] for c in parts[2] for d in ("", "-r0", "-r12")]
    for one, other in [random.sample(known, 2) for _ in range(60)]:
        told = apk.run("version", "--test", one, other).stdout.strip()
        assert told == "<=>"[compare(one, other) + 1], (one, other)
