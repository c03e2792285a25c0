"""Which images go and which stay, shown and done by real pulumi; no VM runs.

The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.e2e.held import HeldProject
from tests.omi.upstream.site import branch, listing

pytestmark = pytest.mark.slow

ONE, ONE_OLD = "one-3.23.10-x86_64-r0", "one-3.23.9-x86_64-r0"
TWO, TWO_OLD = "two-3.23.10-x86_64-r0", "two-3.23.9-x86_64-r0"
BY_RELEASE = {"release": {"keep": 1}}


@pytest.fixture(scope="module")
def omis(held: HeldProject) -> dict[str, str]:
    """Two builds, each with a release of one digit and its successor of two."""
    return held.hold("one", "two", releases=("3.23.9", "3.23.10"))


def pruned(plan: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: step["level"] for name, step in plan.items() if step["action"] == "prune"}


def is_public(held: HeldProject, omi: str) -> bool:
    image = held.image(omi)
    assert image is not None
    return bool(image["PermissionsToLaunch"]["GlobalPermission"])


def words(text: str) -> list[str]:
    """Lines with single spaces, so that a table's columns don't matter."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_preview_shows_the_same_as_the_plan_for_machines(held: HeldProject, omis: dict[str, str]) -> None:
    held.project.configure("retention", BY_RELEASE)
    plan = held.plan()
    assert pruned(plan) == {ONE_OLD: "release", TWO_OLD: "release"}  # 9 is older than 10
    shown = held.pulumi("preview")
    assert "2 to delete" in shown
    marks = {"prune": "- ", "keep": ""}
    lines = words(shown)
    for step in plan.values():
        row = f"{marks[step['action']]}{step['build']} {step['image']} {step['action']} {step['reason']}"
        assert any(line.endswith(row) for line in lines), row
    assert "2 to keep, 2 to prune" in lines


def test_losses_that_are_too_many_wait_while_a_build_goes_on_and_the_run_fails(
    held: HeldProject, omis: dict[str, str]
) -> None:
    held.write_profile("three")
    held.project.configure("retention", {"max_prunes": 1})
    third = held.register("three-3.23.10-x86_64-r0")
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        done = held.project.pulumi(*command, "-s", "e2e")
        assert done.code != 0
        assert re.search(r"4 of [45] images would be pruned at once", done.text)
        assert all(f"{name} (" in done.text for name in (ONE, TWO))
        assert "retention.allow_mass_prune" in done.text
        assert "Traceback" not in done.text
    assert all(held.image(omi) is not None for omi in omis.values())
    plan = json.loads(held.project.run("python3", "-m", "omi", "plan", "-s", "e2e", "--json").text)
    assert plan["refused"]
    steps = {step["image"]: step for step in plan["steps"]}
    assert steps["three-3.23.10-x86_64-r0"] | {"action": "keep", "omi": third} == steps["three-3.23.10-x86_64-r0"]
    assert "waits, since too many would go at once: removed from profile" in steps[ONE]["reason"]
    held.project.configure("retention", {"allow_mass_prune": ["three"]})
    held.write_profile("one", "two")
    held.pulumi("up", "--yes", "--skip-preview")


def test_a_protected_image_stays_and_the_reason_is_said(held: HeldProject, omis: dict[str, str]) -> None:
    held.project.configure("retention", {**BY_RELEASE, "protect": [ONE_OLD]})
    plan = held.plan()
    assert pruned(plan) == {TWO_OLD: "release"}
    assert plan[ONE_OLD]["reason"].startswith("protected by retention.protect (release:")


def test_a_version_past_its_end_gets_no_new_build_and_goes_after_the_grace(
    held: HeldProject, omis: dict[str, str]
) -> None:
    core = held.project.folder / "profiles" / "version" / "3.23.yaml"
    kept = core.read_text(encoding="utf-8")
    core.write_text("base: base/1\nrelease: 3.23.10\nend_of_life: 2025-01-01\n", encoding="utf-8")
    held.site.releases(branch("3.23", "3.23.11", eol_date="2025-01-01"))
    held.site.latest("3.23", listing("3.23.11"))
    held.project.configure("retention", {"end_of_life": {"grace_days": 30}})
    assert {step["action"] for step in held.plan().values()} == {"keep", "build"}, "an earlier day must be said longer"
    held.remember({"end_of_life": {"3.23": {"day": "2025-01-01", "since": "2026-01-01"}}})
    held.project.configure("retention", {"end_of_life": {"grace_days": 3_650}})
    assert {step["action"] for step in held.plan().values()} == {"keep"}
    held.project.configure("retention", {"end_of_life": {"grace_days": 30}})
    plan = held.plan()
    assert pruned(plan) == {ONE_OLD: "end-of-life", TWO_OLD: "end-of-life"}
    assert "past 2025-01-01 and the grace of 30 days" in plan[ONE_OLD]["reason"]
    assert "past its end of life" in plan[ONE]["reason"]
    core.write_text(kept, encoding="utf-8")
    held.offer("3.23.10")


def test_a_prune_and_a_target_each_change_one_build_alone(held: HeldProject, omis: dict[str, str]) -> None:
    held.project.configure("retention", BY_RELEASE)
    old = {name: step["omi"] for name, step in held.plan().items() if name in (ONE_OLD, TWO_OLD)}
    held.omi("prune", "-s", "e2e", "--yes", "one")
    assert held.image(old[ONE_OLD]) is None
    assert held.image(old[TWO_OLD]) is not None

    held.write_profile("one", "two", access={"public": True})
    held.pulumi("up", "--yes", "--skip-preview", "--target", "**two**", "--target-dependents")
    assert held.image(old[TWO_OLD]) is None
    assert (is_public(held, omis["one"]), is_public(held, omis["two"])) == (False, True)
    listed = held.omi("images", "-s", "e2e")
    assert [name in listed for name in (ONE, TWO, ONE_OLD, TWO_OLD)] == [True, True, False, False]


def test_the_next_update_does_the_rest_and_the_one_after_nothing(held: HeldProject, omis: dict[str, str]) -> None:
    held.pulumi("up", "--yes", "--skip-preview")
    assert is_public(held, omis["one"])
    assert set(held.plan()) == {ONE, TWO}
    assert json.loads(held.omi("plan", "-s", "e2e", "--json"))["changes"] is False


def test_a_refused_prune_holds_up_no_other(held: HeldProject, omis: dict[str, str]) -> None:
    held.project.configure("retention", {})
    held.hold("one", "two", releases=("3.23.11",))
    held.project.configure("retention", {**BY_RELEASE, "max_prunes": 1})
    held.write_profile("one")
    shown = held.project.pulumi("preview", "-s", "e2e")
    assert shown.code != 0
    assert "`pulumi up --skip-preview` does all else" in shown.text
    assert held.image(omis["one"]) is not None
    for deletes in (True, False):
        done = held.project.pulumi("up", "--yes", "--skip-preview", "-s", "e2e")
        assert done.code != 0
        assert re.search("error: 2 of . images would be pruned at once", done.text), done.text
        assert ("1 deleted" in done.text) is deletes
        assert held.image(omis["one"]) is None
        assert held.image(omis["two"]) is not None
    held.project.configure("retention", {**BY_RELEASE, "allow_mass_prune": ["two"]})
    held.pulumi("up", "--yes", "--skip-preview")
    assert held.image(omis["two"]) is None
