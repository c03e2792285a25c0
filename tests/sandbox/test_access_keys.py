"""Access keys: when one expires, and that it is refused from then on."""

from __future__ import annotations

import pytest

from tests.sandbox.client import Oapi, Refused, Sandbox


def test_a_key_does_not_expire_until_it_is_given_a_date(sandbox: Sandbox, oapi: Oapi) -> None:
    mine, theirs = (sandbox.profiles[profile]["access_key"] for profile in ("main", "second"))
    (key,) = oapi.call("ReadAccessKeys")["AccessKeys"]
    assert (key["AccessKeyId"], key["State"], "ExpirationDate" in key) == (mine, "ACTIVE", False)
    changed = oapi.call("UpdateAccessKey", AccessKeyId=mine, ExpirationDate="2063-04-05")["AccessKey"]
    assert changed["ExpirationDate"] == "2063-04-05T00:00:00.000+0000"
    assert oapi.call("ReadAccessKeys", Filters={"AccessKeyIds": [mine]})["AccessKeys"] == [changed]
    assert oapi.call("ReadAccessKeys", Filters={"AccessKeyIds": [theirs]})["AccessKeys"] == []
    assert oapi.call("ReadAccessKeys", Filters={"States": ["INACTIVE"]})["AccessKeys"] == []
    assert "ExpirationDate" not in oapi.call("UpdateAccessKey", AccessKeyId=mine)["AccessKey"]


def test_an_expired_key_is_refused(sandbox: Sandbox, oapi: Oapi) -> None:
    oapi.call("UpdateAccessKey", AccessKeyId=oapi.profile["access_key"], ExpirationDate="2020-06-14T00:00:00.000Z")
    with pytest.raises(Refused) as refused:
        oapi.call("ReadAccounts")
    assert (refused.value.status, refused.value.code) == (401, "1")
    sandbox.oapi("second").call("ReadAccounts")


def test_only_an_own_key_is_changed_and_only_to_a_date(sandbox: Sandbox, oapi: Oapi) -> None:
    theirs = sandbox.profiles["second"]["access_key"]
    for key, date, code in ((theirs, "2063-04-05", "4045"), (oapi.profile["access_key"], "soon", "4047")):
        with pytest.raises(Refused) as refused:
            oapi.call("UpdateAccessKey", AccessKeyId=key, ExpirationDate=date)
        assert refused.value.code == code
