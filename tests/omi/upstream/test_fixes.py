"""Alpine's security data: what counts as a fix, and what a broken or hostile file may not do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omi.support.errors import UpstreamError
from omi.support.version import is_package_version, package_key
from omi.upstream.security import fixed_between, read_fixes


def file(*packages: Any, branch: str = "v3.23", repository: str = "main", **more: Any) -> bytes:
    """A file in upstream's shape."""
    head = {"distroversion": branch, "reponame": repository, "urlprefix": "https://dl-cdn.alpinelinux.org/alpine"}
    return json.dumps({**head, "packages": packages, **more}).encode()


def source(name: str, **fixes: Any) -> dict[str, Any]:
    """An entry; `_` in a version's name stands for `.`, and it begins with `v`."""
    return {"pkg": {"name": name, "secfixes": {key[1:].replace("_", "."): ids for key, ids in fixes.items()}}}


def read(*packages: Any) -> Any:
    return read_fixes(file(*packages), "v3.23/main")


def test_a_source_has_ids_by_version() -> None:
    entry = {"pkg": {"name": "xen", "secfixes": {"4.20-r1": ["CVE-2026-1 XSA-243", "CVE-2026-2 (+ more)"]}}}
    assert read(entry) == {"xen": {"4.20-r1": ("CVE-2026-1", "XSA-243", "CVE-2026-2")}}


def test_what_never_affected_a_package_is_no_fix() -> None:
    assert read(source("a", v0=["CVE-2026-1"])) == {}
    assert read(source("a", v0=["CVE-2026-1"], v1_2=["CVE-2026-2"])) == {"a": {"1.2": ("CVE-2026-2",)}}


def test_two_entries_of_one_source_add_up() -> None:
    fixes = read(source("a", v1=["CVE-2026-1"]), source("a", v1=["CVE-2026-1", "CVE-2026-2"], v2=["CVE-2026-3"]))
    assert fixes == {"a": {"1": ("CVE-2026-1", "CVE-2026-2"), "2": ("CVE-2026-3",)}}


def test_a_source_without_fixes_and_a_repository_without_sources_are_fine() -> None:
    assert read({"pkg": {"name": "a"}}) == {}
    assert read() == {}


@pytest.mark.parametrize(
    "odd",
    [
        7,
        None,
        {},
        {"pkg": None},
        {"pkg": {"name": 7, "secfixes": {}}},
        {"pkg": {"name": "a", "secfixes": []}},
        {"pkg": {"name": "a", "secfixes": {"1-r0": "CVE-2026-1"}}},
        {"pkg": {"name": "x" * 10_000, "secfixes": {"1-r0": ["CVE-2026-1"]}}},
        source("a", v=["CVE-2026-1"]),
        source("a", vnewest=["CVE-2026-1"]),
        source("a", **{"v" + "9" * 10_000: ["CVE-2026-1"]}),
    ],
)
def test_an_odd_entry_hides_no_other(odd: Any) -> None:
    assert read(odd, source("b", v1=["CVE-2026-2"])) == {"b": {"1": ("CVE-2026-2",)}}


@pytest.mark.parametrize("word", ["", "CVE-", "\x1b[31mCVE-2026-1", "{0.__class__}", "<b>CVE-1</b>", "CVE-" + "1" * 99])
def test_what_is_no_id_is_never_shown_and_its_fix_counts(word: str) -> None:
    assert read(source("a", v1=[word, "CVE-2026-1"])) == {"a": {"1": ("CVE-2026-1",)}}
    assert read(source("a", v1=[word])) == {"a": {"1": ()}}
    assert read({"pkg": {"name": "a", "secfixes": {"1": None, "2": [7, {}]}}}) == {"a": {"1": (), "2": ()}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is not security data"),
        (b"<html>log in</html>", "is not security data"),
        (b"\xff\xfe", "is not security data"),
        (b"[" * 100_000, "is not security data"),
        (b"null", "is not security data"),
        (b'{"packages": []}', "is not security data: distroversion"),
        (file(packages={}), "is not security data: packages"),
        (file(branch="v3.22"), "is not the security data of v3.23/main, but of 'v3.22/main'"),
        (file(repository="community"), "is not the security data of v3.23/main, but of 'v3.23/community'"),
        (file(branch="\x1b[31m" + "x" * 1_000_000), "is not the security data of v3.23/main, but of '\\x1b[31mx"),
        (file(source("a", v1=[f"CVE-2026-{number}" for number in range(5001)])), "names more than 5000 fixes of 'a'"),
        (file(7, None), "names no package that can be read"),
    ],
)
def test_what_is_no_such_file_is_said_in_one_line(text: bytes, said: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_fixes(text, "v3.23/main")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


FIXES = {"1.9-r1": ("A",), "1.10-r0": ("B", "A"), "2-r0": ("C",), "2-r1": ()}


@pytest.mark.parametrize(
    ("installed", "offered", "ids"),
    [
        ("1.8-r0", "1.9-r0", None),
        ("1.9-r0", "1.9-r1", ("A",)),
        ("1.9-r1", "1.9-r1", None),
        ("1.9-r1", "1.9-r9", None),
        ("1.9-r1", "1.10-r0", ("B", "A")),
        ("1.9-r0", "2-r0", ("A", "B", "C")),
        ("1.9-r0", None, ("A", "B", "C")),
        ("2-r0", "2-r1", ()),
        ("2-r1", None, None),
        ("3-r0", None, None),
        ("unknown", None, None),
    ],
)
def test_a_fix_counts_after_the_installed_version_up_to_the_offered_one(
    installed: str, offered: str | None, ids: tuple[str, ...] | None
) -> None:
    assert fixed_between(FIXES.items(), installed, offered) == ids


VERSIONS = st.sampled_from(
    ("0", "1", "1-r0", "1-r1", "1.2-r0", "1.10-r0", "1.10_rc1-r0", "2_git20260101-r0", "odd", "")
)
ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=9) | VERSIONS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(VERSIONS | st.just("pkg"), inner, max_size=3),
    max_leaves=9,
)


@given(st.lists(ANYTHING, max_size=3), st.dictionaries(VERSIONS, ANYTHING, max_size=4), VERSIONS)
def test_whatever_the_file_holds_only_a_later_version_is_a_fix(
    odd: list[Any], fixes: dict[str, Any], installed: str
) -> None:
    told = read({"pkg": {"name": "sound"}}, *odd, {"pkg": {"name": "a", "secfixes": fixes}})
    found = fixed_between(told.get("a", {}).items(), installed)
    later = [
        version
        for version in told.get("a", {})
        if is_package_version(installed) and package_key(version) > package_key(installed)
    ]
    assert (found is not None) == bool(later)
    assert "0" not in told.get("a", {})
