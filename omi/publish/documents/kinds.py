"""Which documents there are of an image, and what their files are called. Light, since every preview reads it."""

from __future__ import annotations

from omi.support.places import file_name_of

SUFFIXES = {
    "files": ".files.txt",
    "packages": ".packages.txt",
    "provenance": ".provenance.json",
    "sbom": ".cdx.json",
}
"""The ending of each kind's files, of those that a build writes."""
FIXES = "fixes"
"""The kind that follows Alpine's security data (omi.publish.fixes)."""


def file_name(image: str, kind: str) -> str:
    """The file of an image's document."""
    return file_name_of(image) + SUFFIXES[kind]
