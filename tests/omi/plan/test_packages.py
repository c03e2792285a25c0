"""New revisions for other versions of the packages: when, why, and when not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omi.apkindex.selection import Selection
from omi.image import ImageRecord, ImageSpec
from omi.ledger import LedgerImage
from omi.plan import Action, Plan, PlannedImage
from omi.profile.model import Build
from tests.omi.plan.make import account, after, build, held, ledger, outcome, plan_of, seen, step_of, upstream

V23 = build(rebuild_on="packages")
UP = upstream("3.23.6")
OLD = Selection({"openssl": "3.5.8-r0", "zlib": "1.3-r0"})
NEW = Selection({"openssl": "3.5.9-r0", "zlib": "1.3-r0"})
NAME = "alpine-v3_23-3.23.6-x86_64-r{}"


def planned(image: LedgerImage, offered: Selection | None, of: Build = V23) -> Plan:
    return plan_of([of], UP, ledger(image), packages={of.name: offered} if offered else {})


def reason(image: LedgerImage, offered: Selection | None, of: Build = V23) -> str | None:
    """Why the next revision is built, None where none is."""
    built = [step.reason for step in planned(image, offered, of).of(Action.BUILD)]
    return built[0] if built else None


def image(packages: Selection | None = OLD, installed: Selection | None = None, **values: bool) -> LedgerImage:
    lines = [each.lines if each else None for each in (packages, installed)]
    return held(V23, "3.23.6", packages=lines[0], installed=lines[1], **values)


def test_another_version_makes_the_next_revision_and_is_told() -> None:
    step = step_of(planned(image(), NEW), NAME.format(1))
    assert (step.action, step.reason) == (Action.BUILD, "revision r1: openssl 3.5.8-r0 → 3.5.9-r0")
    assert isinstance(step.image, PlannedImage)
    assert step.image.packages == NEW.lines
    assert step.image.digest != image().spec.digest


def test_the_same_versions_change_nothing() -> None:
    assert not planned(image(), OLD).changes


def test_first_image_knows_its_packages() -> None:
    (step,) = plan_of([V23], UP, ledger(), packages={V23.name: NEW}).steps
    assert isinstance(step.image, PlannedImage)
    assert step.image.packages == NEW.lines


class TestWithoutTheIndex:
    def test_what_the_ledger_has_counts(self) -> None:
        assert not planned(image(), None).changes

    def test_other_content_is_still_built(self) -> None:
        changed = V23.model_copy(update={"user": "admin"})
        assert reason(image(), None, changed) == "revision r1: user changed in the profile"

    def test_an_image_that_was_planned_without_is_compared_by_what_was_installed(self) -> None:
        assert reason(image(None, OLD), OLD) is None
        assert reason(image(None, OLD), NEW) == "revision r1: openssl 3.5.8-r0 → 3.5.9-r0"


class TestSettles:
    def test_when_the_mirror_moved_before_the_build(self) -> None:
        assert reason(image(OLD, NEW), NEW) is None

    def test_when_apk_chose_otherwise_than_was_worked_out(self) -> None:
        other = Selection({**OLD.versions, "extra": "1-r0"})
        assert reason(image(OLD, other), OLD) is None
        assert reason(image(OLD, other), NEW) == "revision r1: openssl 3.5.8-r0 → 3.5.9-r0"

    def test_what_the_image_really_holds_is_told_as_before(self) -> None:
        newest = Selection({**OLD.versions, "openssl": "3.5.10-r0"})
        assert reason(image(OLD, NEW), newest) == "revision r1: openssl 3.5.9-r0 → 3.5.10-r0"

    def test_after_the_update(self) -> None:
        first = planned(image(), NEW)
        assert not plan_of([V23], UP, after(first), packages={V23.name: NEW}).changes

    def test_a_mirror_that_lags_behind_builds_nothing(self) -> None:
        step = step_of(planned(image(NEW), OLD), NAME.format(0))
        assert step.action is Action.KEEP
        assert step.reason == "current; the mirror offers only older packages: openssl 3.5.9-r0 → 3.5.8-r0"


class TestWhetherItCounts:
    def test_turning_it_on_asks_for_one_image_whose_packages_are_known(self) -> None:
        assert reason(image(None), OLD) == "revision r1: the versions of its packages are not recorded yet"

    def test_turning_it_off_builds_nothing(self) -> None:
        assert not planned(image(), None, V23.model_copy(update={"rebuild_on": "content"})).changes

    def test_another_hands_image_is_not_replaced_for_what_it_never_told(self) -> None:
        assert reason(image(None, adopted=True), OLD) is None

    def test_an_index_of_another_release_says_nothing(self) -> None:
        ahead = Selection({**NEW.versions, "alpine-base": "3.23.7-r0"})
        assert not planned(image(), ahead).changes
        pinned = V23.model_copy(update={"release": "3.23.5"})
        before = held(pinned, "3.23.5", packages=OLD.lines)
        assert not planned(before, Selection({**NEW.versions, "alpine-base": "3.23.6-r0"}), pinned).changes

    def test_a_pinned_revision_stays(self) -> None:
        assert reason(image(), NEW, V23.model_copy(update={"revision": 0})) is None

    def test_a_superseded_release_is_never_built_again(self) -> None:
        plan = plan_of(
            [V23],
            upstream("3.23.7"),
            ledger(image(), held(V23, "3.23.7", packages=NEW.lines)),
            packages={V23.name: NEW},
        )
        assert set(outcome(plan).values()) == {"keep"}

    def test_an_interrupted_runs_image_is_adopted_only_with_the_same_packages(self) -> None:
        orphan = seen(held(V23, "3.23.6", 1, packages=NEW.lines))
        for offered, action in ((NEW, "adopt"), (Selection({"openssl": "4-r0"}), "build")):
            held_image = image()
            plan = plan_of(
                [V23], UP, ledger(held_image), packages={V23.name: offered}, account=account(held_image, orphan)
            )
            assert action in outcome(plan).values()


class TestWords:
    def test_packages_of_one_source_are_told_as_one(self) -> None:
        names = ("libcrypto3", "libssl3")
        old = Selection(dict.fromkeys(names, "3.5.8-r0"))
        new = Selection(dict.fromkeys(names, "3.5.9-r0"), dict.fromkeys(names, "openssl"))
        assert reason(image(old), new) == "revision r1: openssl 3.5.8-r0 → 3.5.9-r0"

    def test_one_alone_keeps_its_name(self) -> None:
        new = Selection({"linux-virt": "6.19-r0"}, {"linux-virt": "linux-lts"})
        assert reason(image(Selection({"linux-virt": "6.18-r0"})), new) == "revision r1: linux-virt 6.18-r0 → 6.19-r0"

    def test_what_comes_and_goes(self) -> None:
        new = Selection({"openssl": "3.5.8-r0", "zlib-ng": "2-r0"})
        assert reason(image(), new) == "revision r1: +zlib-ng 2-r0, -zlib"

    def test_more_than_four_are_counted(self) -> None:
        old, new = ({f"p{number}": version for number in range(7)} for version in ("1-r0", "2-r0"))
        told = reason(image(Selection(old)), Selection(new))
        assert told == "revision r1: " + ", ".join(f"p{n} 1-r0 → 2-r0" for n in range(4)) + " and 3 more"

    def test_both_kinds_of_change_are_told(self) -> None:
        changed = V23.model_copy(update={"user": "admin"})
        told = reason(image(), NEW, changed)
        assert told == "revision r1: user changed in the profile; openssl 3.5.8-r0 → 3.5.9-r0"


SELECTIONS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(("1-r0", "2-r0", "10-r0"))).map(Selection)


@given(st.none() | SELECTIONS, st.none() | SELECTIONS, SELECTIONS, SELECTIONS)
def test_whatever_apk_installs_a_built_image_is_settled(
    packages: Selection | None, installed: Selection | None, offered: Selection, then: Selection
) -> None:
    """Neither the plan's own view nor what the mirror had moved on to by the time of the build asks for another."""
    first = planned(image(packages, installed), offered)
    made = after(first).images[-1]
    made = replace(made, record=made.record.model_copy(update={"installed": then.lines}))
    if first.of(Action.BUILD):
        assert reason(made, offered) is None
        assert reason(made, then) is None
    assert reason(made, None) is None


@pytest.mark.parametrize("packages", [None, OLD])
def test_state_is_written_as_before_where_packages_are_not_used(packages: Selection | None) -> None:
    """An earlier version refuses keys that it doesn't know."""
    kept = held(
        build(rebuild_on="packages" if packages else "content"), "3.23.6", packages=packages.lines if packages else None
    )
    text = kept.spec.to_json()
    assert ImageSpec.from_json(text, "here") == kept.spec
    assert ('"packages":[' in text, "rebuild_on" in text) == (packages is not None, packages is not None)
    assert ImageRecord.from_json(kept.record.to_json(), "here") == kept.record
    assert "installed" not in kept.record.to_json()
