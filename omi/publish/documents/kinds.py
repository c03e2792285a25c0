"""The kinds of an image's documents and the names of their files. It imports little, since every preview needs it."""

from __future__ import annotations

from omi.support.places import file_name_of

SUFFIXES = {
    "files": ".files.txt",
    "packages": ".packages.txt",
    "provenance": ".provenance.json",
    "sbom": ".cdx.json",
}
"""The kinds that a build writes, and the ending of each kind's files."""
FIXES = "fixes"
"""The kind that follows Alpine's security data (omi.publish.fixes)."""


def file_name(image: str, kind: str) -> str:
    """The file of an image's document."""
    return file_name_of(image) + SUFFIXES[kind]
