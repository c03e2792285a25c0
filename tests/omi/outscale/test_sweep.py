"""The sweep goes on: what can't be removed now doesn't keep the rest."""

from __future__ import annotations

import pytest

from omi.errors import CloudError
from omi.image import CloudAccess
from omi.outscale.cloud import Cloud
from omi.outscale.images import Ours, delete_omi
from omi.outscale.sweep import Leftovers, sweep
from tests.omi.specs import OWNER
from tests.sandbox.client import Sandbox, empty_volume, register, snapshot

KEYS = ("alpine-omi-b-1-build", "alpine-omi-b-1-verify")


def test_a_keypair_that_cannot_be_looked_for_keeps_neither_the_other_nor_the_group(
    sandbox: Sandbox, access: CloudAccess
) -> None:
    oapi = sandbox.oapi("main")
    for name in KEYS:
        oapi.call("CreateKeypair", KeypairName=name)
    oapi.call("CreateSecurityGroup", SecurityGroupName="alpine-omi-b-1", Description="left")
    sandbox.control("POST", "faults", {"action": "ReadKeypairs", "body": "<html>busy</html>", "times": 4})
    said: list[str] = []
    with pytest.raises(CloudError, match="its answer is no JSON object"):
        sweep(Cloud.connect(access), Leftovers("b-1", KEYS, "alpine-omi-b-1"), (), said.append)
    left = sandbox.control("GET", "inventory")["main"]["resources"]
    assert [each["name"] for each in left["keypair"]] == [KEYS[0]]
    assert left["security-group"] == []


@pytest.mark.parametrize(
    "broken",
    [
        {"action": "DeleteSnapshot", "status": 400, "code": "OperationNotPermitted"},
        {"action": "ReadSnapshots", "body": "<html>busy</html>", "times": 4},
    ],
)
def test_the_snapshot_of_an_import_that_is_given_up_is_found_by_the_next_run(
    sandbox: Sandbox, access: CloudAccess, broken: dict[str, object]
) -> None:
    oapi, cloud, said = sandbox.oapi("main"), Cloud.connect(access), list[str]()
    omi = register(oapi, "imported", snapshot(oapi, empty_volume(oapi)), Description="half-made (b-1)")
    ours = Ours(OWNER.proof, "b-1")
    sandbox.control("POST", "faults", broken)
    with pytest.raises(CloudError):
        delete_omi(cloud, omi, (), ours, said.append)
    if sandbox.control("GET", "inventory")["main"]["resources"]["image"]:
        delete_omi(cloud, omi, (), ours, said.append)
    sweep(cloud, Leftovers("b-1", KEYS, "alpine-omi-b-1"), (), said.append)
    left = sandbox.control("GET", "inventory")["main"]["resources"]
    assert (left["image"], left["snapshot"]) == ([], [])
