"""Test processes that look for ports at the same time find different ones."""

from __future__ import annotations

from tests.e2e.conftest import free_ports


def test_each_test_process_has_ports_of_its_own() -> None:
    found = [free_ports(f"gw{number}") for number in range(8)]
    taken = {base + offset for base in found for offset in range(4)}
    assert len(taken) == 4 * len(found)
