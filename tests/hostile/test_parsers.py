"""Whatever someone else wrote is read, or refused in one line; never another exception."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.strategies import inputs
from tests.hostile.targets import TARGETS, check
from tests.omi.examples import EXAMPLES

many = settings(
    max_examples=EXAMPLES // 2,
    deadline=None,
    derandomize="OMI_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", TARGETS)
def test_what_it_usually_reads_is_read(name: str) -> None:
    """Else the rest of this module would try nothing but refusals."""
    target = TARGETS[name]
    assert check(target, target.seeds[0]) is None


@pytest.mark.parametrize("name", TARGETS)
@many
@given(data=st.data())
def test_anything_is_a_value_or_one_line(name: str, data: st.DataObject) -> None:
    check(TARGETS[name], data.draw(inputs(TARGETS[name])))
