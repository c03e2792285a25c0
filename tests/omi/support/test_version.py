"""Versions of packages, releases and branches, and revisions, in their order."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omi.support.errors import InputError
from omi.support.version import (
    begins_with,
    edge_release,
    is_package_version,
    is_prerelease,
    package_key,
    release_key,
    revision_key,
    version_of,
)

ASCENDING = [
    "not-a-version",
    "3.9.10",
    "3.10.0_alpha20260101",
    "3.10.0_beta1",
    "3.10.0_rc2",
    "3.10.0_rc10",
    "3.10.0",
    "3.10.0_p1",
    "3.10.1",
    "3.10.9",
    "3.10.12",
    "4.0.0",
    "edge",
    "edge-20261109",
    "edge-20261110",
]


def test_releases_are_ordered_by_number() -> None:
    shuffled = sorted(ASCENDING, key=lambda release: release[::-1])
    assert shuffled != ASCENDING
    assert sorted(shuffled, key=release_key) == ASCENDING


def test_candidate_of_a_version_comes_before_its_first_release() -> None:
    assert release_key("3.10_rc1") < release_key("3.10.0") < release_key("3.10.1")


def test_versions_are_ordered_by_number_with_or_without_v() -> None:
    assert sorted(["edge", "v3.10", "3.9", "3.23"], key=release_key) == ["3.9", "v3.10", "3.23", "edge"]


def test_date_stamped_releases_of_edge_are_ordered_by_date() -> None:
    assert sorted(["20261110", "edge-20261109", "3.24.0"], key=release_key) == ["3.24.0", "edge-20261109", "20261110"]


@given(st.lists(st.tuples(*[st.integers(0, 40)] * 3), max_size=8))
def test_order_is_that_of_the_numbers(numbers: list[tuple[int, int, int]]) -> None:
    releases = [".".join(map(str, one)) for one in numbers]
    assert sorted(releases, key=release_key) == [".".join(map(str, one)) for one in sorted(numbers)]


@given(st.text(max_size=20), st.text(max_size=20))
def test_order_is_total(one: str, other: str) -> None:
    assert (release_key(one) == release_key(other)) == (one == other)
    assert (release_key(one) < release_key(other)) != (release_key(one) >= release_key(other))


@pytest.mark.parametrize(
    ("revision", "number"), [("r0", 0), ("r9", 9), ("r10", 10), ("20210831223706", 20210831223706)]
)
def test_revisions_are_numbers(revision: str, number: int) -> None:
    assert revision_key(revision) == number


@pytest.mark.parametrize("revision", ["", "r", "R1", "r-1", "r1.0", "1r"])
def test_what_is_no_revision_is_refused(revision: str) -> None:
    with pytest.raises(InputError, match="is not a revision"):
        revision_key(revision)


@pytest.mark.parametrize(
    ("release", "version"),
    [("3.23.6", "3.23"), ("3.10.0_rc1", "3.10"), ("3.24_rc1", "3.24"), ("edge-20261123", "edge"), ("edge", "edge")],
)
def test_release_belongs_to_its_version(release: str, version: str) -> None:
    assert version_of(release) == version


def test_candidates_are_told_from_releases() -> None:
    assert [is_prerelease(one) for one in ("3.24.0_rc1", "3.24.0_alpha20260127", "3.24.0", "3.24.0_p1")] == [
        True,
        True,
        False,
        False,
    ]


def test_edge_is_released_by_the_day() -> None:
    assert edge_release(date(2026, 3, 9)) == "edge-20260309"


NUMBERS = st.lists(st.integers(0, 2000), min_size=1, max_size=4)
SUFFIXES = ["alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"]


def versions() -> st.SearchStrategy[str]:
    suffix = st.builds(lambda name, number: f"_{name}{number}", st.sampled_from(SUFFIXES), st.sampled_from(["", 1, 12]))
    return st.builds(
        lambda numbers, letter, suffixes, revision: f"{numbers}{letter}{suffixes}{revision}",
        NUMBERS.map(lambda numbers: ".".join(map(str, numbers))),
        st.sampled_from(["", "a", "b"]),
        st.lists(suffix, max_size=2).map("".join),
        st.sampled_from(["", "-r0", "-r2", "-r10"]),
    )


@pytest.mark.parametrize(
    "ascending",
    [
        ["3.5.8-r0", "3.5.9-r0", "3.5.9-r2", "3.5.9-r10", "3.5.10-r0", "3.10-r0", "10-r0"],
        [
            "1_alpha",
            "1_alpha2",
            "1_alpha10",
            "1_beta",
            "1_pre",
            "1_rc1",
            "1",
            "1_cvs",
            "1_svn",
            "1_git",
            "1_hg",
            "1_p1",
        ],
        ["9.9_p1-r0", "9.9_p2-r0", "9.9_p10-r0", "10.0_p1-r0"],
        ["1.0", "1.0a", "1.0b", "1.0.1", "1.1_rc1", "1.1"],
        ["1.01", "1.1"],
        ["20260909-r0", "20261001-r0"],
        ["3.23.6", "3.24.0_alpha20261001", "3.24.0_rc1", "3.24.0"],
    ],
)
def test_packages_are_ordered_as_apk_orders_them(ascending: list[str]) -> None:
    for place, one in enumerate(ascending):
        for other_place, other in enumerate(ascending):
            assert (package_key(one) < package_key(other)) == (place < other_place), (one, other)


@given(NUMBERS, NUMBERS)
def test_numbers_of_packages_are_compared_as_numbers(one: list[int], other: list[int]) -> None:
    left, right = (package_key(".".join(map(str, numbers))) for numbers in (one, other))
    assert (left < right, left == right) == (one < other, one == other)


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_revisions_of_packages_are_numbers(one: int, other: int) -> None:
    assert (package_key(f"1.2_p3-r{one}") < package_key(f"1.2_p3-r{other}")) == (one < other)


@given(versions())
def test_a_version_begins_with_what_it_goes_on_from(version: str) -> None:
    assert begins_with(f"{version.partition('-')[0]}-r7", version.partition("-")[0])


@pytest.mark.parametrize("text", ["", "a", "1.", "1..2", "1_foo", "1-r", "1-1", "1bc", "1.2-r1.3", "1 ", "\u0661"])
def test_what_is_no_version(text: str) -> None:
    assert not is_package_version(text)
    with pytest.raises(ValueError, match="not a version"):
        package_key(text)
