"""Release, kernel and user of the system."""

from __future__ import annotations

from collections.abc import Iterator

from omi.support.version import EDGE
from omi.verify.facts import Expected, Facts


def check_system(facts: Facts, expected: Expected) -> Iterator[str]:
    """Release, kernel and user."""
    yield from wrong_release(facts, expected.release, expected.build.version)
    kernel = facts.one("kernel")
    if not kernel.endswith(f"-{expected.build.kernel_flavor}"):
        yield f"the kernel {kernel!r} is not of the flavor {expected.build.kernel_flavor}"
    if facts.one("kernel_modules") != "yes":
        yield f"the running kernel {kernel!r} has no modules in the image"
    if facts.one("user") != expected.build.user:
        yield f"the login is {facts.one('user')!r} instead of {expected.build.user!r}"


def wrong_release(facts: Facts, release: str, version: str) -> Iterator[str]:
    """The error for another release. An image of edge is named after a day, so any release in it is right."""
    found = facts.one("release")
    if not (found if version == EDGE else found == release):
        yield f"/etc/alpine-release says {found!r} instead of {release!r}"
