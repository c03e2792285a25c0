"""Which stack holds an image, by a person with real pulumi on stub VMs: build, prune, claim, copy, fork.

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
    assert done.code == 0, done.end
    return stub_project


def person(project: Project, command: str, *arguments: str) -> str:
    """What `python -m omi` prints; it must succeed."""
    done = project.run("python3", "-m", "omi", command, "-s", "e2e", *arguments)
    assert done.code == 0, done.end
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


def released(project: Project) -> dict[str, str]:
    """The releases files."""
    folder = project.folder / str(project.configured("releases_dir") or "releases")
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.is_file()}


def is_settled(project: Project) -> bool:
    return project.pulumi("preview", "--expect-no-changes", "-s", "e2e").code == 0


def test_a_build_by_hand_makes_the_next_revision_of_the_same_content(project: Project) -> None:
    assert "revision r1: asked for again (1)" in person(project, "build", BUILD, "--again", "--yes")
    assert project.configured("again") == {BUILD: 1}
    assert project.outputs()["latest"][BUILD]["name"] == R1
    assert is_settled(project)
    assert person(project, "health").endswith("0 warning, 0 error\n")


def test_a_replace_says_that_nothing_was_rebuilt_and_how_to(project: Project) -> None:
    done = project.up("--replace", urn(project, R1))
    assert done.code == 0, done.end
    assert "taken up as it is, not built again" in done.text
    assert f"for a new revision, run `python -m omi build -s STACK {BUILD} --again --yes`" in done.text


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
    before, deleted, listed = own(project.inventory()), deletions(project), released(project)
    with copied_state(project):
        assert "Nothing is changed yet" in person(project, "fork")
        assert len(project.plan()) == 2
        assert "the OMIs stay" in person(project, "fork", "--yes")
        done = project.up()
        assert done.code == 0, done.end
        assert project.plan()[R1]["action"] == "keep"
        assert "made by stack e2e (id " in project.plan()[R1]["reason"]
        assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0
    assert (own(project.inventory()), deletions(project), released(project)) == (before, deleted, listed)
    assert is_settled(project)


@contextmanager
def lost_state(project: Project) -> Iterator[None]:
    """Within, the backend is new and empty, and so are the build folders; afterwards all is as before."""
    config = project.folder / "stacks" / "Pulumi.e2e.yaml"
    text = config.read_text(encoding="utf-8")
    for name in ("backend", "build"):
        (project.folder / name).rename(project.folder / f"lost-{name}")
    (project.folder / "backend").mkdir()
    try:
        assert project.pulumi("stack", "init", "e2e").code == 0
        yield
    finally:
        config.write_text(text, encoding="utf-8")
        for name in ("backend", "build"):
            shutil.rmtree(project.folder / name, ignore_errors=True)
            (project.folder / f"lost-{name}").rename(project.folder / name)


def known(project: Project) -> dict[str, tuple[dict[str, object], dict[str, object]]]:
    """What state says of each image: its spec and what its record knows, but for what differs once it was lost."""
    resources = json.loads(project.pulumi("stack", "export", "-s", "e2e").text)["deployment"]["resources"]
    found = {}
    for each in resources:
        if each["type"] == "command:local:Command":
            spec, record = json.loads(each["outputs"]["stdin"]), json.loads(each["outputs"]["stdout"])
            spec.pop("recipe")
            for key in ("claim", "build_seconds", "installed"):  # a stub says nothing of what is installed
                record.pop(key)
            found[spec["name"]] = (spec, {key: value for key, value in record.items() if value is not None})
    return found


def test_a_lost_state_is_recovered_with_all_its_images_and_nothing_is_booted(project: Project) -> None:
    days = {"deprecated_days": 30, "private_days": 30}
    project.configure("retention", {"revision": {"keep": 1}, "stages": {"private": days}})
    assert project.up().code == 0
    before, said, deleted = own(project.inventory()), known(project), deletions(project)
    assert said[R0][0]["withdrawal"] is not None
    launched = sum(call["action"] == "CreateVms" for call in project.control("calls"))
    with lost_state(project):
        hint = project.pulumi("preview", "-s", "e2e").text
        assert "python -m omi recover -s e2e" in hint
        assert "Nothing is changed yet" in person(project, "recover")
        shown = person(project, "recover", "--yes")
        assert "2 to recover" in shown
        assert {step["action"] for step in project.plan().values()} == {"recover"}
        assert "2 to recover" in project.pulumi("preview", "-s", "e2e").text
        done = project.up()
        assert done.code == 0, done.end
        assert is_settled(project)
        assert known(project) == said
        assert "take it out by `pulumi config rm recover`" in project.pulumi("preview", "-s", "e2e").text
        assert project.pulumi("config", "rm", "recover", "-s", "e2e").code == 0
        assert is_settled(project)
        assert project.pulumi("state", "delete", urn(project, R0), "--yes", "-s", "e2e").code == 0
        assert "1 to recover" in person(project, "recover", R0, "--yes")
        assert project.up().code == 0
        assert known(project) == said
        assert is_settled(project)
    assert (own(project.inventory()), deletions(project)) == (before, deleted)
    assert sum(call["action"] == "CreateVms" for call in project.control("calls")) == launched


def test_a_prune_by_hand_takes_what_was_asked_for_and_saves_no_setting(project: Project) -> None:
    config = (project.folder / "stacks" / "Pulumi.e2e.yaml").read_text(encoding="utf-8")
    for image in (R0, R1):  # which the test before took up into a state that is gone
        person(project, "claim", image)
    assert "Nothing is done yet" in person(project, "prune", BUILD, "--level", "revision")
    assert R0 in project.plan()
    person(project, "prune", BUILD, "--level", "revision", "--yes")
    assert {name: step["action"] for name, step in project.plan().items()} == {R1: "keep"}
    assert len(own(project.inventory())["image"]) == 1
    assert is_settled(project)
    assert (project.folder / "stacks" / "Pulumi.e2e.yaml").read_text(encoding="utf-8") == config
