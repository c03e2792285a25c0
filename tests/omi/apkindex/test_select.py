"""What is installed for a list of packages."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omi.apkindex.dependency import read_dependency
from omi.apkindex.read import Package
from omi.apkindex.select import UnresolvableError, select
from omi.apkindex.universe import Repository
from tests.omi.apkindex.make import package as p


def chosen(packages: Sequence[Package], *wanted: str, tagged: Sequence[Package] = ()) -> list[str]:
    return list(select([Repository(packages), Repository(tagged, "edge")], wanted).lines)


def test_dependencies_are_followed_by_name_and_by_what_is_provided() -> None:
    packages = [
        p("nginx", depends="pcre2 so:libssl.so.3 /bin/sh"),
        p("pcre2"),
        p("libssl3", "3.5.8-r0", provides="so:libssl.so.3=3", depends="libcrypto3=3.5.8-r0"),
        p("libcrypto3", "3.5.8-r0"),
        p("busybox-binsh", provides="/bin/sh", priority=60),
        p("other"),
    ]
    wanted = ["busybox-binsh=1-r0", "libcrypto3=3.5.8-r0", "libssl3=3.5.8-r0", "nginx=1-r0", "pcre2=1-r0"]
    assert chosen(packages, "nginx") == wanted


def test_the_newest_version_that_all_constraints_allow() -> None:
    packages = [p("a", f"1.{minor}-r0") for minor in (2, 9, 10, 11)] + [p("b", depends="a<1.11")]
    assert chosen(packages, "a") == ["a=1.11-r0"]
    assert chosen(packages, "a", "b") == ["a=1.10-r0", "b=1-r0"]
    assert chosen(packages, "a=1.2-r0") == ["a=1.2-r0"]
    assert chosen(packages, "a~1.9", "b") == ["a=1.9-r0", "b=1-r0"]


def test_a_newer_version_that_cannot_be_installed_is_passed_over() -> None:
    packages = [p("a", "2-r0", depends="missing"), p("a", "1-r0", depends="b"), p("b")]
    assert chosen(packages, "a") == ["a=1-r0", "b=1-r0"]


class TestProvidedNames:
    def test_the_highest_provided_version_wins(self) -> None:
        packages = [p("old", "9-r0", provides="so:x=1"), p("new", "1-r0", provides="so:x=2")]
        assert chosen(packages, "so:x") == ["new=1-r0"]

    def test_without_a_version_the_priority_decides(self) -> None:
        packages = [p("one", provides="cron", priority=10), p("two", provides="cron", priority=20)]
        assert chosen(packages, "cron") == ["two=1-r0"]

    def test_without_a_version_and_priority_nothing_is_chosen_by_itself(self) -> None:
        packages = [p("one", provides="cron"), p("a", depends="cron")]
        with pytest.raises(UnresolvableError, match="installed as"):
            chosen(packages, "a")
        assert chosen(packages, "a", "one") == ["a=1-r0", "one=1-r0"]

    def test_one_that_is_there_anyway_is_taken(self) -> None:
        packages = [p("big", provides="so:x=2"), p("small", provides="so:x=1"), p("a", depends="so:x small")]
        assert chosen(packages, "a") == ["a=1-r0", "small=1-r0"]

    def test_two_may_provide_a_name_without_a_version(self) -> None:
        packages = [p("one", provides="ifupdown-any"), p("two", provides="ifupdown-any")]
        assert chosen(packages, "one", "two") == ["one=1-r0", "two=1-r0"]

    def test_two_may_not_provide_a_name_with_a_version(self) -> None:
        packages = [p("one", provides="init=1"), p("two", provides="init=1")]
        with pytest.raises(UnresolvableError):
            chosen(packages, "one", "two")


class TestConflicts:
    def test_another_provider_is_taken(self) -> None:
        packages = [p("a", depends="!x so:s"), p("x", "2-r0", provides="so:s=2"), p("y", provides="so:s=1")]
        assert chosen(packages, "a") == ["a=1-r0", "y=1-r0"]

    def test_a_package_does_not_exclude_itself(self) -> None:
        assert chosen([p("a", provides="vlan", depends="!vlan")], "a") == ["a=1-r0"]

    def test_what_the_list_itself_excludes(self) -> None:
        packages = [p("a", depends="b"), p("b")]
        assert chosen(packages, "a", "!c") == ["a=1-r0", "b=1-r0"]
        with pytest.raises(UnresolvableError):
            chosen(packages, "a", "!b")


class TestInstallIf:
    PACKAGES = (p("dhcpcd"), p("openrc"), p("dhcpcd-openrc", install_if="openrc dhcpcd=1-r0", depends="c"), p("c"))

    def test_comes_once_all_of_it_is_there(self) -> None:
        assert chosen(self.PACKAGES, "dhcpcd") == ["dhcpcd=1-r0"]
        both = ["c=1-r0", "dhcpcd=1-r0", "dhcpcd-openrc=1-r0", "openrc=1-r0"]
        assert chosen(self.PACKAGES, "dhcpcd", "openrc") == both

    def test_stays_away_where_it_is_excluded_or_of_another_version(self) -> None:
        assert "dhcpcd-openrc=1-r0" not in chosen(self.PACKAGES, "dhcpcd", "openrc", "!dhcpcd-openrc")
        newer = (*self.PACKAGES, p("dhcpcd", "2-r0"))
        assert chosen(newer, "dhcpcd", "openrc") == ["dhcpcd=2-r0", "openrc=1-r0"]


class TestTaggedRepositories:
    TAGGED = (p("foot", "2-r0", depends="lib"), p("lib", "2-r0"), p("nginx", "9-r0"), p("only"))

    def test_count_only_where_the_tag_is_asked_for(self) -> None:
        packages = [p("foot"), p("lib"), p("nginx")]
        assert chosen(packages, "foot", "nginx", tagged=self.TAGGED) == ["foot=1-r0", "nginx=1-r0"]
        with pytest.raises(UnresolvableError, match="only"):
            chosen(packages, "only", tagged=self.TAGGED)

    def test_a_tagged_package_is_preferred_and_its_dependencies_are_not(self) -> None:
        packages = [p("foot", "3-r0"), p("lib")]
        assert chosen(packages, "foot@edge", tagged=self.TAGGED) == ["foot=2-r0", "lib=1-r0"]

    def test_a_dependency_that_is_nowhere_else_comes_from_there_too(self) -> None:
        assert chosen([p("a")], "foot@edge", tagged=self.TAGGED) == ["foot=2-r0", "lib=2-r0"]


@pytest.mark.parametrize(("wanted", "told"), [("nothing", "nothing"), ("a>=2", "a>=2"), ("a=x", "no dependency")])
def test_what_cannot_be_installed_is_named(wanted: str, told: str) -> None:
    with pytest.raises(UnresolvableError, match=told):
        chosen([p("a")], wanted)


def test_packages_that_lead_to_each_other_and_exclude_each_other_come_to_an_end() -> None:
    packages = [
        p("a", "2-r0", depends="b"),
        p("a", "1-r0"),
        p("b", provides="so:x=1", install_if="a", depends="!a>1"),
        p("c", depends="so:x", install_if="!b a"),
    ]
    assert chosen(packages, "a")[0] == "a=1-r0"


def test_a_selection_knows_its_release_and_where_packages_come_from() -> None:
    selection = select([Repository([p("alpine-base", "3.23.6-r0", origin="alpine")])], ["alpine-base"])
    assert (selection.release, selection.origins) == ("3.23.6", {"alpine-base": "alpine"})


NAMES = "abcdef"
DEPENDENCY = st.one_of(
    st.sampled_from(NAMES),
    st.builds("{}{}".format, st.sampled_from(NAMES), st.sampled_from([">=1", "<3-r0", "~1", "=1-r0", ">1-r0"])),
    st.builds("so:{}".format, st.sampled_from("xy")),
    st.builds("!{}".format, st.sampled_from(NAMES)),
    st.just("virt"),
)
PROVIDED = st.sampled_from(["so:x=1", "so:x=2", "so:y=1", "virt"])
PACKAGES = st.lists(
    st.builds(
        lambda name, version, depends, provides, triggers, priority: p(
            name, version, depends=" ".join(depends), provides=" ".join(provides), install_if=" ".join(triggers),
            priority=priority,
        ),
        st.sampled_from(NAMES),
        st.sampled_from(["1-r0", "1-r1", "1.2_rc1-r0", "2-r0", "3-r0"]),
        st.lists(DEPENDENCY, max_size=2),
        st.lists(PROVIDED, max_size=1),
        st.lists(st.sampled_from(NAMES), max_size=1),
        st.sampled_from([0, 0, 5]),
    ),
    max_size=9,
    unique_by=lambda each: (each.name, each.version),
)  # fmt: skip
WORLD = st.lists(st.sampled_from([*NAMES, "a>=1", "so:x"]), min_size=1, max_size=3, unique=True)


def outcome(packages: Sequence[Package], wanted: Sequence[str]) -> list[str] | None:
    try:
        return chosen(packages, *wanted)
    except UnresolvableError:
        return None


@settings(max_examples=150, deadline=None)
@given(PACKAGES, WORLD, st.randoms())
def test_neither_the_order_of_packages_nor_that_of_the_list_matters(
    packages: list[Package], wanted: list[str], random: object
) -> None:
    first = outcome(packages, wanted)
    random.shuffle(packages)  # type: ignore[attr-defined]
    random.shuffle(wanted)  # type: ignore[attr-defined]
    assert outcome(packages, wanted) == first


@settings(max_examples=150, deadline=None)
@given(PACKAGES, WORLD)
def test_what_is_chosen_fulfils_everything(packages: list[Package], wanted: list[str]) -> None:
    lines = outcome(packages, wanted)
    if lines is None:
        return
    there = [each for each in packages if f"{each.name}={each.version}" in lines]
    assert len(there) == len(lines) == len({each.name for each in there})
    for owner, dependency in [
        *((None, read_dependency(text)) for text in wanted),
        *((each, dependency) for each in there for dependency in each.depends),
    ]:
        offers = [(each, each.offers[dependency.name]) for each in there if dependency.name in each.offers]
        if dependency.conflict:
            assert all(each is owner or dependency.accepts(version) for each, version in offers)
        else:
            assert any(dependency.accepts(version) for _, version in offers)
    firm = [name for each in there for name, version in each.offers.items() if version is not None]
    assert len(firm) == len(set(firm))


@settings(max_examples=100, deadline=None)
@given(PACKAGES, WORLD)
def test_a_package_that_nobody_knows_changes_nothing(packages: list[Package], wanted: list[str]) -> None:
    assert outcome([*packages, p("unheard-of", "9-r9")], wanted) == outcome(packages, wanted)
