"""What an account may have and how fast it may ask, as a test sets it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from sandbox.cloud.errors import RefusedError
from sandbox.cloud.model import Account
from sandbox.cloud.quotas import RequestLimit
from tests.sandbox.client import Oapi, Refused, Sandbox, empty_volume, launch, source_image


def test_one_more_than_the_quota_is_refused_and_leaves_nothing(sandbox: Sandbox, oapi: Oapi) -> None:
    sandbox.control("PUT", "quotas", {"vm_limit": 1})
    source = source_image(oapi)
    first = oapi.call("CreateVms", ImageId=source)["Vms"][0]["VmId"]
    with pytest.raises(Refused) as refused:
        oapi.call("CreateVms", ImageId=source)
    assert (refused.value.status, refused.value.code) == (400, "10010")
    assert refused.value.body["Errors"][0]["Type"] == "TooManyResources (QuotaExceded)"
    assert [vm["VmId"] for vm in oapi.call("ReadVms")["Vms"]] == [first]
    shown = {each["Name"]: each for each in oapi.call("ReadQuotas")["QuotaTypes"][0]["Quotas"]}
    assert (shown["vm_limit"]["MaxValue"], shown["vm_limit"]["UsedValue"]) == (1, 1)


def test_a_quota_that_was_lowered_hinders_only_what_would_make_more(sandbox: Sandbox, oapi: Oapi) -> None:
    volumes = [empty_volume(oapi) for _ in range(3)]
    sandbox.control("PUT", "quotas", {"volume_limit": 1, "vm_limit": 5})
    oapi.call("DeleteVolume", VolumeId=volumes[0])
    with pytest.raises(Refused, match="volume_limit of 1 is reached"):
        launch(oapi)
    sandbox.control("PUT", "quotas", {"volume_limit": 0, "vm_limit": 0})
    launch(oapi)


def test_an_account_with_too_many_requests_is_refused_and_the_others_are_not(sandbox: Sandbox, oapi: Oapi) -> None:
    sandbox.server.cloud.requests = RequestLimit(1, clock=lambda: 100.0)
    oapi.call("ReadVms")
    with pytest.raises(Refused) as refused:
        oapi.call("ReadVms")
    assert (refused.value.status, refused.value.code) == (429, "24")
    assert sandbox.oapi("second").call("ReadVms") == {"Vms": []}


def test_requests_count_for_one_second(sandbox: Sandbox) -> None:
    moments = iter((100.0, 100.4, 100.9, 101.1, 101.2, 101.5))
    limit, account = RequestLimit(2, clock=lambda: next(moments)), sandbox.server.cloud.store.all(Account)[0]
    admitted = []
    for number in range(6):
        with suppress(RefusedError):
            limit.admit(account)
            admitted.append(number)
    assert admitted == [0, 1, 3, 5]
