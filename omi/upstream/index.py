"""An index as a value: its packages, in which versions and from which sources, and what they need and bring along."""

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
    """One package's record; what is said of other packages is apk's notation, `so:libc.so.1 nginx>1 !foo`."""

    name: str
    version: str
    origin: str
    depends: str = ""
    provides: str = ""
    install_if: str = ""
    """It is installed by itself where all of these are."""


def names_in(text: str) -> list[str]:
    """The names in such a list of packages, without those that must not be there."""
    return [_VERSION.sub("", each) for each in text.split() if not each.startswith("!")]


@dataclass(frozen=True)
class Index:
    """The packages of a repository."""

    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By the package's name."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """The source packages that they are built from, by the package's name."""
    fixes: Fixes = field(default_factory=dict)
    """The fixes of its source packages, where Alpine's security data was asked for."""
    packages: tuple[Packaged, ...] = field(default=(), compare=False, repr=False)
    """The records."""


def read_index(data: bytes, keys: Mapping[str, str], arch: str, where: str) -> Index:
    """The packages for an architecture that a signed `APKINDEX.tar.gz` names.

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
