"""EIM users' keys: what their policy doesn't allow is refused before anything is done."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sandbox.eim import Policy, Users
from tests.sandbox.client import Oapi, Refused, Sandbox


def policy(*statements: dict[str, Any]) -> Policy:
    return Policy.model_validate({"Statement": [{"Resource": ["*"], **each} for each in statements]})


def allow(*actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions)}


def deny(*actions: str) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions)}


@pytest.mark.parametrize(
    ("made", "allowed", "denied"),
    [
        (policy(allow("api:ReadVms")), ["api:ReadVms"], ["api:ReadVm", "api:readVms", "s3:ReadVms", "api:DeleteVms"]),
        (policy(allow("api:Read*")), ["api:ReadVms", "api:Read"], ["api:CreateVms", "s3:ReadVms"]),
        (policy(allow("*"), deny("api:DeleteVms")), ["s3:CreateBucket"], ["api:DeleteVms"]),
        (policy(deny("api:*"), allow("api:ReadVms", "s3:*")), ["s3:GetObject"], ["api:ReadVms"]),
        (policy({"Effect": "Allow", "NotAction": ["api:Delete*"]}), ["api:ReadVms"], ["api:DeleteVms"]),
    ],
)
def test_what_a_policy_allows(made: Policy, allowed: list[str], denied: list[str]) -> None:
    assert {action: made.allows(action) for action in allowed} == dict.fromkeys(allowed, True)
    assert {action: made.allows(action) for action in denied} == dict.fromkeys(denied, False)


@given(st.text(max_size=10), st.text(max_size=10))
def test_only_the_asterisk_is_a_wildcard(one: str, other: str) -> None:
    if "*" not in one:
        assert policy(allow(f"api:{one}")).allows(f"api:{other}") == (one == other)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"Statement": []},
        {"Statement": [{"Effect": "Allow", "Resource": ["*"]}]},
        {"Statement": [{"Effect": "allow", "Action": ["*"], "Resource": ["*"]}]},
        {"Statement": [{"Effect": "Allow", "Action": ["*"]}]},
        {"Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["ami-1"]}]},
        {"statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]},
    ],
)
def test_what_is_no_policy_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Users().replace(json.dumps({"main": document}).encode())


def test_a_key_with_a_policy_does_what_it_may_and_others_all(sandbox: Sandbox, oapi: Oapi) -> None:
    document = {"Statement": [{"Effect": "Allow", "Action": ["api:ReadImages"], "Resource": ["*"]}]}
    assert sandbox.control("PUT", "policies", {"main": document}) == {"main": document}
    oapi.call("ReadImages")
    with pytest.raises(Refused) as refused:
        oapi.call("CreateKeypair", KeypairName="k")
    assert (refused.value.status, refused.value.code) == (401, "5")
    sandbox.oapi("second").call("CreateKeypair", KeypairName="k")
    sandbox.control("PUT", "policies", {})
    assert oapi.call("ReadKeypairs")["Keypairs"] == []
