"""The user who logs in, and root rights."""

from __future__ import annotations

from collections.abc import Iterator

from omi.verify.facts import Expected, Facts


def check_user(facts: Facts, expected: Expected) -> Iterator[str]:
    """The user becomes root only in the way that the profile sets, if any."""
    wanted = {"doas", "sudo"} & {expected.build.privileges}
    ways = set(facts.values.get("becomes_root", ()))
    for program in sorted(wanted - ways):
        yield f"the user can't become root by {program} without a password"
    for program in sorted(ways - wanted):
        yield f"the user becomes root by {program}, though privileges says {expected.build.privileges}"
    if not facts.one("become"):
        yield "whether the user becomes root could not be read"
    if not facts.one("groups"):
        yield "the user's groups could not be read"
    in_wheel = "wheel" in facts.one("groups").split()
    if wanted and facts.one("groups") and not in_wheel:
        yield "the user is not in the group wheel"
    if not wanted and in_wheel:
        yield f"the user is in the group wheel, though privileges says {expected.build.privileges}"
