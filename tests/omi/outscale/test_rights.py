"""A right key that may not do something: the refused action and the policy document are named."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from omi.outscale.client import Cloud
from omi.outscale.images import find_own
from omi.outscale.rights import CALLS, COPY_CALLS, denied_calls
from omi.state.image import CloudAccess
from omi.support.errors import CloudError, CredentialsError
from sandbox.oapi import ACTIONS
from tests.sandbox.client import Sandbox

TOP = Path(__file__).resolve().parents[3]
POLICY = TOP / "docs" / "eim-policy.json"
COPY_POLICY = TOP / "docs" / "eim-policy-copy.json"
EVERY = {**CALLS, **COPY_CALLS}
_OOS = re.compile(r"\bself\.s3\.([a-z_0-9]+)\b")
_S3 = {
    "create_bucket": ["CreateBucket"],
    "delete_bucket": ["DeleteBucket"],
    "delete_object": ["DeleteObject"],
    "generate_presigned_url": ["GetObject"],
    "get_object": ["GetObject"],
    "list_buckets": ["ListAllMyBuckets"],
    "list_objects_v2": ["ListBucket"],
    "put_object": ["PutObject"],
}
_ACTION = re.compile(r"\"((?:Create|Read|Update|Delete|Stop)[A-Z]\w+)\"")


def test_the_policy_allows_every_call_in_the_code_and_packers() -> None:
    files = (path for path in (TOP / "omi").rglob("*.py") if path.name != "rights.py")  # which follows the policy
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    named = {f"api:{action}" for action in _ACTION.findall(text) if action in ACTIONS}
    s3 = {f"s3:{action}" for name in _OOS.findall(text) for action in _S3[name]}
    (statement,) = json.loads(POLICY.read_text(encoding="utf-8"))["Statement"]
    (copying,) = json.loads(COPY_POLICY.read_text(encoding="utf-8"))["Statement"]
    for each in (statement, copying):
        assert (each["Effect"], each["Resource"]) == ("Allow", ["*"])
    assert named | s3 == {*statement["Action"], *copying["Action"]}
    assert s3 | {"api:CreateImageExportTask", "api:ReadImageExportTasks"} == set(copying["Action"])


def may(sandbox: Sandbox, *denied: str) -> None:
    """Make the key that of a user who may do all but this."""
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": ["*"], "Resource": ["*"]},
        {"Effect": "Deny", "Action": list(denied), "Resource": ["*"]},
    ]
    sandbox.control("PUT", "policies", {"main": {"Statement": statements}})


def test_a_refused_call_is_named_as_a_policy_names_it(sandbox: Sandbox, access: CloudAccess) -> None:
    may(sandbox, "api:ReadImages")
    with pytest.raises(CredentialsError, match=r"may not call api:ReadImages.*docs/eim-policy\.json"):
        find_own(Cloud.connect(access), "alpine-3.23.6-x86_64-r0")
    may(sandbox, "api:ReadAccounts")
    with pytest.raises(CredentialsError, match=r"may not call api:ReadAccounts.*docs/eim-policy\.json"):
        _ = Cloud.connect(access).account


def test_the_dry_runs_are_those_of_the_policies() -> None:
    for policy, calls in ((POLICY, CALLS), (COPY_POLICY, COPY_CALLS)):
        (statement,) = json.loads(policy.read_text(encoding="utf-8"))["Statement"]
        assert {f"api:{action}" for action in calls} == {a for a in statement["Action"] if a.startswith("api:")}


def test_all_that_a_key_may_not_do_is_found_by_dry_runs_that_do_nothing(sandbox: Sandbox, access: CloudAccess) -> None:
    before = sandbox.control("GET", "inventory")
    oapi = Cloud.connect(access)
    assert denied_calls(oapi, EVERY) == []
    denied = [f"api:{action}" for action in EVERY if action != "ReadAccounts"]
    may(sandbox, *denied)
    assert denied_calls(oapi, EVERY) == denied
    assert sandbox.control("GET", "inventory") == before


def test_no_two_refusals_follow_each_other_since_four_wrong_tries_lock_a_key(
    sandbox: Sandbox, access: CloudAccess
) -> None:
    may(sandbox, "api:Create*", "api:Delete*")
    oapi = Cloud.connect(access)
    seen = len(sandbox.control("GET", "calls"))
    denied_calls(oapi, EVERY)
    statuses = [call["status"] for call in sandbox.control("GET", "calls")[seen:]]
    assert 401 in statuses
    assert not any(pair == (401, 401) for pair in pairwise(statuses))


def test_rights_that_cannot_be_asked_for_do_not_count_as_given(sandbox: Sandbox, access: CloudAccess) -> None:
    oapi = Cloud.connect(access)
    sandbox.control("POST", "faults", {"action": "StopVms", "status": 503, "times": -1})
    with pytest.raises(CloudError, match="StopVms at"):
        denied_calls(oapi, EVERY)


def test_the_dry_runs_are_calls_that_exist_with_parameters_that_they_take(sandbox: Sandbox) -> None:
    for action, parameters in EVERY.items():
        assert action in ACTIONS
        assert sandbox.oapi("main").call(action, DryRun=True, **parameters) == {}
