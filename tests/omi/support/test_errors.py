"""How errors are worded."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from omi.support.errors import first_problem


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    sizes: list[int] = []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "name: is missing"),
        ('{"name": "a", "nmae": "b"}', "nmae: is not a known key"),
        ('{"name": "a", "sizes": [1, "x"]}', "sizes.1: must be a whole number"),
        ("[]", "the file: must be a map of keys to values"),
        ("{", "the file: is not JSON (EOF while parsing"),
    ],
)
def test_the_first_thing_that_is_wrong_is_named_with_its_key(text: str, told: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Thing.model_validate_json(text)
    assert first_problem(raised.value, "the file").startswith(told)
