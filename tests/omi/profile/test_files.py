"""The files and folders that a profile brings into a build."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from omi.profile.content import content
from omi.support.errors import ProfileError
from tests.omi.profile.test_load import load, only


def test_setup_files_are_found_beside_the_file_that_names_them(root: Path) -> None:
    (root / "base" / "setup").mkdir()
    (root / "base" / "setup" / "base.sh").write_text("true\n")
    (root / "base" / "1.yaml").write_text((root / "base" / "1.yaml").read_text() + "setup_script: setup/base.sh\n")
    (root / "motd").write_text("hello\n")
    build = only(load(root, 'builds: {a: {version: "3.23", setup_copy: {etc/motd: motd}}}'))
    assert build.setup_script == "base/setup/base.sh"
    assert build.setup_copy == {"etc/motd": "motd"}
    assert sorted(build.setup_files) == ["base/setup/base.sh", "motd"]
    without = only(load(root, 'setup_script: null\nbuilds: {a: {version: "3.23"}}'))
    assert (without.setup_script, without.setup_files) == (None, {})


def test_a_link_out_of_the_folder_is_refused(root: Path) -> None:
    (root.parent / "secret").write_text("x")
    (root / "link").symlink_to("../secret")
    with pytest.raises(ProfileError, match="setup_script: link leads out of profiles"):
        load(root, "setup_script: link\nbuilds: {}")


@pytest.fixture
def pages(root: Path) -> Path:
    """A folder for `setup_copy`, with a file that may be run and one below."""
    (root / "pages" / "css").mkdir(parents=True)
    (root / "pages" / "index.html").write_text("hello\n")
    (root / "pages" / "css" / "main.css").write_text("p {}\n")
    (root / "pages" / "make.sh").write_text("echo\n")
    (root / "pages" / "make.sh").chmod(0o755)
    return root / "pages"


COPIES = 'setup_copy: {site: pages}\nbuilds: {a: {version: "3.23"}}'


def test_a_folder_is_copied_with_all_that_it_holds(root: Path, pages: Path) -> None:
    build = only(load(root, COPIES))
    assert build.setup_copy == {
        "site/css/main.css": "pages/css/main.css",
        "site/index.html": "pages/index.html",
        "site/make.sh": "pages/make.sh",
    }
    assert [path for path, file in build.setup_files.items() if file.executable] == ["pages/make.sh"]
    before = content(build)
    (pages / "css" / "main.css").write_text("q {}\n")
    changed = content(only(load(root, COPIES)))
    assert changed != before
    (pages / "css" / "more.css").write_text("")
    assert content(only(load(root, COPIES))) != changed


def test_a_build_may_take_a_folder_away_or_have_another_instead(root: Path, pages: Path) -> None:
    text = "setup_copy: {site: pages}\nbuilds: {a: {version: '3.23', setup_copy: %s}}"
    assert only(load(root, text % "{site: null}")).setup_copy == {}
    assert only(load(root, text % "{site: null}")).setup_files == {}
    assert only(load(root, text % "{site: pages/css}")).setup_copy == {"site/main.css": "pages/css/main.css"}
    assert only(load(root, text % "{site: pages/make.sh}")).setup_copy == {"site": "pages/make.sh"}


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda pages: (pages / "out").symlink_to("/etc"), "profiles/pages/out is a link"),
        (lambda pages: (pages / "css" / "own").symlink_to("main.css"), "profiles/pages/css/own is a link"),
        (lambda pages: os.mkfifo(pages / "pipe"), "profiles/pages/pipe is a pipe or device, not a file"),
        (lambda pages: (pages / "a b").write_text(""), "'profiles/pages/a b': allowed in a name are letters"),
        (lambda pages: (pages / "large").open("wb").truncate(65 << 20), "profiles/pages/large is larger than 64 MiB"),
        (
            lambda pages: [(pages / name).open("wb").truncate(33 << 20) for name in "ab"],
            "profiles/pages holds more than 64 MiB",
        ),
        (lambda pages: [(pages / str(n)).touch() for n in range(500)], "profiles/pages holds more than 500 files"),
        (
            lambda pages: [each.rename(pages.parent / each.name) for each in pages.iterdir()],
            "profiles/pages holds no file",
        ),
        (
            lambda pages: [pages.rename(pages.parents[1] / "x"), pages.symlink_to("../x")],
            "pages leads out of profiles",
        ),
    ],
)
def test_a_folder_that_cannot_be_copied_is_refused(
    make: Callable[[Path], object], problem: str, root: Path, pages: Path
) -> None:
    make(pages)
    with pytest.raises(ProfileError, match=re.escape(problem)) as refused:
        load(root, COPIES)
    assert str(refused.value).startswith("profiles/web.yaml:1: setup_copy.site: ")
    assert "\n" not in str(refused.value)


def test_a_large_file_is_refused(root: Path) -> None:
    (root / "large").open("wb").truncate(65 << 20)
    with pytest.raises(ProfileError, match=r"setup_copy\.x: profiles/large is larger than 64 MiB"):
        load(root, "setup_copy: {x: large}\nbuilds: {}")


@pytest.mark.parametrize("script", ["", "\n\n", "#!/bin/sh\n", "#!/bin/sh\r\n  # later\r\n\t\r\n", "# true"])
def test_a_check_without_a_command_is_refused(root: Path, script: str) -> None:
    (root / "web.sh").write_bytes(script.encode())
    problem = "web.yaml:1: tests.web: profiles/web.sh holds no command, so it would always pass"
    with pytest.raises(ProfileError, match=re.escape(problem)):
        load(root, 'tests: {web: web.sh}\nbuilds: {a: {version: "3.23"}}')


@pytest.mark.parametrize("script", ["true", "#!/bin/sh\n\n\t:\n", "# \n\xff"])
def test_a_check_with_a_command_is_taken(root: Path, script: str) -> None:
    (root / "web.sh").write_bytes(script.encode("latin-1"))
    build = only(load(root, 'tests: {web: web.sh}\nbuilds: {a: {version: "3.23", tests: {web: web.sh, old: null}}}'))
    assert build.tests == {"web": "web.sh"}
