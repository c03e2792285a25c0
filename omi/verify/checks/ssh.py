"""SSH, as far as it is seen from inside."""

from __future__ import annotations

from collections.abc import Iterator

from omi.verify.facts import Expected, Facts

_CLOCK = 120  # seconds that the boot time, computed from the clock, may be off


def check_host_keys(facts: Facts, _expected: Expected) -> Iterator[str]:
    """There is a host key, and this boot made it."""
    keys = facts.values.get("host_key", ())
    if not keys:
        yield "there is no SSH host key"
    for line in keys:
        name, _, made = line.partition(" ")
        if not made.isdecimal() or int(made) < facts.number("booted") - _CLOCK:
            yield f"the host key {name} is older than this boot: it comes from the build"
