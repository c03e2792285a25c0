"""One stack in two Regions with an account each: built in both at once, and only the one that failed is made again.

Real pulumi and Packer on stub VMs. The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tests.e2e.project import Project
from tests.e2e.test_copy import works_in
from tests.sandbox.client import wait_for

pytestmark = pytest.mark.slow

BUILD = "v3_23-x86_64"
HOME, OTHER = "eu-west-2", "us-east-2"


@pytest.fixture(scope="module")
def project(stub_project: Project) -> Project:
    return stub_project


def add_region(project: Project, osc_profile: str | None = "main-us") -> None:
    """Give the stack its second Region, with that account's key."""
    cloud = project.configured("cloud")
    there = {"api": cloud["api"], "osc_profile": osc_profile}
    project.configure("regions", {OTHER: {"cloud": {key: value for key, value in there.items() if value}}})


def is_public(project: Project, account: str) -> bool:
    wanted = {"ImageIds": [project.images(account)[0]["id"]]}
    (image,) = project.oapi(account).call("ReadImages", Filters=wanted)["Images"]
    return bool(image["PermissionsToLaunch"]["GlobalPermission"])


def states(project: Project) -> dict[str, str]:
    """Region by logical name of the command, as the stack's state has it."""
    deployment = json.loads(project.pulumi("stack", "export", "-s", "e2e").text)["deployment"]
    return {
        each["urn"].rpartition("::")[2]: json.loads(each["inputs"]["stdin"])["cloud"]["region"]
        for each in deployment["resources"]
        if each["type"] == "command:local:Command"
    }


def test_a_region_without_credentials_is_one_line_and_nothing_is_begun(project: Project) -> None:
    before = project.inventory()
    add_region(project, osc_profile=None)
    shown = project.pulumi("preview", "-s", "e2e")
    assert shown.code != 0
    assert f"regions.{OTHER}.cloud.osc_profile: is not set, so Region {OTHER} has no credentials" in shown.text
    add_region(project, osc_profile="nobody")
    shown = project.up()
    assert shown.code != 0
    assert f"Region {OTHER}: credentials: {project.home}/osc.json: has no profile 'nobody'" in shown.text
    add_region(project, osc_profile="main")
    shown = project.up()
    assert f"Region {OTHER}: credentials: " in shown.text
    assert f"profile 'main' is of Region {HOME}, the stack's is {OTHER}" in shown.text
    assert "Traceback" not in shown.text
    assert project.inventory() == before
    assert states(project) == {}


def test_one_region_that_fails_leaves_the_other_published(project: Project) -> None:
    add_region(project)
    project.control("faults", {"action": "CreateVms", "status": 400, "region": OTHER, "times": -1})
    shown = " ".join(project.pulumi("preview", "-s", "e2e").text.split())
    assert f"+ {HOME} {BUILD} alpine-3.23.6-x86_64-r0 build first image of {BUILD}" in shown
    assert f"+ {OTHER} {BUILD} alpine-3.23.6-x86_64-r0 build first image of {BUILD}" in shown
    done = project.up()
    assert done.code != 0
    assert "Traceback" not in done.text
    (made,) = project.images("main")
    assert project.images("main-us") == []
    assert project.left() == {}
    assert states(project) == {"alpine-3.23.6-x86_64-r0": HOME}
    feed = json.loads((project.folder / "releases" / "sandbox" / "alpine.json").read_text(encoding="utf-8"))
    assert {region: pointer["id"] for region, pointer in feed["latest"]["overall"].items()} == {HOME: made["id"]}


def test_the_next_update_makes_only_what_is_missing(project: Project) -> None:
    (before,) = project.images("main")
    project.control("faults", [], "PUT")
    began = project.control("calls")[-1]["number"]
    done = project.up()
    assert done.code == 0, done.end
    assert project.images("main") == [before]
    (made,) = project.images("main-us")
    changing = [call for call in project.control(f"calls?since={began}") if call["action"].startswith("Create")]
    assert changing
    assert {call["profile"] for call in changing} == {"main-us"}
    assert states(project) == {"alpine-3.23.6-x86_64-r0": HOME, f"alpine-3.23.6-x86_64-r0@{OTHER}": OTHER}
    assert project.left() == {}
    told = project.outputs()
    image = told["images"][BUILD]["3.23.6"]["alpine-3.23.6-x86_64-r0"]
    assert (image["region"], image["omi"]) == (HOME, before["id"])
    both = {HOME: before["id"], OTHER: made["id"]}
    assert {region: each["omi"] for region, each in image["regions"].items()} == both
    assert {region: each["omi"] for region, each in told["latest"][BUILD]["regions"].items()} == both
    folder = project.folder / "releases" / "sandbox"
    feed = json.loads((folder / "alpine.json").read_text(encoding="utf-8"))
    assert {region: pointer["id"] for region, pointer in feed["latest"]["overall"].items()} == both
    for region in both:
        assert (folder / "alpine" / region / "alpine-3.23.6-x86_64-r0.packages.txt").is_file()


def test_the_commands_know_both_regions(project: Project) -> None:
    table = project.run("python3", "-m", "omi", "images", "-s", "e2e").text.splitlines()
    assert table[0].split()[:2] == ["REGION", "BUILD"]
    assert [line.split()[0] for line in table[1:]] == [HOME, OTHER]
    plan = json.loads(project.run("python3", "-m", "omi", "plan", "-s", "e2e", "--json").text)
    assert plan["changes"] is False
    assert [step["region"] for step in plan["steps"]] == [HOME, OTHER]
    folder = project.folder / "releases" / "sandbox"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "alpine.yaml").unlink()
    assert project.run("python3", "-m", "omi", "publish", "-s", "e2e").code == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert "Nothing is left over." in project.run("python3", "-m", "omi", "sweep", "-s", "e2e").text


def test_sharing_is_per_region_and_a_refusal_is_made_up_for_there(project: Project) -> None:
    project.configure("access", "public")
    project.control("faults", {"action": "UpdateImage", "status": 403, "region": OTHER, "times": 1})
    done = project.up()
    assert done.code != 0
    assert "could not be shared with everyone" in done.text
    assert (is_public(project, "main"), is_public(project, "main-us")) == (True, False)
    assert project.up().code == 0
    assert is_public(project, "main-us")


def test_a_region_that_leaves_the_config_is_pruned_by_its_own_key_once_that_is_allowed(project: Project) -> None:
    (home,) = project.images("main")
    project.configure("access", None)
    assert project.up().code == 0
    project.configure("regions", None)
    refused = project.up()
    assert refused.code != 0
    assert f"Region {OTHER}: 1 of 1 images would be pruned at once" in refused.text
    assert f"(Region {OTHER} was removed from the stack's config)" in refused.text
    stages = {"private": {"deprecated_days": 0, "private_days": 0}, "shared": {"deprecated_days": 0, "private_days": 0}}
    project.configure("retention", {"allow_mass_prune": [OTHER], "stages": stages})
    done = project.up()
    assert done.code == 0, done.end
    assert project.images("main") == [home]
    assert project.images("main-us") == []
    assert states(project) == {"alpine-3.23.6-x86_64-r0": HOME}
    told = yaml.safe_load((project.folder / "releases" / "sandbox" / "alpine.yaml").read_text(encoding="utf-8"))
    assert told["3.23.6"][BUILD]["alpine-3.23.6-x86_64-r0"]["artifacts"] == {HOME: home["id"]}
    assert project.outputs()["latest"][BUILD]["regions"] is None


def test_both_regions_are_built_at_the_same_time_and_destroyed_each_by_its_key(project: Project) -> None:
    assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0
    add_region(project)
    began = project.control("calls")[-1]["number"]
    done = project.up()
    assert done.code == 0, done.end
    spans = {}
    for account in ("main", "main-us"):
        calls = [call for call in project.control(f"calls?since={began}") if call["profile"] == account]
        launched = [call["time"] for call in calls if call["action"] == "CreateVms"]
        ended = [call["time"] for call in calls if call["action"] == "DeleteVms"]
        spans[account] = (min(launched), max(ended))
    assert max(start for start, _ in spans.values()) < min(end for _, end in spans.values())
    assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0
    assert project.images("main") == project.images("main-us") == []


def test_a_region_whose_cloud_does_not_answer_holds_the_others_up_no_longer_than_its_limits(project: Project) -> None:
    project.control("faults", {"action": "*", "status": 503, "region": OTHER, "times": -1}, "PUT")
    done = project.up()
    assert done.code == 0, done.end
    assert f"Region {OTHER}: ReadAccounts at " in done.text
    assert "nothing is done there in this run, the next one makes up for it" in done.text
    assert len(project.images("main")) == 1
    project.control("faults", [], "PUT")
    plan = project.plan()
    assert plan["alpine-3.23.6-x86_64-r0"]["action"] == "build"
    assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0


def test_what_a_killed_build_left_in_a_region_that_then_left_the_config_is_still_swept(project: Project) -> None:
    project.configure("regions", None)
    assert project.up().code == 0
    (home,) = project.images("main")
    add_region(project)
    command = "pulumi --color never --non-interactive up --yes --skip-preview --parallel 1 -s e2e"
    update = project.begin(*command.split())
    wait_for(
        lambda: project.inventory()["main-us"]["resources"]["vm"],
        lambda vms: any("build-id" in vm["tags"] for vm in vms),
        limit=120,
    )
    # all of it at once, as when the machine goes down: nobody is left to clean up
    for pid in (int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()):
        if works_in(pid, project.folder):
            with suppress(ProcessLookupError):  # one may end because of the other's end
                os.kill(pid, signal.SIGKILL)
    update.wait(60)
    assert project.pulumi("cancel", "--yes", "-s", "e2e").code == 0
    project.configure("regions", None)
    done = project.up()
    assert done.code == 0, done.end
    assert "unchanged" in project.pulumi("preview", "--expect-no-changes", "-s", "e2e").text
    told = project.run("python3", "-m", "omi", "sweep", "-s", "e2e").text
    assert f"{OTHER}  VM" in told
    health = project.run("python3", "-m", "omi", "health", "-s", "e2e").text
    assert "things are left over: `python -m omi sweep` lists them" in health
    swept = project.run("python3", "-m", "omi", "sweep", "-s", "e2e", "--yes")
    assert swept.code == 0, swept.text
    assert project.left() == {}
    assert project.images("main") == [home]
    assert "Nothing is left over." in project.run("python3", "-m", "omi", "sweep", "-s", "e2e").text
    assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0
