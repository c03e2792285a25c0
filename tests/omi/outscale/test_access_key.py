"""When the account's access key expires, as the API says."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from omi.outscale.access_key import read_expiry
from omi.outscale.client import Cloud
from omi.support.errors import CloudError, CredentialsError
from tests.omi.outscale.test_rights import may
from tests.sandbox.client import Oapi, Sandbox


def test_a_key_without_a_date_does_not_expire(cloud: Cloud) -> None:
    assert read_expiry(cloud) is None


def test_the_date_of_the_key_that_is_used_counts_and_of_no_other(cloud: Cloud, client: Oapi, sandbox: Sandbox) -> None:
    own = cloud.credentials.access_key
    client.call("UpdateAccessKey", AccessKeyId=own, ExpirationDate="2063-04-05")
    assert read_expiry(cloud) == datetime(2063, 4, 5, tzinfo=UTC)
    keys = [{"AccessKeyId": "OTHER", "ExpirationDate": "2010-01-01T00:00:00.000+0000"}, {"AccessKeyId": own}]
    sandbox.control("POST", "faults", {"action": "ReadAccessKeys", "body": json.dumps({"AccessKeys": keys})})
    assert read_expiry(cloud) is None


@pytest.mark.parametrize(
    ("keys", "says"),
    [([], "doesn't list the key"), ([{"AccessKeyId": "OWN", "ExpirationDate": "soon"}], "cannot be read: Expiration")],
)
def test_an_answer_without_the_key_or_with_no_date_is_an_error(
    cloud: Cloud, sandbox: Sandbox, keys: list[dict[str, str]], says: str
) -> None:
    body = json.dumps({"AccessKeys": keys}).replace("OWN", cloud.credentials.access_key)
    sandbox.control("POST", "faults", {"action": "ReadAccessKeys", "body": body})
    with pytest.raises(CloudError, match=says):
        read_expiry(cloud)


def test_a_key_that_may_not_ask_names_the_policy(cloud: Cloud, sandbox: Sandbox) -> None:
    may(sandbox, "api:ReadAccessKeys")
    with pytest.raises(CredentialsError, match=r"may not call api:ReadAccessKeys.*docs/eim-policy\.json"):
        read_expiry(cloud)
