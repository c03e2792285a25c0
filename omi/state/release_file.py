"""Reads /etc/alpine-omi-release, which guest/steps/85-release.sh writes into an image."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

RELEASE_FILE = "/etc/alpine-omi-release"
_LINE = re.compile(r'([A-Z][A-Z0-9_]*)="([^"]*)"')
_INDEX = re.compile(r"(sha256:[0-9a-f]{64}) (\S+/APKINDEX\.tar\.gz)")


def read_release(lines: Iterable[str]) -> dict[str, str]:
    """Values by name, from lines NAME="value"; other lines are ignored."""
    return {match[1]: match[2] for line in lines if (match := _LINE.fullmatch(line.rstrip()))}


def read_indexes(release: Mapping[str, str]) -> list[tuple[str, str]]:
    """URL and digest (`sha256:` and 64 hex digits) of the package indexes, in apk's order; empty if one is
    malformed."""
    lines = [value for key, value in release.items() if key.startswith("INDEX_")]
    found = [match for value in lines if (match := _INDEX.fullmatch(value))]
    return [(match[2], match[1]) for match in found] if len(found) == len(lines) else []
