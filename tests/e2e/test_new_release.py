"""A mirror that moves on: a preview shows it and writes nothing, an update records it; no VM runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.held import HeldProject, held_project
from tests.omi.upstream.site import branch, listing

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def held() -> Iterator[HeldProject]:
    with held_project() as made:
        made.hold("one")
        yield made


def test_a_new_release_is_shown_by_the_preview_and_recorded_by_the_update(held: HeldProject) -> None:
    file = held.project.folder / "profiles" / "version" / "3.23.yaml"
    before = file.read_text(encoding="utf-8")
    held.site.releases(branch("3.23", "3.23.7", eol_date="2028-01-31"))
    held.site.latest("3.23", listing("3.23.7"))
    shown = held.pulumi("preview")
    assert "new release 3.23.7 (was 3.23.6)" in shown
    assert "1 to create" in shown
    assert file.read_text(encoding="utf-8") == before

    there = held.register("one-3.23.7-x86_64-r0")  # so that the update adopts it, where it would run VMs
    assert there in held.pulumi("preview")
    assert file.read_text(encoding="utf-8") == before
    done = held.pulumi("up", "--yes", "--skip-preview")
    assert "release 3.23.7 (was 3.23.6)" in done
    assert file.read_text(encoding="utf-8") == before.replace("3.23.6", "3.23.7").replace("2027-11-01", "2028-01-31")
    assert "to create" not in held.pulumi("preview")


def test_with_upstream_away_the_recorded_release_counts(held: HeldProject) -> None:
    held.site.pages.clear()
    answers = list((held.project.folder / "cache" / "upstream").iterdir())
    assert answers
    for file in answers:
        file.unlink()
    plan = held.plan()
    assert plan["one-3.23.7-x86_64-r0"]["action"] == "keep"
    assert {step["action"] for step in plan.values()} == {"keep"}


def test_a_new_branch_gets_a_build_and_once_built_a_core_profile(held: HeldProject) -> None:
    held.site.releases(branch("3.23", "3.23.7"), branch("3.30", "3.30.0", eol_date="2030-05-01"))
    held.site.latest("3.23", listing("3.23.7"))
    held.site.latest("3.30", listing("3.30.0"))
    held.write_profile("one", discover={"versions": ["3.30"]})
    core = held.project.folder / "profiles" / "version" / "3.30.yaml"
    assert held.plan()["alpine-3.30.0-x86_64-r0"]["reason"] == "first image of v3_30-x86_64"
    assert not core.exists()
    held.register("alpine-3.30.0-x86_64-r0")
    held.pulumi("up", "--yes", "--skip-preview")
    assert "release: 3.30.0\nend_of_life: 2030-05-01\n" in core.read_text(encoding="utf-8")
    assert {step["action"] for step in held.plan().values()} == {"keep"}
