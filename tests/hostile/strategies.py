"""Bytes that look like what a reader expects, and aren't quite."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.hostile.targets import Target

LONG_NUMBER = "1" * 5000
BREAKERS = (
    "\0", "\n", "\r", "\x1b[2J", "\x85", "\u2028", "\ufeff", "\u0663", "é", "\U0010ffff", "\\ud800",
    "${x}", "%{x}", "$(id)", "`id`", "../", "/", "'", '"', "\\", "{{x}}", "<<", "&a ", "*a",
    "!!python/object/apply:os.system ['id']", "!!int ", "!!timestamp x", "!!binary =", "!!float ", "!!set ",
    "!!omap ", "!!null ", "- ", "? ", "[", "]", "{", "}", ": ", "#", "|", ">", ",",
    LONG_NUMBER, "9" * 30, "-1", "0", "0x10", "1:30", "1e999", "NaN", ".inf", "null", "true", "~", "=", "@", "-", "",
    "2027-02-30", "2027-02-28", "edge", "<!DOCTYPE x [<!ENTITY a 'b'>]>", "&a;", "<item>", "</item>", "<![CDATA[",
    "]]>", "a" * 3000, "|x|", "<script>", "](x)",
)  # fmt: skip
"""What means something to YAML, JSON, XML, shells, paths, templates, Markdown or a terminal."""

_texts = st.sampled_from(BREAKERS) | st.text()
_scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | _texts
_values: st.SearchStrategy[Any] = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def edited(draw: st.DrawFn, seed: bytes) -> bytes:
    """A seed with a few pieces taken out, doubled or put in."""
    data = seed
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.integers(0, 40))
        new = draw(st.sampled_from(BREAKERS).map(str.encode) | st.binary(max_size=6))
        again = data[at : at + cut] if draw(st.booleans()) else b""
        data = data[:at] + new + again + data[at + (0 if again else cut) :]
    return data


@st.composite
def replaced(draw: st.DrawFn, seed: bytes) -> bytes:
    """A seed of JSON with one or two of its values, or a key, exchanged for anything else."""
    value = json.loads(seed)
    for _ in range(draw(st.integers(1, 2))):
        value = _exchange(draw, value)
    return json.dumps(value).encode()


def _exchange(draw: st.DrawFn, value: Any) -> Any:
    inside = draw(st.integers(0, 5)) > 0
    if isinstance(value, dict) and value and inside:
        key = draw(st.sampled_from(sorted(value)))
        match draw(st.integers(0, 8)):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {(draw(st.sampled_from(BREAKERS)) if k == key else k): v for k, v in value.items()}
            case _:
                return {**value, key: _exchange(draw, value[key])}
    if isinstance(value, list) and value and inside:
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], _exchange(draw, value[at]), *value[at + 1 :]]
    if isinstance(value, str) and draw(st.booleans()):
        at = draw(st.integers(0, len(value)))
        return value[:at] + draw(st.sampled_from(BREAKERS)) + value[at:]
    return draw(_values)


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """What to try on a target."""
    kinds: list[st.SearchStrategy[bytes]] = [st.sampled_from(target.seeds).flatmap(edited), st.binary(max_size=60)]
    if target.structured:
        json_seeds = [seed for seed in target.seeds if seed[:1] in b"{[" and _is_json(seed)]
        kinds.insert(0, st.sampled_from(json_seeds).flatmap(replaced))
    return st.one_of(kinds)


def _is_json(seed: bytes) -> bool:
    try:
        json.loads(seed)
    except ValueError:
        return False
    return True
