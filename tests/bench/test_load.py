"""Builds at once in an account that may send few requests a second, small."""

from __future__ import annotations

import pytest

from bench import load

pytestmark = pytest.mark.slow


def test_builds_at_once_are_counted_with_and_without_a_limit() -> None:
    free, limited = load.measure(2, 5.0, load.QUOTAS)
    assert free.refused == 0
    assert min(free.seconds, limited.seconds) > 0
    assert free.served["oapi CreateImage"] == limited.served["oapi CreateImage"] >= 2
    assert "2 builds at once, none lost" in load.report(2, 5.0, free, limited)
