"""The judge of requests and answers passes OUTSCALE's own examples and nothing else."""

from __future__ import annotations

import re

import pytest

from tests.openapi import check_answer, check_request, specification


def test_outscales_own_examples_of_requests_and_answers_pass() -> None:
    passed = 0
    for path, item in specification()["paths"].items():
        post, action = item["post"], path.removeprefix("/")
        for check, part in ((check_request, post.get("requestBody")), (check_answer, post["responses"]["200"])):
            for example in ((part or {}).get("content", {}).get("application/json", {}).get("examples") or {}).values():
                check(action, example["value"])
                passed += 1
    assert passed > 500


@pytest.mark.parametrize(
    ("action", "body", "fault"),
    [
        ("ReadVms", {"Filters": {"KeypairName": ["k"]}}, "'KeypairName' was unexpected"),
        ("DeleteTags", {"ResourceIds": ["i-1"], "Tags": [{"Key": "k"}]}, "'Value' is a required property"),
        ("CreateVms", {"ImageId": "ami-1", "MaxVmsCount": "1"}, "MaxVmsCount: '1' is not of type 'integer'"),
        ("CreateVms", {"ImageId": None}, "None is not of type 'string'"),
        ("DescribeImages", {}, "OUTSCALE's API has no DescribeImagesRequest"),
    ],
)
def test_a_wrong_request_fails_with_the_field(action: str, body: object, fault: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(fault)):
        check_request(action, body)


def test_an_answer_with_a_field_that_the_api_lacks_fails() -> None:
    check_answer("ReadImages", {"Images": [{"ImageId": "ami-1"}]})
    with pytest.raises(AssertionError, match=r"Images\.0: .*'OwnerId' was unexpected"):
        check_answer("ReadImages", {"Images": [{"OwnerId": "1"}]})


def test_a_refusal_is_judged_by_its_own_form() -> None:
    errors = [{"Code": "5023", "Type": "InvalidResource", "Details": "…"}]
    check_answer("DeleteImage", {"Errors": errors, "ResponseContext": {"RequestId": "1"}}, status=400)
    with pytest.raises(AssertionError, match="'Error' was unexpected"):
        check_answer("DeleteImage", {"Error": errors}, status=400)
