"""An image that another version of the program made, with a key of a profile that is none here: real pulumi, no VM."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.held import HeldProject

pytestmark = pytest.mark.slow

NAME = "a-3.23.6-x86_64-r0"


def test_a_key_that_is_none_any_more_is_named_by_a_preview_and_stops_no_delete(held: HeldProject) -> None:
    omi = held.hold("a")["a"]

    def age(resource: dict[str, Any]) -> None:
        if resource["type"] == "command:local:Command":
            spec = json.loads(resource["inputs"]["stdin"])
            spec["recipe"]["build"] |= {"bygone": True, "motd": 7}
            spec["digest"] = f"sha256:{'0' * 64}"
            resource["inputs"]["stdin"] = resource["outputs"]["stdin"] = json.dumps(spec)
            held.tag(omi, {"digest": spec["digest"]})

    held.edit_state(age)
    assert "revision r1: bygone, motd can't be read as its record has it" in held.pulumi("preview")
    assert held.plan()[NAME]["action"] == "keep"
    held.write_profile()
    held.project.configure("retention", {"allow_mass_prune": ["all"]})
    held.pulumi("up", "--yes", "--skip-preview")
    assert held.image(omi) is None
    assert held.plan() == {}
