"""How layers become one: later wins, maps merge by key, null or false takes an entry away.

Removed entries stay in the tree as null or false until it is read (omi.profile.resolve), and a map over something that
was taken away is marked fresh, so that merging is associative: layers may be merged in any grouping.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce

from omi.profile.tree import Leaf, Node, Table


def merge(below: Node, above: Node) -> Node:
    """`above` over `below`."""
    if not isinstance(above, Table):
        return above
    if not isinstance(below, Table):
        return replace(above, fresh=True)
    if above.fresh:
        return above
    entries = dict(below.entries)
    for key, node in above.entries.items():
        entries[key] = merge(entries[key], node) if key in entries else node
    return Table(entries, above.source, below.fresh)


def merge_tables(layers: Iterable[Table]) -> Table:
    """All layers, the lowest first; there is at least one."""

    def over(below: Table, above: Table) -> Table:
        merged = merge(below, above)
        return merged if isinstance(merged, Table) else above

    return reduce(over, layers)


def kept(table: Table) -> dict[str, Node]:
    """The entries that were not taken away, sorted by key."""
    return {key: node for key, node in sorted(table.entries.items()) if not (isinstance(node, Leaf) and node.removes)}
