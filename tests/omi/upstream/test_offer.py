"""Which version of a package counts as the newest for a profile."""

from __future__ import annotations

from omi.support.dependency import read_dependency
from omi.upstream.index import Index
from omi.upstream.offer import Offer


def newest(name: str, *asked: str, plain: dict[str, str], tagged: dict[str, str] | None = None) -> str | None:
    repositories: list[tuple[str | None, Index]] = [
        (None, Index({each: tuple(versions.split()) for each, versions in plain.items()})),
        ("edge", Index({each: (version,) for each, version in (tagged or {}).items()})),
    ]
    return Offer(repositories, tuple(map(read_dependency, asked))).newest(name)


def test_the_newest_of_all_repositories_counts_by_apks_order() -> None:
    main, community = Index({"a": ("1.9-r0", "1.10_rc1-r0")}), Index({"a": ("1.10-r0", "1.2-r9", "not a version")})
    assert Offer([(None, main), (None, community)]).newest("a") == "1.10-r0"
    assert newest("b", plain={"a": "1-r0"}) is None


def test_only_what_the_profile_allows_counts() -> None:
    plain = {"a": "1.2-r0 1.3-r0 2.0-r0"}
    asked = {"a~1": "1.3-r0", "a<1.3": "1.2-r0", "a=1.2-r0": "1.2-r0", "a>2.5": None, "!a": None, "b<1": "2.0-r0"}
    assert {line: newest("a", line, plain=plain) for line in asked} == asked


def test_a_repository_with_a_tag_counts_where_it_is_asked_for_or_is_the_only_one() -> None:
    plain, tagged = {"a": "3-r0", "b": "1-r0"}, {"a": "2-r0", "b": "2-r0", "only": "5-r0"}
    assert newest("a", "a@edge", plain=plain, tagged=tagged) == "2-r0"
    assert newest("b", "a@edge", plain=plain, tagged=tagged) == "1-r0"
    assert newest("only", "a@edge", plain=plain, tagged=tagged) == "5-r0"
    assert newest("c", "c@edge", plain={"c": "1-r0"}, tagged=tagged) == "1-r0"


def test_it_knows_the_release_that_it_makes_up() -> None:
    assert Offer([(None, Index({"alpine-base": ("3.23.6-r1",)}))]).release == "3.23.6"
    assert Offer([]).release is None
