"""The sweep goes on: what can't be removed now doesn't keep the rest."""

from __future__ import annotations

import pytest

from omi.errors import CloudError
from omi.image import CloudAccess
from omi.outscale.cloud import Cloud
from omi.outscale.sweep import Leftovers, sweep
from tests.sandbox.client import Sandbox

KEYS = ("alpine-omi-b-1-build", "alpine-omi-b-1-verify")


def test_a_keypair_that_cannot_be_looked_for_keeps_neither_the_other_nor_the_group(
    sandbox: Sandbox, access: CloudAccess
) -> None:
    oapi = sandbox.oapi("main")
    for name in KEYS:
        oapi.call("CreateKeypair", KeypairName=name)
    oapi.call("CreateSecurityGroup", SecurityGroupName="alpine-omi-b-1", Description="left")
    sandbox.control("POST", "faults", {"action": "DescribeKeyPairs", "body": "<html>busy</html>"})
    said: list[str] = []
    with pytest.raises(CloudError, match="its answer is not FCU's"):
        sweep(Cloud.connect(access), Leftovers("b-1", KEYS, "alpine-omi-b-1"), (), said.append)
    left = sandbox.control("GET", "inventory")["main"]["resources"]
    assert [each["name"] for each in left["keypair"]] == [KEYS[0]]
    assert left["security-group"] == []
