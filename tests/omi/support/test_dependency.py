"""Which versions a dependency accepts."""

from __future__ import annotations

import pytest

from omi.support.dependency import read_dependency


@pytest.mark.parametrize(
    ("dependency", "yes", "no"),
    [
        ("a", ["1-r0", None], []),
        ("a=1.2-r0", ["1.2-r0", None], ["1.2-r1", "1.2"]),
        ("a~1.2", ["1.2-r9", "1.2.9-r0", "1.2_p1"], ["1.3-r0", "1.20-r0"]),
        ("a~=1.2", ["1.2.3-r0"], ["1.3-r0"]),
        ("a>1.2", ["1.2.1", "1.3", "1.2-r0"], ["1.2", "1.1"]),
        ("a>=1.2", ["1.2", "1.10"], ["1.2_rc1", "1.1"]),
        ("a<1.2", ["1.1", "1.2_rc1"], ["1.2", "1.10"]),
        ("a<=1.2", ["1.2", "0.9"], ["1.2-r1"]),
        ("!a", [], ["1-r0", None]),
        ("!a<2", ["2-r0", "3"], ["1-r0", None]),
        ("a@edge>1", ["2"], ["1"]),
    ],
)
def test_what_a_dependency_takes(dependency: str, yes: list[str | None], no: list[str | None]) -> None:
    read = read_dependency(dependency)
    assert all(read.accepts(version) for version in yes)
    assert not any(read.accepts(version) for version in no)


@pytest.mark.parametrize("text", ["", "a=", "=1", "a>>>b", "a=1=2", "a=x", "!!a", "a@"])
def test_what_is_no_dependency(text: str) -> None:
    with pytest.raises(ValueError, match="not a dependency"):
        read_dependency(text)
