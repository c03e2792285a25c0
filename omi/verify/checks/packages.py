"""The packages that the profile asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from omi.profile.content import package_lines
from omi.verify.facts import Expected, Facts


def check_packages(facts: Facts, expected: Expected) -> Iterator[str]:
    """apk was asked for exactly the profile's packages, and has none that these don't need."""
    wanted, world = map(_as_apk_writes, (package_lines(expected.build), facts.values.get("world", ())))
    for line in sorted(world - wanted):
        yield f"the package {line} is not the profile's (/etc/apk/world): name it in packages"
    for line in sorted(wanted - world):
        yield f"the package {line} of the profile is not in /etc/apk/world"
    if facts.one("solved") != "yes":
        why = " ".join(facts.values.get("solved", ("nothing was said",)))
        yield f"apk can't work out which packages are needed: {why}"
    for name in facts.values.get("unneeded", ()):
        yield f"the package {name} is installed, but neither asked for nor needed"


def _as_apk_writes(lines: Iterable[str]) -> set[str]:
    """The dependency as apk writes it: it also reads `a=~1` and `a~=1`, and writes `a~1`."""
    return {re.sub("[<>=~]+", lambda signs: _sign(signs[0]), line) for line in lines}


def _sign(signs: str) -> str:
    return "".join(sign for sign in "<>~=" if sign in signs and not (sign == "=" and "~" in signs))
