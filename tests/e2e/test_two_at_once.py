"""Two updates at once: of one stack, of two stacks in one account, in two accounts; from one checkout, on stub VMs."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
import yaml

from tests.e2e.project import Project
from tests.sandbox.client import wait_for

pytestmark = pytest.mark.slow

BUILD = "v3_23-x86_64"
OTHERS = {"same-account": "main", "second-account": "second"}
"""Further stacks of the same profile, and whose keys they use."""


@pytest.fixture(scope="module")
def project(stub_project: Project) -> Project:
    for stack in OTHERS:
        assert stub_project.pulumi("stack", "init", stack).code == 0
    return stub_project


def begin(project: Project, stack: str) -> subprocess.Popen[bytes]:
    return project.begin("pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "-s", stack)


def images(project: Project, account: str) -> list[str]:
    return sorted(each["id"] for each in project.inventory()[account]["resources"]["image"])


def latest(project: Project, stack: str) -> dict[str, Any]:
    shown = project.pulumi("stack", "output", "latest", "-s", stack, "--json")
    assert shown.code == 0, shown.end
    found: dict[str, Any] = yaml.safe_load(shown.text)[BUILD]
    return found


def test_the_second_update_of_one_stack_ends_at_once_and_says_why(project: Project) -> None:
    first = begin(project, "e2e")
    locks = project.folder / "backend" / ".pulumi" / "locks"
    wait_for(lambda: list(locks.rglob("*.json")), bool, limit=60)
    second = project.up()
    assert second.code != 0
    assert "the stack is currently locked by 1 lock(s)" in second.text
    assert "wait for the other process" in second.text
    assert "Traceback" not in second.text
    assert first.wait(300) == 0, "the second got into the first one's way"
    assert images(project, "main") == [latest(project, "e2e")["omi"]]
    assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0
    assert images(project, "main") == []


def test_stacks_of_one_profile_may_not_share_a_releases_folder(project: Project) -> None:
    for stack, account in OTHERS.items():
        write_stack(project, stack, account, "releases/sandbox")
        refused = project.pulumi("preview", "-s", stack)
        assert refused.code != 0
        assert "give one of the two a folder of its own" in refused.text
        write_stack(project, stack, account, f"releases/{stack}")


def write_stack(project: Project, stack: str, account: str, releases: str) -> None:
    stacks = project.folder / "stacks"
    content = yaml.safe_load((stacks / "Pulumi.e2e.yaml").read_text(encoding="utf-8"))
    content["config"]["alpine-omi:cloud"]["osc_profile"] = account
    content["config"]["alpine-omi:releases_dir"] = releases
    (stacks / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def test_stacks_at_once_share_what_one_account_holds_and_nothing_of_two(project: Project) -> None:
    running = {stack: begin(project, stack) for stack in ("e2e", *OTHERS)}
    ended = {stack: process.wait(400) for stack, process in running.items()}
    assert ended == dict.fromkeys(running, 0)
    mine, shared, theirs = (latest(project, stack) for stack in ("e2e", *OTHERS))
    assert images(project, "main") == [mine["omi"]]
    assert shared["omi"] == mine["omi"], "the name is unique in the account: who came second took in what was there"
    assert images(project, "second") == [theirs["omi"]] != [mine["omi"]]
    for account in ("main", "second"):
        left = project.inventory()[account]["resources"]
        assert {kind for kind, found in left.items() if found} == {"image", "snapshot"}
    for stack, omi in {"sandbox": mine, "same-account": shared, "second-account": theirs}.items():
        listed = (project.folder / "releases" / stack / "alpine.yaml").read_text(encoding="utf-8")
        assert omi["omi"] in listed


def test_only_the_stack_that_made_it_deregisters_it(project: Project) -> None:
    adopted = {
        stack: "forgotten" in project.pulumi("destroy", "--yes", "--skip-preview", "-s", stack).text
        for stack in ("e2e", *OTHERS)
    }
    assert sorted(adopted.values()) == [False, False, True]
    assert not adopted["second-account"]
    assert images(project, "main") == images(project, "second") == []
