"""A new image is shared last: after its verify, which the sandbox's log of calls shows, and not at all if that fails.

Real pulumi and Packer on stub VMs. The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.project import Project

pytestmark = pytest.mark.slow

BUILD = "v3_23-x86_64"
REFUSED = {"action": "UpdateImage", "status": 403, "code": "OperationNotPermitted", "details": "not public"}


@pytest.fixture(scope="module")
def project(stub_project: Project) -> Project:
    stub_project.configure("access", "public")
    return stub_project


def images(project: Project) -> list[dict[str, Any]]:
    """The account's own, as OAPI tells them."""
    own = {"AccountIds": [project.inventory()["main"]["account_id"]]}
    found: list[dict[str, Any]] = project.oapi().call("ReadImages", Filters=own)["Images"]
    return found


def numbers(project: Project, action: str, since: int = 0) -> list[int]:
    """Of the sandbox's calls of this action, in order."""
    return [call["number"] for call in project.control(f"calls?since={since}") if call["action"] == action]


def test_a_refused_share_fails_the_build_and_leaves_the_image_verified_and_private(project: Project) -> None:
    project.control("faults", {**REFUSED, "times": 1})
    shown = " ".join(project.pulumi("preview", "-s", "e2e").text.split())
    assert " share everyone may launch it once it is verified: `access` in the stack's config" in shown
    done = project.up()
    assert done.code != 0
    assert "could not be shared with everyone: " in done.text
    assert "is verified and stays private; the next `pulumi up` shares it and takes it in" in done.text
    assert "Traceback" not in done.text
    (left,) = images(project)
    assert left["PermissionsToLaunch"] == {"AccountIds": [], "GlobalPermission": False}
    assert not project.inventory()["main"]["resources"]["vm"]
    launched, ended, shared = (numbers(project, action) for action in ("CreateVms", "DeleteVms", "UpdateImage"))
    assert launched
    assert ended
    assert shared
    assert max(launched) < max(ended) < min(shared)


def test_the_next_update_shares_it_without_another_boot(project: Project) -> None:
    (left,) = images(project)
    before = project.control("calls")[-1]["number"]
    done = project.up()
    assert done.code == 0, done.end
    assert project.outputs()["latest"][BUILD]["omi"] == left["ImageId"]
    assert images(project)[0]["PermissionsToLaunch"]["GlobalPermission"] is True
    for action in ("CreateVms", "CreateImage", "CreateSnapshot", "DeleteImage"):
        assert not numbers(project, action, before)
    assert json.loads(project.run("python3", "-m", "omi", "plan", "-s", "e2e", "--json").text)["changes"] is False
