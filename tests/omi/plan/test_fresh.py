"""New revisions for fixes and for age, what holds them back, and what unsigned data can't bring about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omi.plan import Action, Plan
from omi.plan.report import plan_json
from omi.profile.model import Target
from omi.state.ledger import LedgerImage
from omi.support.version import edge_release
from omi.upstream.index import Index
from omi.upstream.offer import Offer
from tests.omi.plan.make import TODAY, after, aged, build, held, ledger, outcome, plan_of, step_of, upstream

Fixes = Mapping[str, Mapping[str, tuple[str, ...]]]
V23 = build(rebuild_on="security")
UP = upstream("3.23.6")
NAME = "alpine-v3_23-3.23.6-x86_64-r{}"
OLD = {"libssl3": "3.5.8-r0", "libcrypto3": "3.5.8-r0", "zlib": "1.3-r0"}
NEW = {"libssl3": "3.5.9-r0", "libcrypto3": "3.5.9-r0", "zlib": "1.3-r1"}
ORIGINS = {"libssl3": "openssl", "libcrypto3": "openssl"}
FIXED = {"openssl": {"3.5.9-r0": ("CVE-2026-1", "CVE-2026-2")}}
WHY = "libcrypto3/libssl3 3.5.8-r0 → 3.5.9-r0 (CVE-2026-1, CVE-2026-2)"


def offer(versions: Mapping[str, str], fixes: Fixes) -> Offer:
    return Offer([(None, Index({name: (each,) for name, each in versions.items()}, ORIGINS, fixes))])


def image(installed: Mapping[str, str] | None = OLD, age: int = 20, of: Target = V23, **values: Any) -> LedgerImage:
    return aged(held(of, values.pop("release", "3.23.6"), installed=installed, **values), age)


def planned(
    made: LedgerImage, versions: Mapping[str, str] = NEW, fixes: Fixes = FIXED, of: Target = V23, **values: Any
) -> Plan:
    return plan_of([of], values.pop("known", UP), ledger(made), offers={of.name: offer(versions, fixes)}, **values)


def reason(*args: Any, **values: Any) -> str | None:
    """Why the next revision is built, None where none is."""
    built = [step.reason for step in planned(*args, **values).of(Action.BUILD)]
    return built[0] if built else None


def with_keys(**keys: Any) -> Target:
    return V23.model_copy(update=keys)


class TestFixes:
    def test_make_the_next_revision_and_are_named_by_package_versions_and_id(self) -> None:
        assert reason(image()) == f"revision r1: {WHY}"

    def test_bring_in_what_else_is_newer_which_is_never_asked_for_again(self) -> None:
        plan = planned(image())
        made = after(plan).images[-1]
        assert made.spec.offered == ("libcrypto3=3.5.9-r0", "libssl3=3.5.9-r0", "zlib=1.3-r1")

    def test_beyond_the_first_few_are_counted(self) -> None:
        fixes = {"openssl": {"3.5.9-r0": tuple(f"CVE-2026-{number}" for number in range(9))}}
        told = "libcrypto3/libssl3 3.5.8-r0 → 3.5.9-r0 (CVE-2026-0, CVE-2026-1, CVE-2026-2 and 6 more)"
        assert reason(image(), fixes=fixes) == f"revision r1: {told}"

    @pytest.mark.parametrize(
        "keys", [{}, {"min_interval": 30}, {"user": "admin"}], ids=["due", "waiting", "with others"]
    )
    def test_are_all_in_the_json_for_programs(self, keys: dict[str, object]) -> None:
        names = [f"p{number}" for number in range(7)]
        old, new = (dict.fromkeys(names, version) for version in ("1-r0", "2-r0"))
        ids = [f"CVE-2026-{number}" for number in range(9)]
        fixes = {name: {"2-r0": tuple(ids)} for name in names}
        told = json.loads(plan_json(planned(image(old), new, fixes, with_keys(**keys))))["steps"]
        wanted = [{"name": name, "installed": "1-r0", "offered": "2-r0", "fixed": ids} for name in names]
        assert wanted in [step["packages"] for step in told]
        every = json.loads(plan_json(planned(image(old), new, fixes, build(rebuild_on="packages"))))["steps"]
        assert [each | {"fixed": None} for each in wanted] in [step["packages"] for step in every]

    def test_without_an_id_count_too(self) -> None:
        assert reason(image({"zlib": "1.3-r0"}), fixes={"zlib": {"1.3-r1": ()}}) == "revision r1: zlib 1.3-r0 → 1.3-r1"

    @pytest.mark.parametrize(
        "fixes",
        [
            {},
            {"openssl": {"3.5.8-r0": ("CVE-2026-1",)}},
            {"openssl": {"3.5.7-r5": ("CVE-2026-1",)}},
            {"openssl": {"3.5.10-r0": ("CVE-2026-1",)}},
            {"libssl3": {"3.5.9-r0": ("CVE-2026-1",)}},
            {"nginx": {"9-r0": ("CVE-2026-1",)}},
        ],
        ids=["none", "installed", "earlier", "not offered yet", "of another source", "not installed"],
    )
    def test_that_the_image_has_or_could_not_have_build_nothing(self, fixes: Fixes) -> None:
        assert not planned(image(), fixes=fixes).changes

    def test_say_nothing_where_nobody_knows_what_is_installed_or_offered(self) -> None:
        assert not planned(image(None)).changes
        assert not plan_of([V23], UP, ledger(image())).changes

    def test_are_not_asked_for_where_the_profile_wants_all_newer_packages(self) -> None:
        every = build(rebuild_on="packages")
        told = "libcrypto3 3.5.8-r0 → 3.5.9-r0, libssl3 3.5.8-r0 → 3.5.9-r0, zlib 1.3-r0 → 1.3-r1"
        assert reason(image(), of=every) == f"revision r1: {told}"

    def test_that_apk_does_not_install_are_tried_once(self) -> None:
        made = after(planned(image())).images[-1]
        lines = tuple(f"{name}={version}" for name, version in OLD.items())
        same = replace(made, record=made.record.model_copy(update={"installed": lines}))
        assert reason(same) is None


class TestMinInterval:
    def test_holds_newer_packages_back_and_says_until_when(self) -> None:
        plan = planned(image(age=5), of=with_keys(min_interval=7))
        assert not plan.changes
        assert step_of(plan, NAME.format(0)).reason == f"current until 2026-11-25, by min_interval; then: {WHY}"

    def test_is_over_on_its_day(self) -> None:
        assert reason(image(age=7), of=with_keys(min_interval=7)) == f"revision r1: {WHY}"
        assert reason(image(age=6), of=with_keys(min_interval=7)) is None

    def test_holds_for_all_newer_packages_too(self) -> None:
        every = build(rebuild_on="packages", min_interval=7)
        assert reason(image(age=6), of=every) is None
        assert reason(image(age=7), of=every) is not None

    def test_holds_back_no_other_content_and_no_new_release(self) -> None:
        keys = {"min_interval": 7, "user": "admin"}
        assert reason(image(age=0), of=with_keys(**keys)) == "revision r1: user changed in the profile"
        newer = reason(image(age=0), of=with_keys(min_interval=7), known=upstream("3.23.7"))
        assert newer == "new release 3.23.7 (was 3.23.6)"

    def test_does_not_keep_a_revoked_image(self) -> None:
        """Nobody can launch it, so its successor is urgent."""
        young = image(age=0)
        revoked = {
            young.name: "bad",
        }
        plan = planned(
            young, of=with_keys(min_interval=7), revoked=revoked, revoked_content=frozenset({young.spec.digest})
        )
        assert outcome(plan) == {NAME.format(1): "build", NAME.format(0): "keep"}

    def test_has_edge_built_no_more_often(self) -> None:
        edge = build("edge", "edge", min_interval=7)
        made = image(None, 3, edge, release="edge-20261120")
        plan = planned(made, of=edge)
        assert not plan.changes
        assert step_of(plan, made.name).reason == (
            "current until 2026-11-27, by min_interval; then: new release edge-20261123 (was edge-20261120)"
        )
        assert reason(image(None, 7, edge, release="edge-20261116"), of=edge) is not None
        assert reason(made, of=edge.model_copy(update={"user": "admin"})) is not None
        assert reason(made, of=build("edge", "edge")) == "new release edge-20261123 (was edge-20261120)"


class TestMaxAge:
    @pytest.mark.parametrize("mode", ["content", "packages", "security"])
    def test_makes_the_next_revision_in_every_mode(self, mode: str) -> None:
        old = with_keys(rebuild_on=mode, max_age=30)
        assert reason(image(age=31), OLD, of=old) == "revision r1: 31 days old, max_age is 30"
        assert reason(image(age=30), OLD, of=old) is None

    def test_is_named_beside_what_else_there_is(self) -> None:
        both = with_keys(max_age=30)
        assert reason(image(age=31), of=both) == f"revision r1: {WHY}; 31 days old, max_age is 30"

    def test_goes_before_a_longer_min_interval(self) -> None:
        assert reason(image(age=31), of=with_keys(max_age=30, min_interval=90)) is not None
        edge = build("edge", "edge", max_age=30, min_interval=90)
        for age, due in ((30, False), (31, True)):
            made = image(None, age, edge, release=edge_release(TODAY - timedelta(days=age)))
            assert (reason(made, of=edge) is not None) is due

    def test_asks_once(self) -> None:
        old = with_keys(max_age=30, rebuild_on="content")
        made = aged(after(planned(image(age=31), OLD, of=old)).images[-1], 0)
        assert reason(made, OLD, of=old) is None

    def test_builds_nothing_of_a_release_that_the_mirror_no_longer_has(self) -> None:
        pinned = with_keys(max_age=30, release="3.23.5")
        assert reason(image(None, 99, release="3.23.5"), OLD, of=pinned) is None
        assert reason(image(None, 99), OLD, of=with_keys(max_age=30, release="3.23.6")) is not None

    def test_builds_nothing_where_the_revision_is_pinned_or_the_version_is_past_its_end(self) -> None:
        assert reason(image(age=99), OLD, of=with_keys(max_age=30, revision=0)) is None
        ended = upstream("3.23.6", end_of_life=TODAY - timedelta(days=1))
        assert reason(image(age=99), OLD, of=with_keys(max_age=30), known=ended) is None

    def test_builds_nothing_of_revoked_content_whose_packages_are_not_known(self) -> None:
        made = taken_up()
        given = {"revoked": {made.name: "bad"}, "revoked_content": frozenset({made.spec.digest})}
        assert reason(made, **given) is None

    def test_never_tries_again_what_revoked_content_could_not_get(self) -> None:
        """Other content is tried again after a week; here the next image might hold the same."""
        made = image(age=20, offered=tuple(f"{name}={version}" for name, version in NEW.items()))
        assert reason(made) == f"revision r1: {WHY}"
        given = {"revoked": {made.name: "bad"}, "revoked_content": frozenset({made.spec.digest})}
        assert reason(made, **given) is None
        later = {**NEW, "zlib": "1.3-r2"}
        assert reason(made, later, {"zlib": {"1.3-r2": ("CVE-2026-3",)}}, **given) is not None

    def test_builds_nothing_of_content_that_is_revoked(self) -> None:
        made = image(age=99)
        given = {"revoked": {made.name: "bad"}, "revoked_content": frozenset({made.spec.digest})}
        assert reason(made, OLD, of=with_keys(max_age=30), **given) is None

    def test_is_not_known_of_an_image_that_is_only_just_taken_in(self) -> None:
        made = image()
        taken = replace(made, record=made.record.model_copy(update={"created": datetime.fromtimestamp(0, UTC)}))
        assert reason(taken, OLD, of=with_keys(max_age=30)) is None


VERSIONS = ("1-r0", "1-r1", "1-r2", "2-r0")
NAMES = "abc"
installs = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VERSIONS), min_size=1)
fixes = st.dictionaries(
    st.sampled_from((*NAMES, "source")),
    st.dictionaries(st.sampled_from((*VERSIONS, "999-r0")), st.just(("CVE-2026-1",)), max_size=3),
)


@given(installs, installs, st.lists(fixes, min_size=1, max_size=4), st.sets(st.sampled_from(NAMES)))
def test_whatever_the_security_data_says_a_signed_offer_is_built_once_and_nothing_is_lost(
    installed: dict[str, str], offered: dict[str, str], told: list[Fixes], taken: set[str]
) -> None:
    """However often the data changes, no build asks for what is installed, not offered, or tried already."""
    now, builds = image(installed), 0
    for known in told * 2:
        plan = planned(now, offered, known)
        assert not plan.of(Action.PRUNE)
        if plan.of(Action.BUILD):
            builds += 1
            assert any(
                VERSIONS.index(offered[name]) > VERSIONS.index(installed[name]) for name in offered.keys() & installed
            )
            installed = {name: offered.get(name, each) if name in taken else each for name, each in installed.items()}
            made = after(plan).images[-1]
            lines = tuple(f"{name}={version}" for name, version in installed.items())
            now = replace(made, record=made.record.model_copy(update={"installed": lines}))
    assert builds <= 1


def taken_up(**record: Any) -> LedgerImage:
    """An image that a killed run made: the next run doesn't know its packages."""
    made = image(installed=None)
    return replace(made, record=made.record.model_copy(update={"build_seconds": None, **record}))


@pytest.mark.parametrize("mode", ["packages", "security"])
def test_an_image_whose_packages_nobody_knows_since_its_run_was_killed_is_built_anew_once(mode: str) -> None:
    of = with_keys(rebuild_on=mode)
    assert reason(taken_up(), of=of) == "revision r1: its packages are not known, since it was taken up"
    rebuilt = taken_up(build_seconds=600)
    assert reason(rebuilt, of=of) is None, "a build that can't say what is installed is not built again and again"


def test_nobody_knows_the_packages_of_what_others_made_or_what_is_taken_over_and_that_is_no_reason() -> None:
    assert reason(taken_up(adopted=True)) is None
    assert reason(taken_up(), of=with_keys(rebuild_on="content"), known=UP, versions={}) is None
