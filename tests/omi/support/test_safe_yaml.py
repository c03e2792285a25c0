"""YAML is read in one place, as values, within limits."""

from __future__ import annotations

import ast
from datetime import date
from pathlib import Path

import pytest

from omi.support import safe_yaml
from omi.support.safe_yaml import YamlError, compose, read_texts, read_values

TOP = Path(__file__).resolve().parents[3]
LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)
)


def test_values_have_types_and_texts_are_as_written() -> None:
    assert read_values("a: 3.20\nb: [2027-01-02, true, null]") == {"a": 3.2, "b": [date(2027, 1, 2), True, None]}
    assert read_texts("a: 3.20\nb: [2027-01-02, true]") == {"a": "3.20", "b": ["2027-01-02", "true"]}
    assert read_values("") is None


def test_an_alias_is_read_while_little_grows_of_it() -> None:
    assert read_values("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("read", [read_values, read_texts, compose])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "more than 4000000 values"),
        ("[" * 41 + "]" * 41, "more than 40 levels"),
        ("- " * 41 + "x", "more than 40 levels"),
        ("[" * 100_000, "nest"),
        ("a: 1\nb: 2\na: 3", "'a' twice; keep one (line 3)"),
        ("x: {a: 1, 'a': 2}", "'a' twice"),
        ("a: [", "is not YAML"),
        ("a: *nothing", "is not YAML"),
        ("a: 1\n---\nb: 2", "is not YAML: a file holds one document; remove this --- and join the two (line 2)"),
    ],
)  # fmt: skip
def test_too_much_of_it_is_refused_in_a_line(read: object, text: str, said: str) -> None:
    assert callable(read)
    with pytest.raises(YamlError) as raised:
        read(text)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.getcwd []",
        "!!python/name:os.system",
        "a: !own x",
        "!!int ''",
        "!!float ''",
        "!!timestamp x",
        "2027-02-30",
        "[{[]: 1}]",
    ],
)
def test_a_tag_or_word_that_makes_no_plain_value_is_refused(text: str) -> None:
    with pytest.raises(YamlError, match="is not YAML"):
        read_values(text)


def test_a_longer_text_than_allowed_is_refused_before_it_is_read() -> None:
    with pytest.raises(YamlError, match="longer than 10 characters"):
        read_values("a: [" * 3, longest=10)


def test_nothing_else_reads_yaml() -> None:
    allowed = {safe_yaml.__file__}
    users = {}
    for path in [*(TOP / "omi").rglob("*.py"), *(TOP / "components").rglob("*.py"), TOP / "__main__.py"]:
        calls = [
            node.attr
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "yaml"
        ]
        users[str(path)] = {
            name for name in calls if name.endswith("Loader") or name.split("_")[-1] in ("load", "compose", "parse")
        }
    assert {path for path, calls in users.items() if calls} <= allowed
