"""profiles/README.md can't drift from the schema."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from omi.profile import load_profile
from omi.profile.reference import own_fields, renew
from omi.profile.schema import CommonKeys, DiscoverKeys, Layer, TargetFile, VersionFile
from omi.profile.tree import parse_tree, plain
from tests.omi.conftest import TOP

README = TOP / "profiles" / "README.md"


def test_the_tables_are_current() -> None:
    text = README.read_text()
    assert renew(text) == text, "run `python -m omi.profile.reference`"


@pytest.mark.parametrize(
    "schema", [CommonKeys, VersionFile, TargetFile, DiscoverKeys], ids=lambda schema: schema.__name__
)
def test_every_example_is_allowed(schema: type[Layer]) -> None:
    required = {key: (field.examples or [None])[0] for key, field in schema.model_fields.items() if field.is_required()}
    for key, field in schema.model_fields.items():
        for example in field.examples or []:
            values = plain(parse_tree(f"{key}: {example}\n", "example"))
            assert schema.model_validate({**required, **values}), f"{schema.__name__}.{key}"


def test_every_key_is_described() -> None:
    for schema in (CommonKeys, VersionFile, TargetFile, DiscoverKeys):
        for key, field in own_fields(schema):
            assert field.description, f"{schema.__name__}.{key}"


def test_the_profile_in_the_readme_is_valid(root: Path) -> None:
    block = README.read_text().split("```yaml\n# profiles/web.yaml\n")[1].split("```")[0]
    assert yaml.safe_load(block)
    (root / "web.yaml").write_text(block)
    assert [build.release for build in load_profile("web", root).builds] == ["3.22.5", None]


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="one pair of markers"):
        renew("nothing")
