"""A signing key that Alpine has given up counts no more, and makes a revision only where an image holds it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest

from omi.config.settings import Retention
from omi.plan import Plan, PlanInput, PlannedImage, make_plan
from omi.plan.keys import trust_keys
from omi.profile.model import Target
from omi.state.ledger import Ledger, LedgerImage
from omi.support.errors import ProfileError
from omi.upstream.model import Upstream
from tests.omi.plan.make import FAR, TODAY, applied, build, ledger, outcome, step_of, upstream

OLD, NEW = "old.rsa.pub", "new.rsa.pub"
YESTERDAY = TODAY - timedelta(days=1)
BOTH = build(keys={OLD: "old", NEW: "new"})
NAME, NEXT = (BOTH.image_name("3.23.6", revision) for revision in (0, 1))
UNREACHABLE = Upstream()


def told(since: date, *names: str, arch: str = "x86_64", stale: bool = False) -> Upstream:
    """Upstream, which says that these keys are deprecated."""
    known = upstream("3.23.6")
    branch = replace(known.branches[0], deprecated_keys={arch: dict.fromkeys(names, since)})
    return replace(known, branches=(branch,), stale=stale)


def digest(of: Target, _release: str) -> str:
    return f"sha256:{' '.join(sorted(of.keys))}"


def image(of: Target) -> LedgerImage:
    return applied(PlannedImage(of, "3.23.6", 0, digest(of, ""), of.end_of_life or FAR))


def plan(known: Upstream, images: Ledger, of: Target = BOTH, today: date = TODAY) -> Plan:
    trusted = trust_keys([of], known, images, today)
    return make_plan(PlanInput(trusted.builds, known, images, Retention(), today, digest))


def without_old() -> Target:
    return trust_keys([BOTH], told(YESTERDAY, OLD), ledger(), TODAY).builds[0]


def test_a_deprecated_key_is_dropped_and_said() -> None:
    trusted = trust_keys([BOTH, build("v3_22", "3.22", keys={NEW: "new"})], told(YESTERDAY, OLD), ledger(), TODAY)
    assert trusted.builds[0].keys == {NEW: "new"}
    assert trusted.builds[0].dropped_keys == {OLD: YESTERDAY}
    (warning,) = trusted.warnings
    assert warning.startswith(
        f"the signing key {OLD} is deprecated by Alpine since 2026-11-22 and not trusted for v3_23;"
    )


@pytest.mark.parametrize(
    "known",
    [
        told(TODAY + timedelta(days=1), OLD),
        told(YESTERDAY, "another.rsa.pub"),
        told(YESTERDAY, OLD, arch="aarch64"),
        upstream("3.22.6", "3.23.6"),
        UNREACHABLE,
    ],
    ids=["from tomorrow on", "another key", "of another arch", "nothing deprecated", "unreachable"],
)
def test_otherwise_a_build_stays_as_it_is(known: Upstream) -> None:
    trusted = trust_keys([BOTH], known, ledger(image(BOTH)), TODAY)
    assert trusted.builds == (BOTH,)
    assert trusted.warnings == ()


def test_a_day_that_has_come_counts() -> None:
    assert trust_keys([BOTH], told(TODAY, OLD), ledger(), TODAY).builds[0].dropped_keys == {OLD: TODAY}


def test_an_image_that_holds_the_key_is_built_anew_and_why_is_told() -> None:
    made = plan(told(YESTERDAY, OLD), ledger(image(BOTH)))
    assert outcome(made) == {NEXT: "build", NAME: "keep"}
    assert step_of(made, NEXT).reason == f"revision r1: the key {OLD} is deprecated by Alpine since 2026-11-22"
    planned = step_of(made, NEXT).image
    assert isinstance(planned, PlannedImage)
    assert planned.target.keys == {NEW: "new"}


def test_what_else_changed_is_told_beside_it() -> None:
    changed = BOTH.model_copy(update={"user": "me", "keys": {**BOTH.keys, "third.rsa.pub": "third"}})
    made = plan(told(YESTERDAY, OLD), ledger(image(BOTH)), changed)
    assert step_of(made, NEXT).reason == (
        "revision r1: user, keys (+third.rsa.pub) changed in the profile, "
        f"the key {OLD} is deprecated by Alpine since 2026-11-22"
    )


def test_an_image_that_never_held_it_stays() -> None:
    without = BOTH.model_copy(update={"keys": {NEW: "new"}})
    made = plan(told(YESTERDAY, OLD), ledger(image(without)))
    assert outcome(made) == {NAME: "keep"}


@pytest.mark.parametrize("known", [UNREACHABLE, told(YESTERDAY, stale=True)], ids=["unreachable", "stale"])
def test_the_ledger_remembers_while_upstream_says_nothing(known: Upstream) -> None:
    images = ledger(image(without_old()))
    assert trust_keys([BOTH], known, images, TODAY).builds[0].dropped_keys == {OLD: YESTERDAY}
    recorded = BOTH.model_copy(update={"recorded_release": "3.23.6"})
    assert outcome(plan(known, images, recorded)) == {NAME: "keep"}


def test_what_upstream_takes_back_counts_again() -> None:
    images = ledger(image(without_old()))
    assert trust_keys([BOTH], upstream("3.23.6"), images, TODAY).builds == (BOTH,)


NO_KEY = rf"v3_23: Alpine has deprecated every key .*{OLD} since 2026-11-22.*put the"


def test_a_build_with_no_key_left_waits_with_the_cure_and_holds_no_other_up() -> None:
    other = build("other", "3.24", prefix="other-", keys={"third.rsa.pub": "third"})
    known, more = told(YESTERDAY, OLD, NEW), upstream("3.24.2")
    known = replace(known, branches=(*known.branches, *more.branches), mirror={**known.mirror, **more.mirror})
    trusted = trust_keys([BOTH, other], known, ledger(image(BOTH)), TODAY)
    made = make_plan(PlanInput(trusted.builds, known, ledger(image(BOTH)), Retention(), TODAY, digest))
    assert outcome(made) == {NAME: "keep", "other-3.24.2-x86_64-r0": "build"}
    (refusal,) = made.refused
    assert re.match(NO_KEY, refusal)


def test_a_build_whose_index_nothing_vouches_for_waits_in_the_same_way() -> None:
    of, other = build(end_of_life=FAR), build("other", "3.24", prefix="other-", end_of_life=FAR)
    known, more = upstream("3.23.7"), upstream("3.24.2")
    known = replace(known, branches=(*known.branches, *more.branches), mirror={**known.mirror, **more.mirror})
    images = ledger(image(of))
    why = {"v3_23": "https://a/APKINDEX.tar.gz: is signed by x, which is not trusted"}
    made = make_plan(PlanInput([of, other], known, images, Retention(), TODAY, digest, untrusted=why))
    assert outcome(made) == {of.image_name("3.23.6", 0): "keep", "other-3.24.2-x86_64-r0": "build"}
    assert made.refused == (f"v3_23: {why['v3_23']}",)


def test_who_asks_for_a_build_with_no_key_left_is_told_at_once() -> None:
    known = told(YESTERDAY, OLD, NEW)
    trusted = trust_keys([BOTH], known, ledger(), TODAY)
    with pytest.raises(ProfileError, match=NO_KEY):
        make_plan(
            PlanInput(trusted.builds, known, ledger(), Retention(), TODAY, digest, asked=[trusted.builds[0].name])
        )


def test_a_version_past_its_end_of_life_needs_no_key() -> None:
    known = told(YESTERDAY, OLD, NEW)
    known = replace(known, branches=(replace(known.branches[0], end_of_life=YESTERDAY),))
    old = BOTH.model_copy(update={"end_of_life": YESTERDAY})
    assert outcome(plan(known, ledger(image(old)), old)) == {NAME: "keep"}
