"""Compares a build in today's profile with the one that an image was made from, for `profile diff`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omi.profile.model import Target, profile_keys

Difference = tuple[str, str, str, bool]
"""A value's key path, its old and new value, and whether the change makes a new revision."""


def differences(before: Target, after: Target) -> Iterator[Difference]:
    """All differences, in the documented order of the keys, except those that `before` doesn't know."""
    for key, declared, _ in profile_keys():
        old, new = _values(before, key), _values(after, key)
        for name in sorted({*old, *new} if key not in before.unread else ()):
            if old.get(name) != new.get(name):
                yield name, _shown(old.get(name)), _shown(new.get(name)), declared.decides
    for path in sorted({*before.setup_files} & {*after.setup_files}):
        if before.setup_files[path] != after.setup_files[path]:
            yield f"the file {path}", "as built", "changed", path not in after.tests.values()
    if before.again != after.again:
        yield "again", str(before.again), str(after.again), True


def _values(build: Target, key: str) -> dict[str, Any]:
    """The values of a key by path: a map's entries, else its own."""
    value = getattr(build, key)
    if key == "keys":  # keys that upstream has deprecated since are no change of the profile
        return {f"keys.{name}": True for name in {*value, *build.dropped_keys}}
    if key == "access":
        value = {"public": value.public or None, "accounts": value.accounts}
    if isinstance(value, tuple):
        return {f"{key}.{name}": True for name in value}
    if not isinstance(value, dict):
        return {key: value}
    found: dict[str, Any] = {}
    for name, each in value.items():
        found |= {f"{key}.{name}.{item}": True for item in each} if isinstance(each, tuple) else {f"{key}.{name}": each}
    return found


def _shown(value: object) -> str:
    if value is None:
        return "-"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if text.isprintable() else repr(text)
