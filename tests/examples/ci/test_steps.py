"""The steps that both CIs share, each run as a runner does, on stub VMs with the state in a bucket of the local cloud.

The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.project import TOP
from tests.examples.ci.team import BUILD, OTHER, STACK, Team, a_team, lend_tools

VERSION = "profiles/version/3.23.yaml"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project() -> Iterator[Team]:
    with a_team() as team:
        yield team


@pytest.fixture
def team(project: Team) -> Team:
    return project


def test_a_preview_shows_the_plan_and_makes_nothing(team: Team) -> None:
    before = team.project.inventory()
    done = team.step("preview")
    assert done.code == 0, done.end
    report = (team.folder / "build" / "ci" / "preview.md").read_text(encoding="utf-8")
    assert "2 to build" in report
    assert f"first image of {BUILD}" in report
    assert team.project.inventory() == before


def test_an_update_is_published_once_with_the_release_that_it_found(team: Team) -> None:
    recorded = team.folder / VERSION
    recorded.write_text(recorded.read_text(encoding="utf-8").replace("release: 3.23.6", "release: 3.23.5"))
    team.commit("Know an older release")
    done = team.step("update")
    assert done.code == 0, done.end
    assert f".pulumi/stacks/alpine-omi/{STACK}.json" in team.keys("/stacks/")
    assert team.keys("/locks/") == []
    for _ in range(2):
        published = team.step("publish", "main")
        assert published.code == 0, published.end
    assert "nothing new to publish" in published.text
    images = json.loads(team.published("releases/alpine.json"))["images"]
    assert {each["ids"]["eu-west-2"] for each in images} == {image["id"] for image in team.project.images()}
    assert "release: 3.23.6" in team.published(VERSION)
    assert "[skip ci]" in team.git("log", "-1", "--format=%B", "main", folder=team.remote)
    assert team.git("status", "--porcelain") == ""


def test_a_second_person_sees_the_same_images(team: Team) -> None:
    clone = team.folder.parent / "clone"
    team.git("clone", "--quiet", str(team.remote), str(clone))
    lend_tools(clone)
    done = team.documented("pulumi preview", clone)
    assert done.code == 0, done.end
    assert "2 to keep" in done.text


def test_a_preview_needs_no_more_than_its_policy(team: Team) -> None:
    policy = json.loads((team.folder / "examples" / "ci" / "eim-policy-preview.json").read_text(encoding="utf-8"))
    team.project.control("policies", {"main": policy}, method="PUT")
    try:
        done = team.step("preview")
        refused = team.step("update")
    finally:
        team.project.control("policies", {}, method="PUT")
    assert done.code == 0, done.end
    assert "2 to keep" in done.text
    assert refused.code != 0
    assert len(team.project.images()) == 2


def test_an_update_needs_no_more_than_its_two_policies(team: Team) -> None:
    files = ("docs/eim-policy.json", "examples/ci/eim-policy-state.json")
    of_cloud, of_state = (json.loads((TOP / file).read_text(encoding="utf-8")) for file in files)
    both = {"Statement": of_cloud["Statement"] + of_state["Statement"]}
    codes = []
    for policy in (of_cloud, both):
        team.project.control("policies", {"main": policy}, method="PUT")
        try:
            codes.append(team.step("update").code)
        finally:
            team.project.control("policies", {}, method="PUT")
    assert (codes[0] != 0, codes[1]) == (True, 0), "the first lacks the bucket of the state"


def test_the_account_as_the_state_has_it_is_no_drift(team: Team) -> None:
    done = team.step("drift")
    assert done.code == 0, done.end
    assert "nothing is left over" in (team.folder / "build" / "ci" / "drift.md").read_text(encoding="utf-8")


def test_a_run_whose_runner_was_lost_is_cleaned_up_once_none_can_run_any_more(team: Team) -> None:
    team.change_the_content()
    team.commit("Change the content")
    team.lose_the_runner()
    assert team.vms()
    refused = team.step("update")
    assert refused.code == 1
    assert "the stack is locked since 20" in refused.text
    assert len(team.keys("/locks/")) == 1
    done = team.step("update", LOCK_HOURS="0")
    assert done.code == 0, done.end
    assert "The lock of a run that ended" in done.text
    assert "Operations of a run that ended" in done.text
    assert set(team.project.left()) == {"buckets"}
    assert team.keys("/locks/") == []
    assert len(team.project.images()) == 4
    assert team.step("publish", "main").code == 0


def test_a_lock_that_is_older_than_any_run_is_broken_without_a_person(team: Team) -> None:
    team.lock((datetime.now(UTC) - timedelta(hours=8)).isoformat())
    done = team.step("update")
    assert done.code == 0, done.end
    assert team.keys("/locks/") == []


def test_a_refused_prune_waits_in_a_red_run_and_the_rest_is_built_and_published(team: Team) -> None:
    team.project.configure("retention", {"max_prunes": 0})
    team.project.edit_profile(OTHER, None)
    team.change_the_content()
    team.commit("Drop a build")
    done = team.step("update")
    assert done.code != 0
    assert "they wait; if that is meant" in done.text
    assert len(team.project.images()) == 5
    assert team.step("publish", "main").code == 0
    listed = json.loads(team.published("releases/alpine.json"))["images"]
    assert len(listed) == 5


def test_what_others_changed_is_drift(team: Team) -> None:
    image = json.loads(team.published("releases/alpine.json"))["latest"]["build"][BUILD]["eu-west-2"]["id"]
    public = {"Additions": {"GlobalPermission": True}}
    team.project.oapi().call("UpdateImage", ImageId=image, PermissionsToLaunch=public)
    done = team.step("drift")
    assert done.code == 1
    assert "was changed by others" in (team.folder / "build" / "ci" / "drift.md").read_text(encoding="utf-8")


def test_a_variable_that_is_missing_is_one_line(team: Team) -> None:
    for name in ("STACK", "PULUMI_BACKEND_URL", "OSC_SECRET_KEY"):
        done = team.step("update", **{name: ""})
        assert (done.code, done.text) == (1, f"ci: {name} is not set: docs/ci.md says where the CI keeps it\n")


def test_a_failure_is_told_in_the_chat(team: Team) -> None:
    done = team.step("notify", CI_PIPELINE_URL="https://ci.example/7")
    assert (done.code, team.said[-1]) == (0, f"The run for the images of {STACK} failed: https://ci.example/7")
    assert "NOTIFY_URL is not set" in team.step("notify", NOTIFY_URL="").text
    assert team.step("notify", NOTIFY_URL=f"{team.chat[:-5]}1/none").code != 0
