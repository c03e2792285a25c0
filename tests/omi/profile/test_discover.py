"""Supported branches get builds without a hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from omi.config.settings import Settings
from omi.plan.memory import Memory
from omi.plan.survey import discover_builds
from omi.profile.discover import expand_discovered
from omi.profile.schema import Discover
from omi.state.ledger import Ledger
from omi.support.errors import ProfileError
from omi.upstream.model import Upstream
from tests.omi.plan.make import TODAY, upstream
from tests.omi.profile.test_load import load


def names(profile: object) -> list[str]:
    return [build.name for build in profile.builds]  # type: ignore[attr-defined]


def test_without_discover_nothing_is_added(root: Path) -> None:
    profile = load(root, 'builds: {a: {version: "3.23"}}')
    assert expand_discovered(profile, ["3.22", "3.23"]) is profile


def test_each_supported_branch_gets_a_build_once(root: Path) -> None:
    profile = load(root, 'discover: {}\nuser: web\nbuilds: {mine: {version: "3.23", volume_size: 5}}')
    assert profile.discover == Discover()
    whole = expand_discovered(profile, ["3.24", "3.22", "3.23", "edge"])
    assert names(whole) == ["mine", "v3_22-x86_64", "v3_24-x86_64"]
    assert {build.user for build in whole.builds} == {"web"}
    assert whole.builds[1].recorded_release == "3.22.6"
    assert expand_discovered(whole, ["3.22", "3.23", "3.24"]) == whole


def test_a_branch_without_a_core_profile_takes_the_newest_versions_base(root: Path) -> None:
    (root / "base" / "2.yaml").write_text((root / "base" / "1.yaml").read_text().replace("user: alpine", "user: two"))
    (root / "version" / "3.100.yaml").write_text("base: base/2\nrelease: 3.100.1\npackages: {only-here: true}\n")
    whole = expand_discovered(load(root, "discover: {}"), ["3.101", "3.9"])
    assert names(whole) == ["v3_101-x86_64", "v3_9-x86_64"]
    for build in whole.builds:
        assert (build.user, build.recorded_release, build.end_of_life) == ("two", None, None)
        assert "only-here" not in build.packages


def test_versions_may_be_listed_and_those_past_their_end_are_left_out(root: Path) -> None:
    profile = load(root, 'discover: {versions: ["3.22", "3.23"]}')
    assert names(expand_discovered(profile, ["3.23", "3.24"])) == ["v3_23-x86_64"]


def test_edge_only_when_asked_for(root: Path) -> None:
    profile = load(root, "discover: {edge: 2}")
    (build,) = expand_discovered(profile, []).builds
    assert (build.name, build.branch, build.version) == ("edge-x86_64", "edge", "edge")
    assert "https://dl-cdn.alpinelinux.org/alpine/edge/main" in build.repos


def test_what_does_not_fit_a_discovered_branch_is_said(root: Path) -> None:
    profile = load(root, "release: 3.23.5\ndiscover: {}")
    with pytest.raises(
        ProfileError, match=r"web\.yaml:1: release: 3\.23\.5 is not a release of 3\.24 \(v3_24-x86_64\)"
    ):
        expand_discovered(profile, ["3.24"])


def test_a_listed_version_that_alpine_never_had_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = upstream("3.23.6")
    monkeypatch.setattr("omi.plan.survey.fetch_upstream", lambda *_, **__: known)
    profile = load(root, 'user: web\ndiscover: {versions: ["3.23", "9.99"]}')
    found, told = discover_builds(profile, Settings(region="eu-west-2"), Ledger(), Memory(), TODAY)
    assert names(found) == ["v3_23-x86_64"]
    (line,) = told.warnings
    assert line.endswith("web.yaml:2: discover.versions: Alpine has no version 9.99; correct or remove it")
    known = Upstream()  # nothing can be said while nobody knows
    assert discover_builds(profile, Settings(region="eu-west-2"), Ledger(), Memory(), TODAY)[1].warnings == ()
