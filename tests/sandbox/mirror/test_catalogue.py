"""Branches and releases, and the two lists in upstream's shape."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest
import yaml

from sandbox.mirror.catalogue import (
    DEFAULT_CATALOGUE,
    Catalogue,
    CatalogueBranch,
    latest_releases_yaml,
    releases_json,
)
from sandbox.mirror.errors import MirrorError


def test_releases_json_has_upstreams_shape() -> None:
    document = json.loads(releases_json(DEFAULT_CATALOGUE, "http://127.0.0.1/alpine/keys/k.rsa.pub"))
    assert document["latest_stable"] == "v3.23"
    assert document["architectures"] == ["x86_64"]
    branches = {branch["rel_branch"]: branch for branch in document["release_branches"]}
    assert list(branches) == ["edge", "v3.23", "v3.22", "v3.20"]
    newest = branches["v3.23"]
    assert newest["git_branch"] == "3.23-stable"
    assert newest["arches"] == ["x86_64"]
    assert newest["keys"] == {"x86_64": [{"url": "http://127.0.0.1/alpine/keys/k.rsa.pub"}]}
    assert [repository["name"] for repository in newest["repos"]] == ["main", "community"]
    assert newest["releases"][0] == {"version": "3.23.6", "date": "2026-09-17"}
    assert [release["version"] for release in newest["releases"]][:2] == ["3.23.6", "3.23.5"]
    assert date.fromisoformat(newest["eol_date"]) > date.fromisoformat(newest["branch_date"])


def test_deprecated_keys_are_told_with_their_day() -> None:
    day = date(2026, 11, 1)
    branch = replace(DEFAULT_CATALOGUE.branch("v3.23"), deprecated_keys=(("k.rsa.pub", day), ("a@b.rsa.pub", day)))
    told = json.loads(releases_json(DEFAULT_CATALOGUE.with_branch(branch), "http://127.0.0.1/alpine/keys/k.rsa.pub"))
    keys = {entry["rel_branch"]: entry["keys"]["x86_64"] for entry in told["release_branches"]}
    assert keys["v3.23"] == [
        {"url": "http://127.0.0.1/alpine/keys/k.rsa.pub", "deprecated_since": "2026-11-01"},
        {"url": "https://alpinelinux.org/keys/a@b.rsa.pub", "deprecated_since": "2026-11-01"},
    ]
    assert keys["v3.22"] == [{"url": "http://127.0.0.1/alpine/keys/k.rsa.pub"}]


def test_edge_has_no_releases_and_no_dates() -> None:
    document = json.loads(releases_json(DEFAULT_CATALOGUE, ""))
    edge = document["release_branches"][0]
    assert edge["git_branch"] == "master"
    assert not {"releases", "branch_date", "eol_date"} & set(edge)


def test_a_branch_just_cut_has_an_empty_list(catalogue: Catalogue) -> None:
    cut = catalogue.with_branch(CatalogueBranch("v3.24", released=date(2026, 11, 20), end_of_life=date(2028, 11, 1)))
    branches = json.loads(releases_json(cut, ""))["release_branches"]
    assert [branch["rel_branch"] for branch in branches] == ["edge", "v3.24", "v3.23"]
    assert branches[1]["releases"] == []
    assert cut.branch("v3.24").current is None


def test_going_back_and_forth_in_a_branch(catalogue: Catalogue) -> None:
    before = catalogue.at_release("v3.23", "3.23.9")
    assert before.branch("v3.23").current == "3.23.9"
    assert [release.version for release in before.branch("v3.23").releases] == ["3.23.9"]
    after = before.with_release("v3.23", "3.23.10", date(2026, 9, 17))
    assert after == catalogue


def test_what_is_not_listed_is_named(catalogue: Catalogue) -> None:
    with pytest.raises(MirrorError, match=r"no branch v3\.9: it has edge, v3\.23"):
        catalogue.branch("v3.9")
    with pytest.raises(MirrorError, match=r"no release 3\.23\.1: it has 3\.23\.10, 3\.23\.9"):
        catalogue.at_release("v3.23", "3.23.1")


def test_latest_releases_yaml_has_upstreams_shape(catalogue: Catalogue) -> None:
    text = latest_releases_yaml(catalogue.branch("v3.23"), "3.23.10")
    rows = yaml.safe_load(text)
    assert {row["flavor"] for row in rows} == {"alpine-minirootfs", "alpine-standard", "alpine-virt"}
    for row in rows:
        assert (row["branch"], row["arch"], row["version"]) == ("v3.23", "x86_64", "3.23.10")
        assert row["date"] == date(2026, 9, 17)
        assert row["file"].startswith(f"{row['flavor']}-3.23.10-x86_64.")
        assert (len(row["sha256"]), len(row["sha512"])) == (64, 128)
    assert "&" not in text, "upstream writes no anchors"
