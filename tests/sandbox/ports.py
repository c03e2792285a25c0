"""Ports for the sandboxes of a test process, which no other process of the tests is given."""

from __future__ import annotations

import socket
from functools import cache
from itertools import count

HOST = "127.0.0.1"
_FIRST, _BLOCKS, _EACH = 7600, 120, 200
"""Blocks of ports, one for a process; all below 32768, from which on the system gives any to whoever connects."""
_IN_A_ROW = 4
"""What a sandbox listens on."""
_turns = count()


def free_base_port() -> int:
    """The first of four ports in a row that nobody listens on.

    A sandbox listens only a while after it was told its ports: two processes that look at the same time must not find
    the same.
    """
    first = _own_block().getsockname()[1]
    for _ in range(_EACH):
        base = first + 1 + next(_turns) * _IN_A_ROW % (_EACH - _IN_A_ROW)
        if all(_is_free(base + offset) for offset in range(_IN_A_ROW)):
            return int(base)
    raise RuntimeError(f"no four free ports in a row between {first} and {first + _EACH}")


@cache
def _own_block() -> socket.socket:
    """Holds the first port of a block, and so the block, until the process ends."""
    for number in range(_BLOCKS):
        holder = socket.socket()
        try:
            holder.bind((HOST, _FIRST + number * _EACH))
        except OSError:
            holder.close()
            continue
        return holder
    raise RuntimeError(f"{_BLOCKS} test processes hold their ports already")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
