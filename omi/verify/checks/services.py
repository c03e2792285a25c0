"""The image's services."""

from __future__ import annotations

from collections.abc import Iterator

from omi.profile.resolve import bootstrap_services
from omi.verify.facts import Expected, Facts


def check_services(facts: Facts, expected: Expected) -> Iterator[str]:
    """Every service of the profile runs or waits for the shutdown, none has crashed, and there are no others."""
    settled, _, seconds = facts.one("settled").partition(" ")
    if settled != "yes":
        waited = f"{seconds or 'an unknown number of'} s (cloud.limits.settle)"
        yield f"OpenRC has not started the whole runlevel default after {waited}"
    states: dict[tuple[str, str], str] = {}
    for line in facts.values.get("service", ()):
        level, _, rest = line.partition(" ")
        name, _, state = rest.partition(" ")
        states[level, name] = state
    wanted: set[tuple[str, str]] = {(level, name) for level, name in bootstrap_services(expected.build)}
    for level, names in expected.build.services.items():
        wanted |= {(level, name) for name in names}
        good = "stopped" if level == "shutdown" else "started"  # the former start when the machine goes down
        for name in names:
            state = states.get((level, name), "not in the runlevel")
            if state != good:
                yield f"service {name} ({level}) is {state}"
    for level, name in sorted(set(states) - wanted):
        yield f"service {name} ({level}) is not the profile's: name it in services"
    if facts.one("crashes_seen") != "yes" and facts.one("become") != "nobody":
        yield "whether services have crashed could not be read"
    for name in facts.values.get("crashed", ()):
        yield f"service {name} has crashed"
