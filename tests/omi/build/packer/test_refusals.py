"""What the cloud said of a call that it refused Packer reaches the person, with the cure."""

from __future__ import annotations

import json

import pytest

from omi.build.packer.refusals import Refusal, cause_of, refusal_of


def refused(action: str, status: int, code: str = "", kind: str = "", details: str = "") -> Refusal:
    body = json.dumps({"Errors": [{"Code": code, "Type": kind, "Details": details}], "ResponseContext": {}})
    found = refusal_of(action, status, body.encode())
    assert found is not None
    return found


FULL = refused("CreateVms", 400, "10001", "InsufficientCapacity", "No host has room for tinav6.c2r4p2.")
GROUP = refused("DeleteSecurityGroup", 409, "9085", "ResourceConflict", "In use.")


def test_what_the_cloud_says_is_quoted() -> None:
    assert str(FULL) == "CreateVms: InsufficientCapacity (10001): No host has room for tinav6.c2r4p2."
    assert "vm.subregion" in FULL.cure
    assert "vm.vm_type" in FULL.cure


@pytest.mark.parametrize(
    ("refusal", "cure"),
    [
        (refused("CreateVms", 400, "10029", "TooManyResources (QuotaExceded)"), "quota is used up"),
        (refused("CreateVms", 400, "4081", "InvalidParameterValue"), "vm.subregion"),
        (refused("CreateVms", 400, "5024", "InvalidResource"), "vm.vm_type"),
        (refused("ReadVms", 401, "14", "AccessDenied"), "API access rules"),
        (refused("ReadVms", 401, "13", "AccessDenied"), "wait a minute"),
        (refused("CreateImage", 409, "9015", "ResourceConflict"), "bears the name"),
    ],
)
def test_a_known_refusal_has_its_cure(refusal: Refusal, cure: str) -> None:
    assert cure in refusal.cure


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"Errors":[]}', b'{"Errors":[1]}', b'{"Errors":{}}'])
def test_an_answer_without_reasons_is_told_by_its_status(body: bytes) -> None:
    found = refusal_of("CreateVms", 400, body)
    assert str(found) == "CreateVms: 400 Bad Request"
    assert refusal_of("CreateVms", 200, body) is None


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("Error launching source vm: 400 Bad Request", FULL),
        ("error launching source vm: 10001 No host has room", FULL),
        ("Error deleting group: 409 Conflict", GROUP),
        ("Timeout waiting for SSH.", None),
    ],
)
def test_the_cause_is_what_packers_words_fit(reason: str, cause: Refusal | None) -> None:
    clean_up = refused("DeleteVms", 400, "5063", "InvalidResource")
    assert cause_of(reason, [GROUP, clean_up, FULL]) == cause


def test_a_refused_key_is_known_by_the_newer_plugins_words() -> None:
    found = refused("ReadVms", 401, "5", "AccessDenied")
    assert cause_of("check credentials: authentication error", [found]) == found
