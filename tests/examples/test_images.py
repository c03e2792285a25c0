"""The images of examples/images: each profile is whole; each is built and booted where its packages can be had."""

from __future__ import annotations

import os
import pty
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from omi.cli.main import main
from omi.profile.load import load_profile
from tests.e2e.conftest import running_project
from tests.e2e.project import TOP, Project, own

IMAGES = TOP / "examples" / "images"
NAMES = sorted(path.stem for path in IMAGES.glob("*.yaml"))
GUIDE = (TOP / "docs" / "first-image.md").read_text(encoding="utf-8")
CDN = "https://dl-cdn.alpinelinux.org/alpine/latest-stable/main/x86_64/APKINDEX.tar.gz"


def copy_into(profiles: Path) -> None:
    """Put all of them into a folder of profiles, as their README says."""
    for path in IMAGES.glob("*.yaml"):
        shutil.copy2(path, profiles)
    shutil.copytree(IMAGES / "setup", profiles / "setup", dirs_exist_ok=True)


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    shutil.copytree(TOP / "profiles", tmp_path / "profiles")
    copy_into(tmp_path / "profiles")
    return tmp_path / "profiles"


@pytest.mark.parametrize("name", NAMES)
def test_each_profile_is_whole_and_has_a_check_of_its_own(
    name: str, profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(profiles.parent)
    assert main(["profile", "check", name]) == 0
    for target in load_profile(name).builds:
        assert target.tests
        assert target.suffix == f"-{name}", "its images need names of their own"


def test_the_profile_of_the_guide_is_whole(profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (profile,) = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    (profiles / "web.yaml").write_text(profile, encoding="utf-8")
    monkeypatch.chdir(profiles.parent)
    assert main(["profile", "check", "web"]) == 0


def test_no_file_is_left_over_and_the_readme_lists_each() -> None:
    given = "".join(path.read_text(encoding="utf-8") for path in IMAGES.glob("*.yaml"))
    assert [path.name for path in (IMAGES / "setup").iterdir() if f"setup/{path.name}" not in given] == []
    readme = (IMAGES / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"[{name}.yaml]({name}.yaml)" not in readme] == []


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    with running_project() as made:
        yield made


@pytest.mark.slow
def test_a_try_of_the_web_server_lets_a_person_in_and_leaves_nothing(project: Project) -> None:
    copy_into(project.folder / "profiles")
    before = own(project.inventory())
    page, root = re.findall(r"`(wget [^`]+|doas [^`]+)`", GUIDE)
    ours, its = pty.openpty()
    os.write(ours, f"{page}; echo id -un | {root}; exit\n".encode())  # read once the shell is there
    words = ("try", "-s", "e2e", "v3_23-x86_64", "--profile", "web")
    done = project.run("python", "-m", "omi", *words, stdin=its)
    os.close(ours)
    os.close(its)
    assert done.code == 0, done.end
    assert "logging in as alpine; all of it goes at the end" in done.text
    assert "<h1>A page of the image's own</h1>" in done.text
    assert "root" in done.text.replace("\r", "").splitlines()
    assert own(project.inventory()) == before
    (log,) = (project.folder / "build" / "e2e+try").rglob("build.log")
    assert "web: all is as it should be" in log.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "web"])
def test_it_is_built_and_its_own_check_passes_in_the_booted_image(name: str, project: Project) -> None:
    require_cdn()
    assert project.sandbox("stop").code == 0
    assert project.sandbox("start", "--mirror", "cdn").code == 0
    copy_into(project.folder / "profiles")
    project.configure("profile", name)
    project.configure("retention", {"allow_mass_prune": ["all"]})
    assert project.pulumi("stack", "select", "--create", "e2e").code == 0
    done = project.up()
    assert done.code == 0, done.end
    (log,) = (project.folder / "build").rglob(f"*-{name}/build.log")
    assert f"{name}: all is as it should be" in log.read_text(encoding="utf-8")


def require_cdn() -> None:
    """Skip the test where Alpine's CDN can't be reached."""
    try:
        with urllib.request.urlopen(CDN, timeout=10):
            return
    except (urllib.error.URLError, OSError) as error:
        pytest.skip(f"its packages are at Alpine's CDN alone, which can't be reached: {error}")
