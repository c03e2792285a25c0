"""Laws of merging, for any layers."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from omi.profile.merge import kept, merge, merge_tables
from omi.profile.tree import Leaf, Node, Source, Table, plain

SOURCE = Source("any.yaml", 1)


def tree(value: Any) -> Node:
    if isinstance(value, dict):
        return Table({key: tree(inner) for key, inner in value.items()}, SOURCE)
    return Leaf(value, str(value), SOURCE)


KEYS = st.sampled_from("abcd")
VALUES = st.recursive(
    st.sampled_from([True, False, None, "tag", "other"]),
    lambda inner: st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
NODES = VALUES.map(tree)
TABLES = st.dictionaries(KEYS, VALUES, max_size=4).map(tree)


@given(NODES, NODES, NODES)
def test_merging_may_be_grouped_in_any_way(a: Node, b: Node, c: Node) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(TABLES)
def test_an_empty_layer_changes_nothing(a: Node) -> None:
    empty = Table({}, SOURCE)
    assert merge(a, empty) == a
    assert plain(merge(empty, a)) == plain(a)


@given(TABLES)
def test_a_layer_over_itself_changes_nothing(a: Node) -> None:
    assert merge(a, a) == a


@given(TABLES, TABLES)
def test_the_later_layer_wins_and_nothing_else_is_lost(a: Node, b: Node) -> None:
    merged = merge(a, b)
    assert isinstance(a, Table)
    assert isinstance(b, Table)
    assert isinstance(merged, Table)
    for key, node in b.entries.items():
        if isinstance(node, Leaf):
            assert merged.entries[key] == node
    for key, node in a.entries.items():
        if key not in b.entries:
            assert merged.entries[key] == node
    assert set(merged.entries) == set(a.entries) | set(b.entries)


@given(TABLES, KEYS, st.sampled_from([None, False]), st.sampled_from([True, "tag"]))
def test_null_and_false_remove_and_a_value_brings_back(below: Node, key: str, off: Any, on: Any) -> None:
    removed = merge(below, tree({key: off}))
    assert isinstance(removed, Table)
    assert key not in kept(removed)
    again = merge(removed, tree({key: on}))
    assert isinstance(again, Table)
    assert plain(kept(again)[key]) == on


@given(TABLES, st.dictionaries(KEYS, VALUES, max_size=3), KEYS)
def test_a_map_after_null_starts_anew(below: Node, fresh: dict[str, Any], key: str) -> None:
    merged = merge(merge(below, tree({key: None})), tree({key: fresh}))
    assert isinstance(merged, Table)
    assert plain(merged.entries[key]) == fresh


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=4), st.randoms())
def test_the_order_of_keys_never_matters(layers: list[dict[str, Any]], random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        items = list(value.items())
        random.shuffle(items)
        return {key: shuffled(inner) for key, inner in items}

    def merged(values: list[dict[str, Any]]) -> list[str]:
        tables = [node for node in map(tree, values) if isinstance(node, Table)]
        return [f"{key}: {sorted_plain(node)}" for key, node in kept(merge_tables(tables)).items()]

    assert merged(layers) == merged([shuffled(layer) for layer in layers])


def sorted_plain(node: Node) -> Any:
    value = plain(node)

    def ordered(inner: Any) -> Any:
        return sorted((key, str(ordered(item))) for key, item in inner.items()) if isinstance(inner, dict) else inner

    return ordered(value)
