"""A right key that may not do something: the refused action and the policy document are named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from omi.errors import CredentialsError
from omi.image import CloudAccess
from omi.outscale.cloud import Cloud
from omi.outscale.images import find_own
from sandbox.oapi import ACTIONS
from tests.sandbox.client import Sandbox

TOP = Path(__file__).resolve().parents[3]
POLICY = TOP / "docs" / "eim-policy.json"
COPY_POLICY = TOP / "docs" / "eim-policy-copy.json"
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
    text = "".join(path.read_text(encoding="utf-8") for path in (TOP / "omi").rglob("*.py"))
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
