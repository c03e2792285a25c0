"""The image's own release file."""

from __future__ import annotations

from collections.abc import Iterator

from omi.state.release_file import RELEASE_FILE, read_indexes, read_release
from omi.verify.facts import Expected, Facts

_ANY_VALUE = ("COMMIT", "MIRROR", "TOOLS")
"""Fields that must exist, with any value."""


def check_release(facts: Facts, expected: Expected) -> Iterator[str]:
    """Everybody may read it, and it names this image, its profile and its package indexes."""
    if facts.one("omi_release_mode") != "root 644":
        found = facts.one("omi_release_mode") or "missing"
        yield f"{RELEASE_FILE} is {found} instead of root's with the mode 644"
        return
    said = read_release(facts.values.get("omi_release", ()))
    wanted = {
        "NAME": expected.name,
        "PROFILE": expected.build.profile,
        "BUILD": expected.build.name,
        "RELEASE": expected.release,
        "REVISION": f"r{expected.revision}",
        "DIGEST": expected.digest,
    }
    for key, value in wanted.items():
        if said.get(key) != value:
            yield f"{RELEASE_FILE} says {key} {said.get(key)!r} instead of {value!r}"
    for key in _ANY_VALUE:
        if not said.get(key):
            yield f"{RELEASE_FILE} says no {key}"
    if not read_indexes(said):
        yield f"{RELEASE_FILE} does not name the package indexes"
