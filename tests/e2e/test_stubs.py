"""A whole update on stub VMs, for tests that are not about images, and that a stack refuses them unless it is told."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.e2e.project import Project

pytestmark = pytest.mark.slow

BUILD = "v3_23-x86_64"


@pytest.fixture(scope="module")
def project(stub_project: Project) -> Project:
    return stub_project


def test_one_build_of_a_fresh_stack_can_be_updated_alone(project: Project) -> None:
    """As docs/settings.md has it: a build waits for the id and the Regions in the state."""
    alone = ("preview", "--target", f"**{BUILD}**", "--target-dependents", "-s", "e2e")
    assert "depends on" in project.pulumi(*alone).text
    first = project.up("--target", "**stack-id", "--target", "**regions")
    assert first.code == 0, first.end
    done = project.pulumi(*alone)
    assert done.code == 0, done.end
    assert f"{BUILD}  alpine-3.23.6-x86_64-r0  build" in done.text


def test_a_stack_that_was_not_told_of_stubs_takes_no_image_of_theirs(project: Project) -> None:
    before = project.inventory()
    project.configure("vm", {**project.configured("vm"), "accept_stubs": False})
    done = project.up()
    assert done.code != 0
    assert "the VM is one of the sandbox's stubs, which run no image" in done.text
    assert project.inventory() == before
    project.configure("vm", {**project.configured("vm"), "accept_stubs": True})


def test_packer_its_plugin_and_the_verify_go_through_on_stubs(project: Project) -> None:
    done = project.up()
    assert done.code == 0, done.end
    assert "a stub VM: nothing of the image itself is checked" in done.text
    latest = project.outputs()["latest"][BUILD]
    account = project.inventory()["main"]["resources"]
    assert [image["id"] for image in account["image"]] == [latest["omi"]]
    assert [snapshot["id"] for snapshot in account["snapshot"]] == latest["snapshots"]
    assert not account["vm"]


def image_urn(project: Project) -> str:
    """Of the only image's command."""
    resources = json.loads(project.pulumi("stack", "export", "-s", "e2e").text)["deployment"]["resources"]
    (urn,) = (each["urn"] for each in resources if each["type"] == "command:local:Command")
    return str(urn)


def calls(project: Project, action: str) -> int:
    return sum(call["action"] == action for call in project.control("calls"))


def test_a_replaced_or_forgotten_image_is_taken_up_and_nothing_is_booted_or_deleted(project: Project) -> None:
    before = project.inventory()["main"]["resources"]
    called = [calls(project, action) for action in ("CreateVms", "DeleteImage", "DeleteSnapshot")]
    (image,) = before["image"]
    replaced = project.up("--replace", image_urn(project))
    assert replaced.code == 0, replaced.end
    assert "was verified by an earlier run: taken up as it is, not built again" in replaced.text
    assert "bears another claim, so another record holds it: left as it is" in replaced.text
    assert project.pulumi("state", "delete", image_urn(project), "--yes", "-s", "e2e").code == 0
    forgotten = project.up()
    assert forgotten.code == 0, forgotten.end
    after = project.inventory()["main"]["resources"]
    assert [each["id"] for each in after["image"]] == [image["id"]]
    assert after["snapshot"] == before["snapshot"]
    assert [calls(project, action) for action in ("CreateVms", "DeleteImage", "DeleteSnapshot")] == called
    assert project.outputs()["latest"][BUILD]["omi"] == image["id"]
    assert project.pulumi("preview", "--expect-no-changes", "-s", "e2e").code == 0


def test_a_second_stack_of_another_profile_and_the_same_names_tells_whose_image_it_has(project: Project) -> None:
    (image,) = project.images()
    stacks, profiles = project.folder / "stacks", project.folder / "profiles"
    config = yaml.safe_load((stacks / "Pulumi.e2e.yaml").read_text(encoding="utf-8"))
    config["config"] |= {"alpine-omi:profile": "mine", "alpine-omi:releases_dir": "releases/mine"}
    (stacks / "Pulumi.mine.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    profile = yaml.safe_load((profiles / "alpine.yaml").read_text(encoding="utf-8"))
    profile["builds"][BUILD]["packages"] = {"chrony": True}
    (profiles / "mine.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    assert project.pulumi("stack", "init", "mine").code == 0
    shown = project.pulumi("preview", "-s", "mine")
    assert f"made by stack e2e (id {image['tags']['stack-id']}), holds other content than {BUILD}" in shown.text
    assert f"give {BUILD} another `suffix`" in shown.text
    assert project.pulumi("up", "--yes", "--skip-preview", "-s", "mine").code == 0
    told = json.loads(project.pulumi("stack", "output", "latest", "-s", "mine", "--json").text)[BUILD]
    assert (told["omi"], told["digest"]) == (image["id"], image["tags"]["digest"])
    assert told["made_by"] == f"stack e2e (id {image['tags']['stack-id']})"
    (listed,) = json.loads((project.folder / "releases" / "mine" / "mine.json").read_text(encoding="utf-8"))["images"]
    assert (listed["digest"], listed["firmware"], listed["verified"]) == (told["digest"], None, [])
    profile["builds"][BUILD]["suffix"] = "-mine"
    (profiles / "mine.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    planned = project.run("python3", "-m", "omi", "plan", "-s", "mine").text
    assert "1 to build, 1 to keep" in planned
    assert f"an image of one's own instead of {image['name']}, which someone else made" in planned
    assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "mine").code == 0
    assert project.images() == [image]


def test_the_sandbox_tells_that_its_vms_are_stubs(project: Project) -> None:
    assert "the VMs are STUBS" in project.sandbox("status").text


def test_stubs_and_real_vms_do_not_share_a_home(project: Project) -> None:
    assert project.sandbox("stop").code == 0
    refused = project.sandbox("start", "--mirror", "off")
    assert refused.code == 1
    assert "were made by sandbox.machines.stub:StubMachines" in refused.text
    assert project.start_cloud().code == 0
