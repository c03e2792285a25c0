"""Answers that are lost, late or not the API's: told in one line, and a look is taken again where that is safe."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from pydantic import ValidationError

from omi.outscale.client import Cloud
from omi.outscale.images import find_source
from omi.outscale.quotas import used_up
from omi.outscale.shapes import Omi
from omi.outscale.vms import stop_vm
from omi.state.image import CloudAccess, Limits
from omi.support.errors import CloudError
from tests.sandbox.client import Sandbox, empty_volume, launch, register, snapshot, wait_for

PAGE = "<html><h1>Under maintenance</h1></html>"
FAULTS = (
    pytest.param({"cut": True}, id="cut"),
    pytest.param({"hang": True}, id="hang", marks=pytest.mark.slow),
    pytest.param({"body": PAGE}, id="body"),
    pytest.param({"status": 503}, id="status"),
)


@pytest.fixture
def cloud(access: CloudAccess, request: pytest.FixtureRequest) -> Cloud:
    """One that waits for long but where a test's fault is that no answer comes."""
    impatient = "hang" in request.node.name
    return Cloud.connect(access.model_copy(update={"limits": Limits(answer=3 if impatient else 60)}))


def test_a_page_in_place_of_a_list_is_told_and_no_fault_of_the_program(sandbox: Sandbox, cloud: Cloud) -> None:
    sandbox.control("POST", "faults", {"action": "ReadImages", "body": PAGE, "times": -1})
    with pytest.raises(
        CloudError, match=r"^ReadImages at https://.*: its answer is not a JSON object; is there a proxy"
    ):
        find_source(cloud, "Debian-12-*", "Outscale")


@pytest.mark.parametrize("fault", FAULTS)
def test_oapi_is_asked_again_for_what_it_only_tells(sandbox: Sandbox, cloud: Cloud, fault: dict[str, Any]) -> None:
    sandbox.control("POST", "faults", {"action": "ReadAccounts", **fault})
    assert cloud.account == sandbox.account_id("main")


@pytest.mark.parametrize("fault", FAULTS)
def test_oapi_is_asked_once_for_what_it_may_have_done(sandbox: Sandbox, cloud: Cloud, fault: dict[str, Any]) -> None:
    sandbox.control("POST", "faults", {"action": "CreateKeypair", "after": True, **fault})
    with pytest.raises(CloudError):
        cloud.call("CreateKeypair", {"KeypairName": "once"})
    sandbox.control("DELETE", "faults")

    def made() -> int:
        return sum(call["action"] == "CreateKeypair" for call in sandbox.control("GET", "calls"))

    wait_for(made, lambda number: number > 0)
    assert made() == 1


def test_an_answer_that_hangs_is_told_with_its_limit(sandbox: Sandbox, cloud: Cloud) -> None:
    sandbox.control("POST", "faults", {"action": "CreateKeypair", "hang": True})
    with pytest.raises(CloudError, match=r"no answer to CreateKeypair within 3 s \(cloud\.limits\.answer\); run again"):
        cloud.call("CreateKeypair", {"KeypairName": "never"})


def test_oapi_answering_with_a_page_for_long_is_told(sandbox: Sandbox, cloud: Cloud) -> None:
    sandbox.control("POST", "faults", {"action": "ReadAccounts", "body": PAGE, "times": -1})
    with pytest.raises(
        CloudError, match=r"^ReadAccounts at https://.*: its answer is not a JSON object; is there a proxy"
    ):
        _ = cloud.account


def test_a_quota_that_is_used_up_is_told_with_its_cure(sandbox: Sandbox, cloud: Cloud) -> None:
    sandbox.control("PUT", "quotas", {"keypair_limit": 1})
    cloud.call("CreateKeypair", {"KeypairName": "one"})
    cure = "the account's quota is used up: remove what is not needed or ask OUTSCALE for more, then run again"
    with pytest.raises(CloudError, match=rf"keypair_limit of 1 is reached\.; {cure}$"):
        cloud.call("CreateKeypair", {"KeypairName": "two"})
    assert used_up(cloud) == ["keypair_limit (1 of 1)"]
    sandbox.control("POST", "faults", {"action": "ReadQuotas", "body": "{}"})
    assert used_up(cloud) == [], "it is only told"


def test_an_answer_that_is_none_is_not_told_as_a_vm_that_does_not_stop(sandbox: Sandbox, cloud: Cloud) -> None:
    vm = launch(sandbox.oapi("main"))
    sandbox.control("POST", "faults", {"action": "ReadVms", "body": PAGE, "times": -1})
    with pytest.raises(CloudError, match="its answer is not a JSON object"):
        stop_vm(cloud, vm, 5)
    sandbox.control("PUT", "faults", {"resource": "vm", "state": "stopping", "times": -1})
    assert not stop_vm(cloud, launch(sandbox.oapi("main")), 0.2)


def test_a_source_omi_of_another_owner_is_never_taken(
    sandbox: Sandbox, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anyone may name an OMI of theirs like an official one, and a filter may be ignored."""
    official = find_source(cloud, "Debian-12-*", "Outscale")
    oapi = sandbox.oapi("second")
    theirs = register(oapi, "Debian-12-2099-01-01", snapshot(oapi, empty_volume(oapi)))
    oapi.call("UpdateImage", ImageId=theirs, PermissionsToLaunch={"Additions": {"GlobalPermission": True}})
    filters = import_module("sandbox.oapi.base").FILTERS
    monkeypatch.setitem(filters["Images"], "AccountAliases", "=Outscale")
    assert find_source(cloud, "Debian-12-*", "Outscale").omi_id == official.omi_id
    with pytest.raises(CloudError, match="nothing named 'Debian-13"):
        find_source(cloud, "Debian-13*", "Outscale")


def test_tags_are_borne_only_all_of_them_with_their_values() -> None:
    omi = Omi.model_validate({"ImageId": "ami-1", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]})
    assert omi.bears({"a": "1", "b": "2"})
    assert not omi.bears({"a": "1", "b": "3"})
    assert not omi.bears({"a": "1", "c": ""})


@pytest.mark.parametrize("tags", [[None], [{"Key": []}], [{"Value": "1"}], ["a"], [{"Key": "a", "Value": {}}], "a"])
def test_tags_in_another_shape_are_refused(tags: object) -> None:
    with pytest.raises(ValidationError, match="Tags"):
        Omi.model_validate({"ImageId": "ami-1", "Tags": tags})
