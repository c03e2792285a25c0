"""Reasons are data until they are shown."""

from __future__ import annotations

from omi.plan.reasons import Because

PINNED = Because.CURRENT_PINNED_REVISION(revision=2)
WAITS = Because.TOO_MANY(then=PINNED.also(Because.MADE_BY_KEPT(maker="someone else")))


def test_words_name_values_lists_and_further_reasons() -> None:
    assert (
        str(Because.NOT_IN_RUN(action="build", builds=("a", "b")))
        == "not in this run, which is about the build of a, b"
    )
    assert str(WAITS) == (
        "waits, since too many would go at once: current, pinned to revision r2; made by someone else, so never changed"
    )


def test_one_reason_is_replaced_wherever_it_is() -> None:
    as_in = Because.CURRENT_AS_IN(region="eu-west-2")
    assert PINNED.replacing(Because.CURRENT_PINNED_REVISION, as_in) == as_in
    replaced = WAITS.also(PINNED).replacing(Because.CURRENT_PINNED_REVISION, as_in)
    assert replaced == Because.TOO_MANY(then=as_in.also(Because.MADE_BY_KEPT(maker="someone else"))).also(as_in)


def test_further_reasons_lie_side_by_side() -> None:
    assert PINNED.also(PINNED.also(PINNED)).parts == (PINNED, PINNED, PINNED)
