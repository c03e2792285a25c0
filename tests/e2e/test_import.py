"""An account full of the old tool's images is taken over, and nothing in it changes; no VM runs.

The tests of this module are one story and run in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.e2e.held import STACK, HeldProject, held_project

pytestmark = pytest.mark.slow

NAMES = ("alpine-ami-3.23.4-x86_64-r0", "alpine-ami-3.23.5-x86_64-20260831223706", "alpine-3.23.6-x86_64-r3")
REVISIONS = ("r0", "20260831223706", "r3")


@pytest.fixture(scope="module")
def held() -> Iterator[HeldProject]:
    with held_project() as made:
        made.write_profile(builds={"v3_23-x86_64": {"version": "3.23", "arch": "x86_64"}})
        yield made


@pytest.fixture(scope="module")
def omis(held: HeldProject) -> list[str]:
    """The old images, and the file that tells of them and of one that is gone since."""
    made = [held.register(name) for name in NAMES]
    old: dict[str, Any] = {}
    for name, revision, omi in zip(
        (*NAMES, "alpine-ami-3.23.3-x86_64-r0"), (*REVISIONS, "r0"), (*made, "ami-0badcafe"), strict=True
    ):
        release = name.split("-x86_64")[0].rpartition("-")[2]
        leaf = {
            "profile_build": "v3_23-x86_64", "release": release, "revision": revision, "arch": "x86_64",
            "version": "3.23", "build_time": 1630478686, "artifacts": {"eu-west-2": omi, "us-west-2": "ami-elsewhere"},
        }  # fmt: skip
        old.setdefault(release, {}).setdefault("v3_23-x86_64", {})[name] = leaf
    (held.project.folder / "old.yaml").write_text(yaml.safe_dump(old), encoding="utf-8")
    return made


def test_import_shows_what_it_would_adopt_and_changes_nothing(held: HeldProject, omis: list[str]) -> None:
    file = held.project.folder / "stacks" / f"Pulumi.{STACK}.yaml"
    before = file.read_bytes()
    shown = held.omi("import", "-s", STACK, "old.yaml")
    lines = {line.split()[0]: line for line in shown.splitlines()}
    for name, omi in zip(NAMES, omis, strict=True):
        assert omi in lines[name]
        assert "adopt: made by someone else, so never deregistered" in lines[name]
    assert "left: is not in the account" in lines["alpine-ami-3.23.3-x86_64-r0"]
    assert "3 would be adopted" in shown
    assert file.read_bytes() == before


def test_what_is_listed_is_adopted_by_the_next_update_and_that_settles(held: HeldProject, omis: list[str]) -> None:
    before = [held.image(omi) for omi in omis]
    held.omi("import", "-s", STACK, "old.yaml", "--yes")
    again = held.omi("import", "-s", STACK, "old.yaml", "--yes")
    assert "There is nothing to adopt." in again
    plan = held.plan()
    assert {name: step["action"] for name, step in plan.items()} == dict.fromkeys(NAMES, "adopt")
    shown = held.pulumi("preview")
    assert f"{omis[0]} is named in `adopt`" in shown
    held.pulumi("up", "--yes", "--skip-preview")
    assert {name: step["action"] for name, step in held.plan().items()} == dict.fromkeys(NAMES, "keep")
    # the stack, its id, Regions and memory, a build and its images
    assert "8 unchanged" in held.pulumi("preview")
    assert [held.image(omi) for omi in omis] == before
    listed = yaml.safe_load((held.project.folder / "releases" / "sandbox" / "alpine.yaml").read_text(encoding="utf-8"))
    assert set(listed["3.23.5"]["v3_23-x86_64"]) == {NAMES[1]}


def test_what_is_pruned_is_forgotten_and_not_taken_in_again(held: HeldProject, omis: list[str]) -> None:
    held.write_profile(builds={"other": {"version": "3.23", "arch": "x86_64", "prefix": "other-"}})
    held.register("other-3.23.6-x86_64-r0")
    held.pulumi("config", "set", "--path", "retention.allow_mass_prune[0]", "all")
    assert held.plan()[NAMES[0]]["action"] == "prune"
    held.pulumi("up", "--yes", "--skip-preview")
    assert all(held.image(omi) for omi in omis)
    assert {step["action"] for step in held.plan().values()} == {"keep"}
    assert set(held.plan()) == {"other-3.23.6-x86_64-r0"}
