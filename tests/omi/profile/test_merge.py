"""Laws of merging, for any layers."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from omi.profile.layers import kept, merge
from omi.profile.tree import Place, Tree, parse_tree

KEYS = st.sampled_from("abcd")
VALUES = st.recursive(
    st.sampled_from([True, False, None, "tag", "other"]),
    lambda inner: st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
MAPS = st.dictionaries(KEYS, VALUES, max_size=4)


def merged(*layers: dict[str, Any]) -> dict[str, Any]:
    return dict(merge(*(Tree(layer, {(): Place("any.yaml", 1)}) for layer in layers)).values)


@given(MAPS)
def test_an_empty_layer_changes_nothing(a: dict[str, Any]) -> None:
    assert merged(a, {}) == merged({}, a) == a


@given(MAPS)
def test_a_layer_over_itself_changes_nothing(a: dict[str, Any]) -> None:
    assert merged(a, a) == a


@given(MAPS, MAPS)
def test_the_later_layer_wins_and_nothing_else_is_lost(a: dict[str, Any], b: dict[str, Any]) -> None:
    both = merged(a, b)
    for key, value in b.items():
        if not isinstance(value, dict):
            assert both[key] == value
    for key, value in a.items():
        if key not in b:
            assert both[key] == value
    assert set(both) == set(a) | set(b)


@given(MAPS, KEYS, st.sampled_from([None, False]), st.sampled_from([True, "tag"]))
def test_null_and_false_remove_and_a_value_brings_back(below: dict[str, Any], key: str, off: Any, on: Any) -> None:
    assert key not in kept(merged(below, {key: off}))
    assert kept(merged(below, {key: off}, {key: on}))[key] == on


@given(MAPS, MAPS, KEYS)
def test_a_map_after_null_starts_anew(below: dict[str, Any], fresh: dict[str, Any], key: str) -> None:
    assert merged(below, {key: None}, {key: fresh})[key] == fresh


def test_each_value_keeps_the_place_of_the_layer_that_set_it() -> None:
    low = parse_tree("a: {x: 1, y: 2}\nb: 3", "low.yaml")
    high = parse_tree("\na:\n  y: 4", "high.yaml")
    both = merge(low, high)
    assert [(both.place(*path).file, both.place(*path).line) for path in (("a", "x"), ("a", "y"), ("b",), ("c",))] == [
        ("low.yaml", 1),
        ("high.yaml", 3),
        ("low.yaml", 2),
        ("high.yaml", 2),
    ]


@given(st.lists(MAPS, min_size=1, max_size=4), st.randoms())
def test_the_order_of_keys_never_matters(layers: list[dict[str, Any]], random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        items = list(value.items())
        random.shuffle(items)
        return {key: shuffled(inner) for key, inner in items}

    assert json.dumps(kept(merged(*layers))) == json.dumps(kept(merged(*map(shuffled, layers))))
