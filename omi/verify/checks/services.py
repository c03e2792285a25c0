"""What the image runs."""

from __future__ import annotations

from collections.abc import Iterator

from omi.verify.facts import Expected, Facts


def check_services(facts: Facts, expected: Expected) -> Iterator[str]:
    """Every service of the profile runs, and none has crashed."""
    states: dict[tuple[str, str], str] = {}
    for line in facts.values.get("service", ()):
        level, _, rest = line.partition(" ")
        name, _, state = rest.partition(" ")
        states[level, name] = state
    for level, names in expected.build.services.items():
        if level == "shutdown":
            continue  # they start when the machine goes down
        for name in names:
            state = states.get((level, name), "not in the runlevel")
            if state != "started":
                yield f"service {name} ({level}) is {state}"
    for name in facts.values.get("crashed", ()):
        yield f"service {name} has crashed"
