"""Several builds at once in an account that may send five requests a second, and one without room for another VM.

Real pulumi and Packer on stub VMs; `python -m bench.load` has twenty. The tests of this module are one story.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.load import BUSY, account, update, wrong
from tests.e2e.project import Project
from tests.sandbox.client import Oapi, Refused, source_image, wait_for

pytestmark = pytest.mark.slow

BUILDS, EACH_SECOND = 2, 5.0


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    with tempfile.TemporaryDirectory(prefix="omi-load-") as place:
        with account(Path(place), EACH_SECOND, {"vm_limit": 1}) as made:
            yield made
        print(made.log_tail())


def is_served(oapi: Oapi, action: str, **given: Any) -> bool:
    """Whether the account's limit let the call through."""
    try:
        oapi.call(action, **given)
    except Refused as refused:
        assert refused.status == BUSY, refused  # noqa: PT017 - anything else is an error of the test
        return False
    return True


def test_a_used_up_quota_is_told_with_its_cure_and_leaves_nothing(project: Project) -> None:
    oapi = project.oapi()
    other = oapi.call("CreateVms", ImageId=source_image(oapi), VmType="tinav5.c1r1p2")["Vms"][0]["VmId"]
    done = update(project, 1)
    wait_for(lambda: is_served(oapi, "DeleteVms", VmIds=[other]), bool)  # the update's own calls may be the fifth
    assert done.code != 0
    assert "used up: vm_limit (1 of 1); the account's quota is used up: remove what is not needed or ask" in done.text
    assert "Traceback" not in done.text
    wait_for(lambda: wrong(project, 0), lambda found: found == [])


def test_the_next_update_builds_and_none_is_lost_to_the_accounts_limit(project: Project) -> None:
    project.control("quotas", {}, "PUT")
    before = project.control("calls")[-1]["number"]
    done = update(project, BUILDS)
    assert done.code == 0, done.end
    assert wrong(project, BUILDS) == []
    calls = project.control(f"calls?since={before}")
    assert sum(call["action"] == "CreateImage" for call in calls) == BUILDS  # none was begun again
    # perhaps in the test before, after which all queue up for a minute
    assert any(call["status"] == BUSY for call in project.control("calls")), "the limit was never met"
