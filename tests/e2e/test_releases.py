"""A new release, a build that fails beside it, its retry, a change of content, and the prunes.

Pulumi, Packer, its plugin and the mirror are real; the VMs are stubs, since nothing here is about what is in an image.
The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import yaml

from tests.e2e.project import Project

pytestmark = pytest.mark.slow

OLD, NEW, CHANGED = "alpine-3.23.5-x86_64-r0", "alpine-3.23.6-x86_64-r0", "alpine-3.23.6-x86_64-r1"
WEB, WEB_CHANGED = "alpine-3.23.6-x86_64-r0-web", "alpine-3.23.6-x86_64-r1-web"
PLAIN: dict[str, Any] = {"version": "3.23"}
SUFFIXED: dict[str, Any] = {"version": "3.23", "suffix": "-web"}
BROKEN = SUFFIXED | {"services": {"default": {"nginx": True}}}
MISSPELT = SUFFIXED | {"packages": {"ngnix": True}}
CORE = """\
# Written by hand.
base: base/1
release: 3.23.5  # as last detected
end_of_life: 2027-05-01
# The end.
"""


@pytest.fixture(scope="module")
def project(stub_project: Project) -> Project:
    """A profile of one build, at a time when 3.23.5 was the newest release of 3.23."""
    (stub_project.folder / "profiles" / "alpine.yaml").write_text(yaml.safe_dump({"builds": {"plain": PLAIN}}))
    stub_project.publish("v3.23", "3.23.5")
    return stub_project


def account(project: Project) -> dict[str, list[str]]:
    """What the account holds, by kind; of images the names."""
    held = project.inventory()["main"]["resources"]
    return {kind: sorted(entry.get("name") or entry["id"] for entry in entries) for kind, entries in held.items()}


def files(project: Project) -> dict[str, str]:
    """Digests of the checkout's files; what Python and the test itself write don't count."""
    parts = ("backend", "e2e.log", "__pycache__")
    return {
        str(path.relative_to(project.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in project.folder.rglob("*")
        if path.is_file() and not set(parts) & set(path.relative_to(project.folder).parts)
    }


def recorded(project: Project) -> set[str]:
    """The images that the state holds; the releases must list the very same."""
    table = project.run("python3", "-m", "omi", "images", "-s", "e2e").text
    folder = project.folder / "releases" / "sandbox"
    listed: dict[str, Any] = yaml.safe_load((folder / "alpine.yaml").read_text(encoding="utf-8"))
    names = {name for builds in listed.values() for images in builds.values() for name in images}
    held = {word for word in table.split() if word.startswith("alpine-3")}
    feed = json.loads((folder / "alpine.json").read_text(encoding="utf-8"))
    assert names == held == {image["name"] for image in feed["images"]}
    assert {by_region["eu-west-2"]["name"] for by_region in feed["latest"]["build"].values()} <= names
    return names


def test_the_release_that_the_mirror_has_is_built(project: Project) -> None:
    done = project.up()
    assert done.code == 0, done.end
    assert account(project)["image"] == [OLD]


def test_a_preview_shows_the_new_release_and_writes_nothing(project: Project) -> None:
    core = project.folder / "profiles" / "version" / "3.23.yaml"
    core.write_text(CORE, encoding="utf-8")
    project.publish("v3.23", "3.23.6")
    before = files(project), account(project)
    shown = project.pulumi("preview", "-s", "e2e")
    assert shown.code == 0, shown.end
    assert "new release 3.23.6 (was 3.23.5)" in shown.text
    assert "1 to create" in shown.text
    assert "to delete" not in shown.text
    plan = project.plan()
    assert {name: step["action"] for name, step in plan.items()} == {NEW: "build", OLD: "keep"}
    assert (files(project), account(project)) == before


def test_a_build_that_fails_beside_it_loses_nothing_of_it(project: Project) -> None:
    project.edit_profile("web", BROKEN)
    done = project.up()
    assert done.code != 0
    assert "service nginx (default) is not in the runlevel" in done.text
    assert recorded(project) == {OLD, NEW}
    held = account(project)
    assert held["image"] == [OLD, NEW]
    assert len(held["snapshot"]) == 2
    assert not held["vm"]


def test_the_update_recorded_the_release_and_kept_the_comments(project: Project) -> None:
    written = (project.folder / "profiles" / "version" / "3.23.yaml").read_text(encoding="utf-8")
    assert written == CORE.replace("3.23.5", "3.23.6").replace("2027-05-01", "2027-11-01")


def test_the_next_update_retries_just_the_failed_build_and_prunes_the_superseded_release(project: Project) -> None:
    project.edit_profile("web", SUFFIXED)
    project.configure("retention", {"release": {"keep": 1}})
    shown = project.pulumi("preview", "-s", "e2e")
    assert "1 to create" in shown.text
    assert "1 to delete" in shown.text
    plan = project.plan()
    assert {name: step["action"] for name, step in plan.items()} == {NEW: "keep", OLD: "prune", WEB: "build"}
    assert plan[OLD]["level"] == "release"
    assert plan[OLD]["reason"] in shown.text
    done = project.up()
    assert done.code == 0, done.end
    assert account(project)["image"] == [NEW, WEB]
    assert recorded(project) == {NEW, WEB}


def test_a_package_that_does_not_exist_is_an_error_of_the_preview_and_nothing_is_built(project: Project) -> None:
    project.edit_profile("web", MISSPELT)
    shown = project.pulumi("preview", "-s", "e2e")
    assert shown.code != 0
    written = (project.folder / "profiles" / "alpine.yaml").read_text(encoding="utf-8").splitlines()
    where = f"profiles/alpine.yaml:{written.index('      ngnix: true') + 1}"
    problem = "there is no package ngnix in the repositories for Alpine 3.23; similar names: nginx"
    line = f"{where}: web: packages.ngnix: {problem}"
    assert f"error: {line}" in shown.text
    assert f"refused: {line}" in shown.text
    assert {name: step["action"] for name, step in project.plan(code=9).items()} == {NEW: "keep", WEB: "keep"}


def test_nothing_goes_whose_replacement_is_not_there_yet_though_errors_are_passed_over(project: Project) -> None:
    project.edit_profile("plain", PLAIN | {"user": "admin"})
    project.edit_profile("web", BROKEN)
    project.configure("retention", {"release": {"keep": 1}, "revision": {"keep": 1}})
    plan = project.plan()
    assert {name: step["action"] for name, step in plan.items()} == {
        CHANGED: "build", NEW: "keep", WEB_CHANGED: "build", WEB: "keep",
    }  # fmt: skip
    assert plan[CHANGED]["reason"] == "revision r1: user changed in the profile"
    done = project.up()
    assert done.code != 0
    assert account(project)["image"] == [NEW, WEB, CHANGED]
    assert recorded(project) == {NEW, CHANGED, WEB}


def test_a_target_limits_a_run_to_one_build_and_the_superseded_revision_goes(project: Project) -> None:
    plan = project.plan()
    assert (plan[NEW]["action"], plan[NEW]["level"]) == ("prune", "revision")
    assert plan[WEB_CHANGED]["action"] == "build"
    done = project.up("--target", "**plain**", "--target-dependents")
    assert done.code == 0, done.end
    assert account(project)["image"] == [WEB, CHANGED]
    assert recorded(project) == {CHANGED, WEB}
