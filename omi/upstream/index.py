"""A package index as a value: its packages with versions, sources and dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from omi.upstream.security import Fixes
from omi.upstream.signature import UnreadableError, members, signed_content

_FIELDS = frozenset({"P:", "V:", "A:", "o:", "D:", "p:", "i:"})
_VERSION = re.compile(r"[<>=~@].*")


class Packaged(NamedTuple):
    """One package's record. Other packages are named in apk's notation, `so:libc.so.1 nginx>1 !foo`."""

    name: str
    version: str
    origin: str
    depends: str = ""
    provides: str = ""
    install_if: str = ""
    """apk installs it by itself once all of these are installed."""


def names_in(text: str) -> list[str]:
    """The names in such a list of packages, without conflicts."""
    return [_VERSION.sub("", each) for each in text.split() if not each.startswith("!")]


@dataclass(frozen=True)
class Index:
    """The packages of a repository."""

    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By the package's name."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Source packages by the package's name."""
    fixes: Fixes = field(default_factory=dict)
    """The fixes of its source packages, if Alpine's security data was read."""
    packages: tuple[Packaged, ...] = field(default=(), compare=False, repr=False)
    """The records."""


def read_index(data: bytes, keys: Mapping[str, str], arch: str, where: str) -> Index:
    """Read the packages for an architecture in a signed `APKINDEX.tar.gz`.

    Raises UntrustedError (not signed by one of `keys`) and UnreadableError, both with `where` in front.
    """
    archive = signed_content(data, keys, where)
    text = next((content for name, content in members(archive, where) if name == "APKINDEX"), None)
    if text is None:
        raise UnreadableError(f"{where}: is not a package index: it holds no APKINDEX")
    try:
        packages = tuple(_packages(text.decode(), frozenset({arch, "noarch"})))
    except ValueError as error:
        raise UnreadableError(f"{where}: is not a package index: {error}") from error
    versions: dict[str, tuple[str, ...]] = {}
    for package in packages:
        versions[package.name] = (*versions.get(package.name, ()), package.version)
    return Index(versions, {package.name: package.origin for package in packages}, packages=packages)


def _packages(text: str, arches: frozenset[str]) -> Iterator[Packaged]:
    for record in text.split("\n\n"):
        fields = {line[0]: line[2:] for line in record.split("\n") if line[:2] in _FIELDS}
        if not record.strip():
            continue
        if "P" not in fields or "V" not in fields:
            message = "a record lacks its name or version"
            raise ValueError(message)
        if fields.get("A", "noarch") in arches:
            others = (fields.get(key, "") for key in "Dpi")
            yield Packaged(fields["P"], fields["V"], fields.get("o", fields["P"]), *others)
