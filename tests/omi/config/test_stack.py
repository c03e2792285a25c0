"""Stacks of one checkout: what each of them writes is its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from omi.config.settings import Settings
from omi.config.stack import StackFile, check_own_releases
from omi.support.errors import SettingsError


def stack(folder: Path, name: str, **values: object) -> Settings:
    config = {f"alpine-omi:{key}": value for key, value in {"region": "eu-west-2", **values}.items()}
    (folder / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    return Settings.load(StackFile(name, folder))


def test_two_stacks_that_write_the_same_releases_file_are_told_of_each_other(tmp_path: Path) -> None:
    stack(tmp_path, "one")
    two = stack(tmp_path, "two", cloud={"osc_profile": "another-account"})
    with pytest.raises(SettingsError, match=r"releases_dir: 'releases': stack one .*alpine.yaml for eu-west-2 there"):
        check_own_releases(two, "two", tmp_path)


@pytest.mark.parametrize(
    "other", [{"releases_dir": "releases/two"}, {"region": "us-east-2"}, {"profile": "web"}, {"region": 7}]
)
def test_another_folder_region_or_profile_is_no_clash(tmp_path: Path, other: dict[str, object]) -> None:
    one = stack(tmp_path, "one")
    if other.get("region") == 7:  # a file that can't be read is its own stack's matter
        (tmp_path / "Pulumi.two.yaml").write_text("config: 7")
    else:
        stack(tmp_path, "two", **other)
    check_own_releases(one, "one", tmp_path)


def test_a_folder_by_another_name_is_the_same(tmp_path: Path) -> None:
    stack(tmp_path, "one", releases_dir="./releases/../releases")
    with pytest.raises(SettingsError, match="stack one"):
        check_own_releases(stack(tmp_path, "two"), "two", tmp_path)
