"""What was recorded on OUTSCALE, sent again: the same status, error code, field names and JSON types come back.

The recordings are not part of the project: ALPINE_OMI_RECORDINGS names their folder (default ../shared/data/outscale
beside the checkout). Ids are mapped to those of the sandbox as answers show them; values that were redacted are
filled in; requests about what the sandbox lacks are left out.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from sandbox import oapi as face
from sandbox.config import SandboxTiming
from tests.sandbox.client import Oapi, Refused, Sandbox, source_image, wait_for

Json = dict[str, Any]
FOLDER = Path(
    os.environ.get("ALPINE_OMI_RECORDINGS") or Path(__file__).resolve().parents[3] / "shared" / "data" / "outscale"
)
LACKING_IDS = re.compile(r"(eni|eni-attach|nat|rtb|rtbassoc|igw)-[0-9a-f]{8}")
ID = re.compile(r"[a-z][a-z-]*-[0-9a-f]{8}")
LACKING_KINDS = {
    "ReadInternetServices",
    "ReadLoadBalancers",
    "ReadNatServices",
    "ReadNics",
    "ReadRouteTables",
}
"""Answered, but always empty: the sandbox makes none of these."""
MAY_BE_EMPTY = {*LACKING_KINDS, "ReadNets"}
"""A deleted Net was recorded as `deleting`; here it is gone at once."""
OF_NICS = {"NicAccountId", "NicId"}
OUTSIDE_NETS = {"PublicDnsName", "PublicIp"}
"""What a VM outside of a Net has besides while it starts."""
REDACTED = {
    "DeviceName": "/dev/xvdb",
    "IpProtocol": "tcp",
    "SubregionName": "eu-west-2a",
    "VmType": "tinav5.c1r1p1",
    "VolumeType": "standard",
}
FOREVER = 1e6


def records(name: str) -> list[Json]:
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"the recordings are not there: {path}")
    return [json.loads(line) for line in path.read_text().splitlines()]


class Replay:
    """Sends recorded calls and collects where answers differ."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.oapi: Oapi = sandbox.oapi()
        self.ids: dict[str, str] = {}
        self.differences: list[str] = []
        self.sent: set[str] = set()

    def play(self, record: Json) -> None:
        action = record["path"].rpartition("/")[2]
        body = self._body(action, record["req"].get("body") or {})
        if action not in face.ACTIONS or (action not in LACKING_KINDS and LACKING_IDS.search(json.dumps(body))):
            return
        self._settle(record["status"])
        where = f"{record['seq']} {action}"
        recorded = {key: value for key, value in record["res"]["body"].items() if key != "ResponseContext"}
        try:
            status, ours = 200, self.oapi.call(action, **body)
        except Refused as refused:
            status, ours = refused.status, {"Errors": refused.body["Errors"]}
        self.sent.add(action)
        if status != record["status"]:
            self.differences.append(f"{where}: status {status} {ours}, recorded {record['status']}")
        elif status != 200 and recorded["Errors"][0]["Code"] != ours["Errors"][0]["Code"]:
            self.differences.append(f"{where}: {ours}, recorded {recorded}")
        else:
            self._compare(recorded, ours, where, empty_is_fine=action in MAY_BE_EMPTY)
            self._learn(recorded, ours)

    def _settle(self, status: int) -> None:
        """Wait until nothing changes by itself; a group counts as in use exactly where that was recorded."""
        cloud = self.sandbox.server.cloud
        cloud.timing = dataclasses.replace(cloud.timing, security_group_hold=FOREVER if status == 409 else 0.0)
        passing = {"pending", "stopping", "shutting-down", "creating"}

        def moving() -> list[str]:
            listed = self.sandbox.control("GET", "inventory")["main"]["resources"]
            return [each["id"] for kind in ("vm", "volume") for each in listed[kind] if each["state"] in passing]

        wait_for(moving, lambda found: found == [])

    def _body(self, action: str, body: Any) -> Any:
        if isinstance(body, list):
            return [self._body(action, each) for each in body]
        if not isinstance(body, dict):
            return self.ids.get(body, body) if isinstance(body, str) else body
        made: Json = {}
        for key, value in body.items():
            if key in REDACTED:
                made[key] = REDACTED[key]
            elif key == "ImageId":
                made[key] = source_image(self.oapi)
            elif key == "KeypairNames":
                made[key] = ["REDACTED-14"]
            else:
                made[key] = self._body(action, value)
        return made

    def _compare(self, recorded: Any, ours: Any, where: str, *, empty_is_fine: bool = False) -> None:
        if isinstance(recorded, str) and recorded.startswith("REDACTED"):
            return
        if where.endswith(".ActionsOnNextBoot"):
            return  # recorded full and, a moment later, empty for the same ended VM
        if _kind(recorded) != _kind(ours):
            self.differences.append(f"{where}: {_kind(ours)}, recorded {_kind(recorded)}")
        elif isinstance(recorded, dict):
            self._compare_objects([recorded], [ours], where, empty_is_fine=empty_is_fine)
        elif isinstance(recorded, list) and recorded and ours:
            if isinstance(recorded[0], dict):
                self._compare_objects(recorded, ours, f"{where}[]")
            else:
                self._compare(recorded[0], ours[0], f"{where}[]")
        elif isinstance(recorded, list) and bool(recorded) != bool(ours) and not empty_is_fine:
            last = where.rpartition(".")[2]
            if last not in ("OutboundRules", "Nics", "Tags", "AccountIds", "LinkedVolumes"):
                self.differences.append(f"{where}: {len(ours)} entries, recorded {len(recorded)}")

    def _compare_objects(
        self, recorded: list[Json], ours: list[Json], where: str, *, empty_is_fine: bool = False
    ) -> None:
        known = {key for each in recorded for key in each} | (OUTSIDE_NETS if "Vm" in where else set())
        always = set.intersection(*(set(each) for each in recorded)) - OF_NICS
        for each in ours:
            if set(each) - known:
                self.differences.append(f"{where}: never recorded: {sorted(set(each) - known)}")
            if always - set(each):
                self.differences.append(f"{where}: missing: {sorted(always - set(each))}")
        for key in known:
            theirs = next((each[key] for each in recorded if each.get(key)), None)
            theirs = theirs if theirs is not None else next((each[key] for each in recorded if key in each), None)
            mine = next((each[key] for each in ours if each.get(key)), None)
            mine = mine if mine is not None else next((each[key] for each in ours if key in each), None)
            if theirs is not None and mine is not None:
                self._compare(theirs, mine, f"{where}.{key}", empty_is_fine=empty_is_fine)

    def _learn(self, recorded: Any, ours: Any) -> None:
        """Recorded ids stand for ours in later requests."""
        if isinstance(recorded, dict) and isinstance(ours, dict):
            for key in recorded.keys() & ours.keys():
                self._learn(recorded[key], ours[key])
        elif isinstance(recorded, list) and isinstance(ours, list):
            for theirs, mine in zip(recorded, ours, strict=False):
                self._learn(theirs, mine)
        elif isinstance(recorded, str) and isinstance(ours, str) and ID.fullmatch(recorded) and ID.fullmatch(ours):
            self.ids.setdefault(recorded, ours)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    for kind, name in ((dict, "object"), (list, "list"), (str, "string"), (int, "integer"), (float, "number")):
        if isinstance(value, kind):
            return name
    return "null"


def test_the_lifecycle_comes_back_in_the_same_shape(sandbox: Sandbox) -> None:
    calls = records("oapi-lifecycle.jsonl")
    quick = SandboxTiming.uniform(0.01)
    sandbox.server.cloud.timing = dataclasses.replace(quick, volume_delete=3.0, snapshot_delete=0.0)
    replay = Replay(sandbox)
    for record in calls:
        replay.play(record)
    assert replay.differences == []
    assert {"CreateVms", "UpdateVm", "LinkVolume", "CreateSnapshot", "DeleteVms", "DeleteSecurityGroup"} <= replay.sent
    assert len(replay.sent) >= 35


def test_the_catalogue_comes_back_in_the_same_shape(sandbox: Sandbox) -> None:
    replay = Replay(sandbox)
    for record in records("oapi-catalogue.jsonl"):
        replay.play(record)
    assert replay.differences == []
    assert replay.sent == {"ReadRegions", "ReadVmTypes", "ReadPublicIpRanges"}


@pytest.mark.parametrize(
    ("recorded", "ours", "difference"),
    [
        ({"A": 1}, {"A": "1"}, "string, recorded integer"),
        ({"A": 1}, {}, "missing: ['A']"),
        ({}, {"B": 1}, "never recorded: ['B']"),
        ({"A": [{"B": 1}]}, {"A": []}, "0 entries, recorded 1"),
        ({"A": [{"B": 1}, {}]}, {"A": [{"B": True}]}, "boolean, recorded integer"),
    ],
)
def test_the_comparison_sees_differences(sandbox: Sandbox, recorded: Json, ours: Json, difference: str) -> None:
    replay = Replay(sandbox)
    replay._compare(recorded, ours, "x")
    assert len(replay.differences) == 1
    assert difference in replay.differences[0]
