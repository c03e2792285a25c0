"""What is changed in the account by others, seen and mended by real pulumi; no VM runs.

The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json

import pytest

from omi.state.owner import Owner, build_id_of
from tests.e2e.held import HeldProject

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def omis(held: HeldProject) -> dict[str, str]:
    return held.hold("one", "two", "three")


def test_images_as_they_should_be_are_kept(held: HeldProject, omis: dict[str, str]) -> None:
    assert {step["action"] for step in held.plan().values()} == {"keep"}
    # the stack, its id, Regions and memory, three builds and their images
    assert "10 unchanged" in held.pulumi("preview")


def test_an_image_that_was_made_public_is_made_private_again_and_that_settles(
    held: HeldProject, omis: dict[str, str]
) -> None:
    public = {"Additions": {"GlobalPermission": True}}
    for _ in range(2):  # what changes for the first repair must change again for the second
        held.oapi.call("UpdateImage", ImageId=omis["one"], PermissionsToLaunch=public)
        step = held.plan()["one-3.23.6-x86_64-r0"]
        assert (step["action"], step["updates"]) == ("keep", True)
        assert "put back" in step["reason"]
        assert "1 to update" in held.pulumi("preview")
        held.pulumi("up", "--yes", "--skip-preview")
        image = held.image(omis["one"])
        assert image is not None
        assert image["PermissionsToLaunch"]["GlobalPermission"] is False
        assert not any(step["updates"] for step in held.plan().values())
        assert "to update" not in held.pulumi("preview")


def test_an_image_in_use_is_not_pruned(held: HeldProject, omis: dict[str, str]) -> None:
    vm = held.oapi.call("CreateVms", ImageId=omis["two"], VmType="tinav5.c1r1p2")["Vms"][0]["VmId"]
    held.write_profile("one", "three")
    step = held.plan()["two-3.23.6-x86_64-r0"]
    assert step["action"] == "keep"
    assert vm in step["reason"]
    held.oapi.call("DeleteVms", VmIds=[vm])
    step = held.plan()["two-3.23.6-x86_64-r0"]
    assert (step["action"], step["level"]) == ("prune", "profile")
    held.write_profile("one", "two", "three")


def test_one_answer_that_lacks_an_image_changes_nothing(held: HeldProject, omis: dict[str, str]) -> None:
    held.sandbox.control("POST", "faults", {"action": "ReadImages", "omit": [omis["three"]], "times": 2})
    step = held.plan()["three-3.23.6-x86_64-r0"]
    assert (step["action"], step["updates"]) == ("keep", False)
    assert "the account's answers differ" in step["reason"]
    held.sandbox.control("DELETE", "faults")
    assert "to update" not in held.pulumi("preview")


def test_an_image_that_was_deleted_is_marked_and_built_again(held: HeldProject, omis: dict[str, str]) -> None:
    held.oapi.call("DeleteImage", ImageId=omis["three"])
    plan = held.plan()
    assert plan["three-3.23.6-x86_64-r1"]["action"] == "build"
    assert f"{omis['three']} (r0) is missing" in plan["three-3.23.6-x86_64-r1"]["reason"]
    marked = plan["three-3.23.6-x86_64-r0"]
    assert (marked["action"], marked["changes"][0]["change"]) == ("keep", "mark missing")
    shown = held.pulumi("preview")
    assert "1 to create" in shown
    assert "1 to update" in shown
    assert "to delete" not in shown


def test_one_of_a_removed_build_is_marked_then_dropped_from_the_ledger(held: HeldProject, omis: dict[str, str]) -> None:
    held.write_profile("one", "two")
    assert "build" not in {step["action"] for step in held.plan().values()}
    held.pulumi("up", "--yes", "--skip-preview")
    step = held.plan()["three-3.23.6-x86_64-r0"]
    assert (step["action"], step["level"]) == ("prune", "gone")
    held.pulumi("up", "--yes", "--skip-preview")
    assert "three-3.23.6-x86_64-r0" not in held.omi("images", "-s", "e2e")


def test_a_key_of_another_account_is_refused_in_one_line(held: HeldProject, omis: dict[str, str]) -> None:
    file = held.project.folder / "stacks" / "Pulumi.e2e.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("osc_profile: main", "osc_profile: second"), encoding="utf-8")
    try:
        done = held.project.run("python3", "-m", "omi", "plan", "-s", "e2e")
        shown = held.project.pulumi("preview", "-s", "e2e")
    finally:
        file.write_text(text, encoding="utf-8")
    assert done.code == 3
    assert len(done.text.strip().splitlines()) == 1
    assert "use a key of that account" in done.text
    assert shown.code != 0
    assert "use a key of that account" in shown.text
    assert "Traceback" not in shown.text


def test_the_setting_account_refuses_preview_and_update_in_one_line(held: HeldProject, omis: dict[str, str]) -> None:
    held.project.configure("account", held.sandbox.account_id("second"))
    try:
        for command in (("preview",), ("up", "--yes", "--skip-preview")):
            shown = held.project.pulumi(*command, "-s", "e2e")
            assert shown.code != 0
            assert "by the setting `account` Region eu-west-2 belongs to account" in shown.text
            assert "Traceback" not in shown.text
        held.project.configure("account", held.sandbox.account_id())
        resources = json.loads(held.pulumi("stack", "export"))["deployment"]["resources"]
        images = sum(each["type"] == "command:local:Command" for each in resources)
        # and the remembered Region
        assert f"{images + 1} to update" in held.pulumi("preview"), "every image is to know it"
    finally:
        held.project.configure("account", None)


def test_sweep_lists_removes_on_demand_and_finds_nothing_the_second_time(
    held: HeldProject, omis: dict[str, str]
) -> None:
    name = "one-3.23.6-x86_64-r1"  # what the next build would have made
    owner = Owner("alpine-omi", "e2e", held.stack_id)
    tags = {"stack": "e2e", "stack-id": held.stack_id, "build-id": build_id_of(owner, name), "digest": "sha256:lost"}
    lost = held.register(name, tags)
    bystanders = [
        held.register("one-3.23.4-x86_64-r0", {**tags, "stack-id": "another"}),
        held.register(f"{name}-eu", tags),
        omis["one"],
    ]
    shown = held.omi("sweep", "-s", "e2e")
    assert f"{lost}  {name}" in shown
    assert "no state holds it" in shown
    assert omis["one"] not in shown
    assert held.image(lost) is not None
    assert f"removed image {lost}" in held.omi("sweep", "-s", "e2e", "--yes")
    assert held.image(lost) is None
    assert all(held.image(each) for each in bystanders)
    (row,) = [line for line in held.omi("sweep", "-s", "e2e").splitlines() if line.startswith("image")]
    assert bystanders[1] in row
    assert row.endswith("; stays")
    held.pulumi("refresh", "--yes", "--skip-preview")  # the stack's lock is given up
