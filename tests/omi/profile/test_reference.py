"""The READMEs' tables and the editor's schema can't drift from the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from omi.profile.load import load_profile
from omi.profile.model import AccessKeys, Layer
from omi.profile.reference import editor_schema, reference, renew
from omi.profile.schema import Discover, TargetFile, VersionFile
from omi.profile.tree import parse_tree
from tests.omi.conftest import TOP

README = TOP / "profiles" / "README.md"


def test_an_editor_takes_the_projects_profiles_and_refuses_what_a_preview_would() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(editor_schema()))
    for path in (TOP / "profiles").glob("*.yaml"):
        assert "profile.schema.json" in path.read_text().splitlines()[0]
        assert not list(validator.iter_errors(yaml.safe_load(path.read_text()))), path
    assert not list(validator.iter_errors({"builds": {"gone": False, "a": {"motd": None}}}))
    wrong: list[dict[str, Any]] = [
        {"pakages": {}},
        {"packages": ["curl"]},
        {"ports": {"80": True}},
        {"builds": {"a": {"version": "3.23", "timezone": "x y"}}},
        {"privileges": "su"},
    ]
    for values in wrong:
        assert list(validator.iter_errors(values)), values


@pytest.mark.parametrize("schema", [AccessKeys, VersionFile, TargetFile, Discover], ids=lambda schema: schema.__name__)
def test_every_example_is_allowed(schema: type[Layer]) -> None:
    required = {key: (field.examples or [None])[0] for key, field in schema.model_fields.items() if field.is_required()}
    for key, field in schema.model_fields.items():
        for example in field.examples or []:
            values = parse_tree(f"{key}: {example}\n", "example").values
            assert schema.model_validate({**required, **values}), f"{schema.__name__}.{key}"


def test_every_key_is_described() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert rows
    assert not [row for row in rows if row.endswith("|  |")]
    whole = json.loads(editor_schema())
    for layer in (whole, *whole["$defs"].values()):
        assert not [key for key, said in layer.get("properties", {}).items() if not said.get("description")]


def test_the_profile_in_the_readme_is_valid(root: Path) -> None:
    block = README.read_text().split("```yaml\n# profiles/web.yaml\n")[1].split("```")[0]
    assert yaml.safe_load(block)
    (root / "web.yaml").write_text(block)
    assert [build.release for build in load_profile("web", root).builds] == ["3.22.5", None]


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="one pair of markers"):
        renew("nothing", "")
