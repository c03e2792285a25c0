"""How layers become one: later wins, maps merge by key, null or false takes an entry away.

Removed entries stay as null or false until all layers are merged, so that nothing of a map shows through that a layer
between took away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omi.profile.tree import Tree


def merge(*layers: Tree) -> Tree:
    """All layers, the lowest first."""
    below, *others = layers
    for above in others:
        below = Tree(_over(below.values, above.values), {**below.places, **above.places})
    return below


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def removes(value: object) -> bool:
    """Whether it takes an entry away."""
    return value is None or value is False


def kept(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that were not taken away, sorted by key; a map in it that is left empty goes as well."""
    left = {key: kept(value) if isinstance(value, dict) else value for key, value in sorted(values.items())}
    return {key: value for key, value in left.items() if not removes(value) and value != {}}
