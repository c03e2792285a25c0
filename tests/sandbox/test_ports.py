"""Test processes that look for ports at the same time find different ones."""

from __future__ import annotations

import subprocess
import sys

from tests.sandbox.ports import free_base_port

_LOOK = "from tests.sandbox.ports import free_base_port; print(free_base_port(), flush=True); input()"


def test_processes_that_look_at_the_same_time_find_different_ports() -> None:
    others = [
        subprocess.Popen([sys.executable, "-c", _LOOK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    try:
        found = [free_base_port(), *(int(other.stdout.readline()) for other in others if other.stdout)]
    finally:
        for other in others:
            other.communicate("\n")
    ranges = [set(range(base, base + 4)) for base in found]
    assert len(set().union(*ranges)) == 4 * len(found)


def test_one_process_is_not_given_the_same_ports_twice_in_a_row() -> None:
    bases = [free_base_port() for _ in range(10)]
    assert len({port for base in bases for port in range(base, base + 4)}) == 40
