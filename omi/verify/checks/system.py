"""What the image is."""

from __future__ import annotations

from collections.abc import Iterator

from omi.verify.facts import Expected, Facts


def check_system(facts: Facts, expected: Expected) -> Iterator[str]:
    """Release, kernel and user."""
    if facts.one("release") != expected.release:
        yield f"/etc/alpine-release says {facts.one('release')!r} instead of {expected.release!r}"
    kernel = facts.one("kernel")
    if not kernel.endswith(f"-{expected.build.kernel_flavor}"):
        yield f"the kernel {kernel!r} is not of the flavor {expected.build.kernel_flavor}"
    if facts.one("kernel_modules") != "yes":
        yield f"the running kernel {kernel!r} has no modules in the image"
    if facts.one("user") != expected.build.user:
        yield f"the login is {facts.one('user')!r} instead of {expected.build.user!r}"
