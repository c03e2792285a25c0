"""Which stack holds an image, decided by a person with real pulumi on stub VMs: rebuild, claim, copy, fork.

The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.project import Project, own

pytestmark = pytest.mark.slow

BUILD = "v3_23-x86_64"
R0, R1 = "alpine-3.23.6-x86_64-r0", "alpine-3.23.6-x86_64-r1"


@pytest.fixture(scope="module")
def project(stub_project: Project) -> Project:
    done = stub_project.up()
    assert done.code == 0, done.text
    return stub_project


def person(project: Project, command: str, *arguments: str) -> str:
    """What `python -m omi` prints; it must succeed."""
    done = project.run("python3", "-m", "omi", command, "-s", "e2e", *arguments)
    assert done.code == 0, done.text
    return done.text


def urn(project: Project, image: str) -> str:
    """Of the image's command."""
    resources = json.loads(project.pulumi("stack", "export", "-s", "e2e").text)["deployment"]["resources"]
    (found,) = (str(each["urn"]) for each in resources if str(each["urn"]).endswith(f"::{image}"))
    return found


def deletions(project: Project) -> int:
    """How often the account was asked to delete something of an image."""
    return sum(call["action"] in ("DeleteImage", "DeleteSnapshot") for call in project.control("calls"))


@contextmanager
def copied_state(project: Project) -> Iterator[None]:
    """Within, the project's state is a copy in a second backend; the first one is left as it is."""
    exported = project.folder / "copy.json"
    assert project.pulumi("stack", "export", "-s", "e2e", "--file", str(exported)).code == 0
    backend, first = project.folder / "backend", project.folder / "first"
    backend.rename(first)
    backend.mkdir()
    config = project.folder / "stacks" / "Pulumi.e2e.yaml"
    text = config.read_text(encoding="utf-8")
    try:
        assert project.pulumi("stack", "init", "e2e").code == 0
        assert project.pulumi("stack", "import", "-s", "e2e", "--file", str(exported)).code == 0
        yield
    finally:
        shutil.rmtree(backend)
        first.rename(backend)
        config.write_text(text, encoding="utf-8")


def is_settled(project: Project) -> bool:
    return project.pulumi("preview", "--expect-no-changes", "-s", "e2e").code == 0


def test_rebuild_makes_the_next_revision_of_the_same_content(project: Project) -> None:
    said = person(project, "rebuild", BUILD)
    assert f"build {R1}: revision r1: asked for again (1)" in said
    assert project.configured("again") == {BUILD: 1}
    done = project.up()
    assert done.code == 0, done.text
    assert project.outputs()["latest"][BUILD]["name"] == R1
    assert is_settled(project)


def test_a_replace_says_that_nothing_was_rebuilt_and_how_to(project: Project) -> None:
    done = project.up("--replace", urn(project, R1))
    assert done.code == 0, done.text
    assert "taken up as it is, not built again" in done.text
    assert f"for a new revision, run `python -m omi rebuild -s STACK {BUILD}`" in done.text


def test_what_a_copy_of_the_state_took_up_is_claimed_back_by_command(project: Project) -> None:
    before = own(project.inventory())
    with copied_state(project):
        assert project.up("--replace", urn(project, R1)).code == 0
    shown = project.pulumi("preview", "-s", "e2e")
    assert f"run `python -m omi claim -s STACK '{R1}'`" in shown.text, shown.text
    assert "bears this stack's claim" in person(project, "claim", R1)
    assert is_settled(project)
    assert "another record holds" not in project.pulumi("preview", "-s", "e2e").text
    assert own(project.inventory()) == before


def test_a_forked_copy_has_an_id_of_its_own_and_deletes_nothing(project: Project) -> None:
    before, deleted = own(project.inventory()), deletions(project)
    with copied_state(project):
        assert "Nothing is changed yet" in person(project, "fork")
        assert len(project.plan()) == 2
        assert "the OMIs stay" in person(project, "fork", "--yes")
        done = project.up()
        assert done.code == 0, done.text
        assert project.plan()[R1]["action"] == "keep"
        assert "made by another hand" in project.plan()[R1]["reason"]
        assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0
    assert (own(project.inventory()), deletions(project)) == (before, deleted)
    assert is_settled(project)
