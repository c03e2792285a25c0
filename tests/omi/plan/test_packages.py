"""New revisions for newer packages: when, why, and when not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from omi.plan import Action, Plan, PlannedImage
from omi.profile.model import Target
from omi.state.ledger import LedgerImage
from tests.omi.plan.make import (
    account,
    after,
    aged,
    build,
    held,
    ledger,
    offer,
    outcome,
    plan_of,
    seen,
    step_of,
    upstream,
)

V23 = build(rebuild_on="packages")
UP = upstream("3.23.6")
OLD = {"openssl": "3.5.8-r0", "zlib": "1.3-r0"}
NEW = OLD | {"openssl": "3.5.9-r0"}
NAME = "alpine-v3_23-3.23.6-x86_64-r{}"
WHY = "revision r1: openssl 3.5.8-r0 → 3.5.9-r0"


def planned(image: LedgerImage, versions: Mapping[str, str] | None, of: Target = V23) -> Plan:
    return plan_of([of], UP, ledger(image), offers={of.name: offer(**versions)} if versions is not None else {})


def reason(image: LedgerImage, versions: Mapping[str, str] | None, of: Target = V23) -> str | None:
    """Why the next revision is built, None where none is."""
    built = [step.reason for step in planned(image, versions, of).of(Action.BUILD)]
    return built[0] if built else None


def image(installed: Mapping[str, str] | None = OLD, *offered: str) -> LedgerImage:
    return held(V23, "3.23.6", installed=installed, offered=offered)


def built(plan: Plan, installed: Mapping[str, str]) -> LedgerImage:
    """The newest image once the plan was carried out, with what apk then installed."""
    made = after(plan).images[-1]
    lines = tuple(f"{name}={version}" for name, version in installed.items())
    return replace(made, record=made.record.model_copy(update={"installed": lines}))


def test_a_newer_package_makes_the_next_revision_and_is_named_with_both_versions() -> None:
    step = step_of(planned(image(), NEW), NAME.format(1))
    assert (step.action, step.reason) == (Action.BUILD, WHY)
    assert isinstance(step.image, PlannedImage)
    assert step.image.offered == ("openssl=3.5.9-r0",)
    assert step.image.digest == image().spec.digest, "the versions are not part of the content"


def test_more_than_four_are_counted() -> None:
    old, new = ({f"p{number}": version for number in range(7)} for version in ("1-r0", "2-r0"))
    assert reason(image(old), new) == "revision r1: " + ", ".join(f"p{n} 1-r0 → 2-r0" for n in range(4)) + " and 3 more"


def test_both_kinds_of_change_are_named() -> None:
    changed = V23.model_copy(update={"user": "admin"})
    assert reason(image(), NEW, changed) == "revision r1: user changed in the profile; openssl 3.5.8-r0 → 3.5.9-r0"


class TestNothingIsBuilt:
    def test_for_the_same_packages(self) -> None:
        assert not planned(image(), OLD).changes

    def test_for_older_ones(self) -> None:
        assert not planned(image(NEW), OLD).changes

    def test_for_a_package_that_is_gone_or_was_never_in_an_index(self) -> None:
        assert not planned(image({**OLD, ".virtual": "20261123.120000"}), {"zlib": "1.3-r0"}).changes

    def test_for_packages_that_the_image_does_not_have(self) -> None:
        assert not planned(image(), {**OLD, "nginx": "9-r0"}).changes

    def test_for_a_version_that_apk_would_not_read(self) -> None:
        assert not planned(image({"openssl": "unknown"}), NEW).changes

    def test_without_the_index(self) -> None:
        assert not planned(image(), None).changes
        changed = V23.model_copy(update={"user": "admin"})
        assert reason(image(), None, changed) == "revision r1: user changed in the profile"

    def test_where_nobody_knows_what_is_installed(self) -> None:
        adopted = held(V23, "3.23.6", adopted=True)
        assert not planned(adopted, NEW).changes
        assert not planned(image(None), NEW).changes

    def test_where_the_profile_fixes_the_revision(self) -> None:
        assert reason(image(), NEW, V23.model_copy(update={"revision": 0})) is None

    def test_where_the_index_is_of_another_release(self) -> None:
        assert not planned(image(), {**NEW, "alpine_base": "3.23.7-r0"}).changes
        pinned = V23.model_copy(update={"release": "3.23.5"})
        before = held(pinned, "3.23.5", installed={**OLD, "alpine-base": "3.23.5-r0"})
        assert not planned(before, {**NEW, "alpine_base": "3.23.6-r0"}, pinned).changes

    def test_for_a_superseded_release(self) -> None:
        images = ledger(image(), held(V23, "3.23.7", installed=NEW))
        plan = plan_of([V23], upstream("3.23.7"), images, offers={V23.name: offer(**NEW)})
        assert set(outcome(plan).values()) == {"keep"}


def test_a_pinned_release_gets_the_newer_packages_of_its_own() -> None:
    pinned = V23.model_copy(update={"release": "3.23.6"})
    assert reason(image(), {**NEW, "alpine_base": "3.23.6-r1"}, pinned) == WHY


def test_edge_gets_them_within_a_day() -> None:
    edge = build("edge", "edge", rebuild_on="packages")
    today = held(edge, "edge-20261123", installed={**OLD, "alpine-base": "3.24.0_alpha20261101-r0"})
    newer = offer(**NEW, alpine_base="3.24.0_alpha20261120-r0")
    (step,) = plan_of([edge], UP, ledger(today), offers={"edge": newer}).of(Action.BUILD)
    told = "alpine-base 3.24.0_alpha20261101-r0 → 3.24.0_alpha20261120-r0, openssl 3.5.8-r0 → 3.5.9-r0"
    assert step.reason == f"revision r1: {told}"


class TestSettles:
    def test_once_the_newer_package_is_installed(self) -> None:
        assert reason(built(planned(image(), NEW), NEW), NEW) is None

    def test_where_apk_can_not_install_it(self) -> None:
        same = built(planned(image(), NEW), OLD)
        assert reason(same, NEW) is None
        assert reason(same, OLD | {"openssl": "3.5.10-r0"}) == "revision r2: openssl 3.5.8-r0 → 3.5.10-r0"

    def test_for_a_week_since_the_build_vms_mirror_may_only_have_lagged_behind(self) -> None:
        same = built(planned(image(), NEW), OLD)
        assert reason(aged(same, 6), NEW) is None
        assert reason(aged(same, 7), NEW) == "revision r2: openssl 3.5.8-r0 → 3.5.9-r0"
        assert reason(built(planned(aged(same, 7), NEW), NEW), NEW) is None

    def test_for_two_offers_in_a_row(self) -> None:
        first = built(planned(image(), NEW), OLD)
        second = built(planned(first, {**NEW, "zlib": "1.4-r0"}), OLD | {"zlib": "1.4-r0"})
        assert reason(second, {**NEW, "zlib": "1.4-r0"}) is None
        assert reason(second, NEW) is None, "a mirror that lags behind"

    def test_where_mirrors_take_turns_in_being_behind(self) -> None:
        newest = OLD | {"openssl": "3.5.10-r0"}
        same = built(planned(built(planned(image(), NEW), OLD), newest), OLD)
        assert reason(same, NEW) is None
        assert reason(same, newest) is None

    def test_for_a_new_release_that_the_offer_was_there_for(self) -> None:
        before = image()
        plan = plan_of([V23], upstream("3.23.7"), ledger(before), offers={V23.name: offer(**NEW)})
        assert {step.image.offered for step in plan.of(Action.BUILD) if isinstance(step.image, PlannedImage)} == {
            ("openssl=3.5.9-r0",)
        }


def test_an_interrupted_runs_image_is_taken_in_and_asked_again() -> None:
    before, orphan = image(), held(V23, "3.23.6", 1, installed=OLD)
    there = account(before, seen(orphan))
    plan = plan_of([V23], UP, ledger(before), offers={V23.name: offer(**NEW)}, account=there)
    assert outcome(plan)[NAME.format(1)] == "adopt"
    assert reason(built(plan, OLD), NEW) == "revision r2: openssl 3.5.8-r0 → 3.5.9-r0"


INSTALLS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(("1-r0", "2-r0", "10-r0")))
OFFERED = st.lists(st.builds("{}={}".format, st.sampled_from("abcd"), st.sampled_from(("2-r0", "10-r0"))), max_size=2)


@given(INSTALLS, OFFERED, INSTALLS, st.sets(st.sampled_from("abcd")))
def test_one_build_settles_an_offer_whatever_of_it_apk_installs(
    installed: dict[str, str], offered: list[str], versions: dict[str, str], taken: set[str]
) -> None:
    first = planned(image(installed, *offered), versions)
    if first.of(Action.BUILD):
        now = {name: versions.get(name, version) if name in taken else version for name, version in installed.items()}
        assert reason(built(first, now), versions) is None


@example({"a": "1-r0", "b": "1-r0"}, [{"a": "2-r0"}, {"b": "2-r0"}])
@given(INSTALLS, st.lists(INSTALLS, min_size=1, max_size=4))
def test_where_apk_installs_nothing_newer_there_are_no_more_builds_than_offers(
    installed: dict[str, str], offers: list[dict[str, str]]
) -> None:
    """Whatever the order in which offers come and go, and come again."""
    now, builds = image(installed), 0
    for versions in offers * 3:
        plan = planned(now, versions)
        if plan.of(Action.BUILD):
            builds += 1
            now = built(plan, installed)
    assert not planned(now, offers[-1]).changes
    assert builds <= len(offers)


@given(INSTALLS, INSTALLS)
def test_every_newer_version_of_an_installed_package_is_asked_for(
    installed: dict[str, str], versions: dict[str, str]
) -> None:
    order = ("1-r0", "2-r0", "10-r0")
    newer = {
        name
        for name, each in versions.items()
        if name in installed and order.index(each) > order.index(installed[name])
    }
    assert (reason(image(installed), versions) is not None) == bool(newer)
