"""One build of an update fails: the others are done, and nothing goes before what replaces it is there. No VM runs.

The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.e2e.held import HeldProject
from tests.e2e.project import Result

pytestmark = pytest.mark.slow

SOURCE = "Debian-12-source"


def image(build: str, revision: int = 0) -> str:
    return f"{build}-3.23.6-x86_64-r{revision}"


@pytest.fixture(scope="module")
def omis(held: HeldProject) -> dict[str, str]:
    """The builds a and b have an image; so has the account, for others to be built from."""
    source = held.register(SOURCE)
    vm = held.project.configured("vm") or {}
    owner = held.image(source)
    assert owner
    held.project.configure("vm", {**vm, "source_omi": SOURCE, "source_owner": owner["AccountId"]})
    return held.hold("a", "b")


def in_state(held: HeldProject) -> set[str]:
    """Names of the images' commands."""
    resources = json.loads(held.pulumi("stack", "export"))["deployment"]["resources"]
    return {each["urn"].rsplit("::", 1)[1] for each in resources if each["type"] == "command:local:Command"}


def up_while_builds_fail(held: HeldProject) -> Result:
    """`pulumi up`, one step after the other, in which no image can be built."""
    held.sandbox.control("PUT", "faults", [{"action": "CreateKeypair", "status": 400, "code": "4001", "times": -1}])
    try:
        done = held.project.up("--parallel", "1")
    finally:
        held.sandbox.control("PUT", "faults", [])
    assert done.code != 0
    assert "Traceback" not in done.text, done.text
    return done


def latest(held: HeldProject) -> dict[str, str | None]:
    """Name of each build's newest image, as the stack's outputs say."""
    return {build: told and told["name"] for build, told in held.project.outputs()["latest"].items()}


def add_build(held: HeldProject, name: str, **keys: Any) -> None:
    held.project.edit_profile(name, {"version": "3.23", "arch": "x86_64", "prefix": f"{name}-", **keys})


def test_the_others_are_done_and_a_renamed_builds_image_stays(held: HeldProject, omis: dict[str, str]) -> None:
    held.project.edit_profile("a", None)
    add_build(held, "c")  # the new name of a
    add_build(held, "d")
    add_build(held, "e")
    held.register(image("d"))
    held.register(image("e"))
    done = up_while_builds_fail(held)
    assert image("c") in done.text
    assert in_state(held) == {image("a"), image("b"), image("d"), image("e")}
    assert held.image(omis["a"]) is not None
    assert latest(held) == {"a": image("a"), "b": image("b"), "c": None, "d": image("d"), "e": image("e")}
    step = held.plan()[image("a")]
    assert (step["action"], step["reason"]) == ("keep", "waits until c has a verified image: removed from profile")


def test_it_goes_once_state_holds_an_image_of_the_new_name(held: HeldProject, omis: dict[str, str]) -> None:
    held.register(image("c"))
    held.pulumi("up", "--yes", "--skip-preview")
    assert held.image(omis["a"]) is not None
    assert held.plan()[image("a")]["action"] == "prune"


def test_a_superseded_image_stays_while_another_is_pruned_by_the_failing_update(
    held: HeldProject, omis: dict[str, str]
) -> None:
    held.project.configure("retention", {"revision": {"keep": 1}})
    add_build(held, "b", user="admin")
    assert held.plan()[image("b", 1)]["action"] == "build"
    up_while_builds_fail(held)
    assert held.image(omis["a"]) is None
    assert held.image(omis["b"]) is not None
    assert in_state(held) == {image(build) for build in "bcde"}
    assert latest(held)["b"] == image("b")


def test_a_program_that_fails_deletes_nothing(held: HeldProject, omis: dict[str, str]) -> None:
    before = in_state(held)
    main = held.project.folder / "__main__.py"
    kept = main.read_text(encoding="utf-8")
    main.write_text(kept.replace("    builds = {", "    1 / 0\n    builds = {"), encoding="utf-8")
    done = held.project.up()
    main.write_text(kept, encoding="utf-8")
    assert done.code != 0
    assert "ZeroDivisionError" in done.text
    profile = held.project.folder / "profiles" / "alpine.yaml"
    text = profile.read_text(encoding="utf-8")
    profile.write_text(yaml.safe_dump({"builds": {}})[:-3] + "[\n", encoding="utf-8")
    assert held.project.up().code != 0
    profile.write_text(text, encoding="utf-8")
    assert in_state(held) == before
    assert held.image(omis["b"]) is not None
