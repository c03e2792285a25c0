"""Which documents there are of an image, and what their files are called. Light, since every preview reads it."""

from __future__ import annotations

SUFFIXES = {"packages": ".packages.txt", "provenance": ".provenance.json", "sbom": ".cdx.json"}
"""What the files of each kind end in."""


def file_name(image: str, kind: str) -> str:
    """The file of an image's document; an OMI's name may hold slashes, a file's may not."""
    return image.replace("/", "_") + SUFFIXES[kind]
