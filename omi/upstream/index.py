"""An index as a value: which packages it has, in which versions and from which sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from omi.upstream.fixes import Fixes
from omi.upstream.signature import UnreadableError, members, signed_content


@dataclass(frozen=True)
class Index:
    """The packages of a repository."""

    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By the package's name."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """The source packages that they are built from, by the package's name."""
    fixes: Fixes = field(default_factory=dict)
    """Of its source packages, where Alpine's security data was asked for."""


def read_index(data: bytes, keys: Mapping[str, str], arch: str, where: str) -> Index:
    """The packages for an architecture that a signed `APKINDEX.tar.gz` names.

    Raises UntrustedError (not signed by one of `keys`) and UnreadableError, both with `where` in front.
    """
    archive = signed_content(data, keys, where)
    text = next((content for name, content in members(archive, where) if name == "APKINDEX"), None)
    if text is None:
        raise UnreadableError(f"{where}: is no package index: it holds no APKINDEX")
    versions: dict[str, tuple[str, ...]] = {}
    origins: dict[str, str] = {}
    try:
        for name, version, origin in _packages(text.decode(), frozenset({arch, "noarch"})):
            versions[name] = (*versions.get(name, ()), version)
            origins[name] = origin
    except ValueError as error:
        raise UnreadableError(f"{where}: is no package index: {error}") from error
    return Index(versions, origins)


def _packages(text: str, arches: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """Name, version and source package of each record."""
    for record in text.split("\n\n"):
        fields = {line[0]: line[2:] for line in record.split("\n") if line[:2] in ("P:", "V:", "A:", "o:")}
        if not record.strip():
            continue
        if "P" not in fields or "V" not in fields:
            message = "a record lacks its name or version"
            raise ValueError(message)
        if fields.get("A", "noarch") in arches:
            yield fields["P"], fields["V"], fields.get("o", fields["P"])
