"""The releases file as programs of the old tool read it."""

from __future__ import annotations

import logging
from argparse import Namespace
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

from omi.publish import record
from tests.omi.ancestor import old_script, where_it_is_here
from tests.omi.publish.test_releases import image

RELEASES = ("3.22.9", "3.23.6", "3.23.10", "3.24.0_rc1", "edge-20261123", "edge-20261124")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The releases folder of a checkout."""
    releases = tmp_path / "releases"
    for release in RELEASES:
        record(*image(releases, release=release))
    record(*image(releases, release="3.23.6", revision=1))
    record(*image(releases, build="uefi", release="3.23.6", prefix="uefi-", region="us-east-2"))
    return releases


def test_it_has_the_old_layout_and_what_the_old_tools_programs_read(folder: Path) -> None:
    tree = yaml.safe_load((folder / "alpine.yaml").read_text(encoding="utf-8"))
    assert [*tree] == ["edge", "3.24.0_rc1", "3.23.10", "3.23.6", "3.22.9"]
    assert [*tree["3.23.6"]] == ["uefi", "v3_23-x86_64"]
    assert [*tree["3.23.6"]["v3_23-x86_64"]] == ["alpine-3.23.6-x86_64-r1", "alpine-3.23.6-x86_64-r0"]
    for release, builds in tree.items():
        assert release == "edge" or Version(release.split("_rc")[0])
        for build, images in builds.items():
            for name, told in images.items():
                assert (type(told["build_time"]), told["profile_build"]) == (int, build)
                assert [*told["artifacts"]] == ["us-east-2" if build == "uefi" else "eu-west-2"]
                assert f"-{told['release']}-" in name


@where_it_is_here
def test_the_old_tools_own_readme_generator_works_on_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = old_script(monkeypatch)
    (folder / "README_alpine.md").write_text("# Ours\n\n## AMIs\nold\n")
    script["ReleasesReadme"]().run(Namespace(profile="alpine"), str(folder.parent), logging.getLogger())
    readme = (folder / "README_alpine.md").read_text()
    headings = [line for line in readme.splitlines() if line.startswith("#")]
    assert headings[:2] == ["# Ours", "## AMIs"]
    releases = [line.removeprefix("### Alpine Linux ").split()[0] for line in headings[2:]]
    assert releases == ["3.24.0_rc1", "3.23.6", "3.22.9", "Edge"]  # it sorts 3.23.6 after 3.23.10, as text
    for region in ("eu-west-2", "us-east-2"):
        assert f"| {region} |" in readme
