"""Versions as apk orders them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omi.apkindex.dependency import read_dependency
from omi.apkindex.version import begins_with, compare, is_version

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
def test_order(ascending: list[str]) -> None:
    for place, one in enumerate(ascending):
        for other_place, other in enumerate(ascending):
            assert compare(one, other) == (place > other_place) - (place < other_place), (one, other)


@given(versions(), versions())
def test_comparing_the_other_way_round_turns_the_answer_round(one: str, other: str) -> None:
    assert compare(one, other) == -compare(other, one)
    assert compare(one, one) == 0


@given(versions(), versions(), versions())
def test_order_is_transitive(one: str, two: str, three: str) -> None:
    # a number that begins with 0 is compared as text, by which apk's own order is none: left out
    if not any(".0" in each for each in (one, two, three)) and compare(one, two) <= 0 and compare(two, three) <= 0:
        assert compare(one, three) <= 0


@given(NUMBERS, NUMBERS)
def test_numbers_are_compared_as_numbers(one: list[int], other: list[int]) -> None:
    if 0 not in one[1:] + other[1:]:
        told = compare(".".join(map(str, one)), ".".join(map(str, other)))
        assert told == (one > other) - (one < other)


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_revisions_are_numbers(one: int, other: int) -> None:
    assert compare(f"1.2_p3-r{one}", f"1.2_p3-r{other}") == (one > other) - (one < other)


@given(versions())
def test_a_version_begins_with_what_it_goes_on_from(version: str) -> None:
    assert begins_with(f"{version.partition('-')[0]}-r7", version.partition("-")[0]) == 0


@pytest.mark.parametrize("text", ["", "a", "1.", "1..2", "1_foo", "1-r", "1-1", "1bc", "1.2-r1.3", "1 ", "\u0661"])
def test_what_is_no_version(text: str) -> None:
    assert not is_version(text)
    with pytest.raises(ValueError, match="no version"):
        compare(text, "1")


@pytest.mark.parametrize(
    ("dependency", "yes", "no"),
    [
        ("a", ["1-r0", None], []),
        ("a=1.2-r0", ["1.2-r0", None], ["1.2-r1", "1.2"]),
        ("a~1.2", ["1.2-r9", "1.2.9-r0", "1.2_p1"], ["1.3-r0", "1.20-r0"]),
        ("a~=1.2", ["1.2.3-r0"], ["1.3-r0"]),
        ("a>1.2", ["1.2.1", "1.3", "1.2-r0"], ["1.2", "1.1"]),
        ("a>=1.2", ["1.2", "1.10"], ["1.2_rc1", "1.1"]),
        ("a<1.2", ["1.1", "1.2_rc1"], ["1.2", "1.10"]),
        ("a<=1.2", ["1.2", "0.9"], ["1.2-r1"]),
        ("!a", [], ["1-r0", None]),
        ("!a<2", ["2-r0", "3"], ["1-r0", None]),
        ("a@edge>1", ["2"], ["1"]),
    ],
)
def test_what_a_dependency_takes(dependency: str, yes: list[str | None], no: list[str | None]) -> None:
    read = read_dependency(dependency)
    assert all(read.accepts(version) for version in yes)
    assert not any(read.accepts(version) for version in no)


@pytest.mark.parametrize("text", ["", "a=", "=1", "a>>>b", "a=1=2", "a=x", "!!a", "a@"])
def test_what_is_no_dependency(text: str) -> None:
    with pytest.raises(ValueError, match="no dependency"):
        read_dependency(text)
