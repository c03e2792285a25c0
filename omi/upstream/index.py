"""An index as a value: which packages it has, in which versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from omi.upstream.signature import UnreadableError, members, signed_content

Index = Mapping[str, tuple[str, ...]]
"""Versions by the package's name."""


def read_index(data: bytes, keys: Mapping[str, str], arch: str, where: str) -> Index:
    """The packages for an architecture that a signed `APKINDEX.tar.gz` names.

    Raises UntrustedError (not signed by one of `keys`) and UnreadableError, both with `where` in front.
    """
    archive = signed_content(data, keys, where)
    text = next((content for name, content in members(archive, where) if name == "APKINDEX"), None)
    if text is None:
        raise UnreadableError(f"{where}: is no package index: it holds no APKINDEX")
    index: dict[str, tuple[str, ...]] = {}
    try:
        for name, version in _packages(text.decode(), frozenset({arch, "noarch"})):
            index[name] = (*index.get(name, ()), version)
    except ValueError as error:
        raise UnreadableError(f"{where}: is no package index: {error}") from error
    return index


def _packages(text: str, arches: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Name and version of each record."""
    for record in text.split("\n\n"):
        fields = {line[0]: line[2:] for line in record.split("\n") if line[:2] in ("P:", "V:", "A:")}
        if not record.strip():
            continue
        if "P" not in fields or "V" not in fields:
            message = "a record lacks its name or version"
            raise ValueError(message)
        if fields.get("A", "noarch") in arches:
            yield fields["P"], fields["V"]
