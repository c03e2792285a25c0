"""What others read of a stack stays where it is."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from omi.profile.model import Access
from omi.publish.outputs import LatestOutput, Outputs, output_of
from omi.state.withdrawal import Withdrawal
from omi.support.json_schema import schema_text
from tests.omi.specs import make_record, make_spec

PROMISED: dict[str, dict[str, str]] = {
    "Outputs": {"images": "object", "latest": "object"},
    "ImageOutput": {
        "omi": "string",
        "snapshots": "array",
        "region": "string",
        "revision": "string",
        "created": "string",
        "volume_size": "integer",
        "used_bytes": "integer|null",
        "digest": "string|null",
        "stage": "Stage",
        "access": "LaunchAccess|null",
        "removal": "string|null",
        "regions": "object|null",
        "made_by": "string|null",
    },
    "LatestOutput": {"name": "string", "release": "string", "omi": "string", "region": "string", "stage": "Stage"},
    "LaunchAccess": {"public": "boolean", "accounts": "array"},
}
"""Type and field as programs of others count on them. To take one out of here breaks those."""

RECORD = make_record()


def kind(told: dict[str, Any]) -> str:
    if "anyOf" in told:
        return "|".join(kind(each) for each in told["anyOf"])
    return str(told["type"]) if "type" in told else told["$ref"].rpartition("/")[2]


@pytest.mark.parametrize(("name", "fields"), PROMISED.items(), ids=PROMISED.keys())
def test_no_output_and_no_field_is_renamed_removed_or_of_another_type(name: str, fields: dict[str, str]) -> None:
    schema = json.loads(schema_text(Outputs))
    model = schema if name == "Outputs" else schema["$defs"][name]
    now = {field: kind(model["properties"][field]) if field in model["properties"] else "gone" for field in fields}
    assert now == fields, "a breaking change for all who read this stack's outputs"
    assert set(fields) <= set(model["required"]), "it may be missing now: a breaking change"


def test_the_latest_tells_all_that_an_image_tells() -> None:
    assert PROMISED["ImageOutput"].keys() < LatestOutput.model_fields.keys()


def test_a_private_stage_tells_that_nobody_else_may_launch_it_and_until_when_it_is_there() -> None:
    spec = make_spec(access=Access(public=True, accounts=("210987654321",)))
    told = output_of(spec, RECORD)
    assert (told["stage"], told["access"], told["removal"]) == (
        "current",
        {"public": True, "accounts": ["210987654321"]},
        None,
    )
    withdrawal = Withdrawal(why="superseded", shared=True, private=date(2026, 11, 1), removal=date(2026, 12, 1))
    told = output_of(spec.model_copy(update={"withdrawal": withdrawal}), RECORD)
    assert (told["stage"], told["access"], told["removal"]) == (
        "private",
        {"public": False, "accounts": []},
        "2026-12-01",
    )


@pytest.mark.parametrize(
    ("told", "maker", "digest"),
    [
        ({}, "unknown", None),
        ({"made_by": "stack other (id 5)", "digest": "sha256:other"}, "stack other (id 5)", "sha256:other"),
    ],
)
def test_an_external_omi_tells_whose_it_is_and_nothing_of_the_profile(
    told: dict[str, str], maker: str, digest: str | None
) -> None:
    spec = make_spec(access=Access(public=True))
    output = output_of(spec, RECORD.model_copy(update={"verified": False, "adopted": True, **told}))
    assert (output["made_by"], output["digest"], output["access"]) == (maker, digest, None)
    assert output_of(spec, RECORD)["made_by"] is None
