"""profiles/test.yaml can't fall behind: it uses every key, each to an effect, and takes something out of every map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from omi.profile.load import load_profile
from omi.profile.model import AccessKeys, Target
from omi.profile.schema import CommonKeys, Discover, TargetFile
from tests.omi.conftest import TOP

PROFILE: dict[str, Any] = yaml.safe_load((TOP / "profiles/test.yaml").read_text())
(ENTRY,) = PROFILE["builds"].values()

PINS = {"release", "revision"}
"""They hold an image at one day's state: a build of it would fail as soon as a mirror has moved on."""
ONE_CHOICE = {"arch", "kernel_flavor", "bootstrap"}
"""At their default: there is one architecture, and the fixture mirror has neither linux-lts nor cloud-init, so that no
image of another choice could be built (tests/guest/test_cloud_init.py runs the latter's settings by themselves)."""


def test_every_key_is_used() -> None:
    used = set(PROFILE) | set(ENTRY)
    assert set(TargetFile.model_fields) - PINS - used == set()
    assert set(AccessKeys.model_fields) - set(PROFILE["access"]) == set()
    assert set(Discover.model_fields) - {"edge"} - set(PROFILE["discover"]) == set(), "edge is a build of its own"


def test_every_key_has_an_effect(root: Path) -> None:
    (root / "plain.yaml").write_text('builds: {v3_23-x86_64: {version: "3.23"}}\n')
    (plain,) = load_profile("plain", root).builds
    (full,) = load_profile("test", TOP / "profiles").builds
    for key in set(CommonKeys.model_fields) - ONE_CHOICE:
        assert getattr(full, key) != getattr(plain, key), key


def test_it_is_one_build() -> None:
    assert [build.name for build in load_profile("test", TOP / "profiles").builds] == ["v3_23-x86_64"]


MAPS = sorted(key for key, value in PROFILE.items() if isinstance(value, dict) and key in CommonKeys.model_fields)


@pytest.mark.parametrize("key", [key for key in MAPS if key != "access"])
def test_something_is_taken_out_of_every_map(key: str) -> None:
    (build,) = load_profile("test", TOP / "profiles").builds
    taken = flat(ENTRY[key])
    assert taken
    assert set(taken.values()) <= {None, False}
    held = flat(build.services) if key == "services" else getattr(build, key)
    assert not {place.rpartition(" ")[2].format(branch="v3.23") for place in taken} & {*names(held)}


def test_an_account_is_taken_out_and_another_stays() -> None:
    (build,) = load_profile("test", TOP / "profiles").builds
    assert PROFILE["access"]["accounts"] == {"123456789012": True, "012345678901": False}
    assert build.access.accounts == ("123456789012",)


def test_both_ways_of_taking_away_are_used() -> None:
    assert {value for key in MAPS for value in flat(ENTRY.get(key, {})).values()} == {None, False}


def flat(table: Any, path: str = "") -> dict[str, Any]:
    """The leaves of a map by the keys that lead to them."""
    if not isinstance(table, dict):
        return {path: table}
    return {place: leaf for key, value in table.items() for place, leaf in flat(value, f"{path} {key}".strip()).items()}


def names(held: Any) -> set[str]:
    if isinstance(held, dict) and all(isinstance(value, tuple) for value in held.values()):
        return {name for value in held.values() for name in value}
    return set(held)


def test_the_names_of_what_it_holds_are_found() -> None:
    assert names({"boot": ("a", "b")}) == {"a", "b"}
    assert names({"url": True}) == {"url"}
    assert isinstance(load_profile("test", TOP / "profiles").builds[0], Target)
