"""An index as values: APKINDEX's records, of which only what decides an installation is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from omi.apkindex.dependency import Dependency, read_dependency
from omi.apkindex.signature import UnreadableError, members, signed_content
from omi.apkindex.version import is_version

_KEPT = frozenset("PVADpiko")


@dataclass(frozen=True, eq=False)
class Package:
    """One record, in apk's notation; the same object stands for the same record, so it is compared as such."""

    name: str
    version: str
    origin: str
    depends_text: str = ""
    provides_text: str = ""
    install_if_text: str = ""
    priority: int = 0
    """For names that it provides without a version; 0 means that such a name alone doesn't make apk install it."""

    # Cached and read late: of ten thousands of records, few are ever asked for more than their names.
    @cached_property
    def depends(self) -> tuple[Dependency, ...]:
        """ValueError where it can't be read."""
        return tuple(map(read_dependency, self.depends_text.split()))

    @cached_property
    def install_if(self) -> tuple[Dependency, ...]:
        """It is installed without being asked for once all of these are. ValueError where it can't be read."""
        return tuple(map(read_dependency, self.install_if_text.split()))

    @cached_property
    def offers(self) -> Mapping[str, str | None]:
        """Every name that it answers to, with the version that it offers it in, None for none."""
        provided = (token.partition("=") for token in self.provides_text.split())
        return {name: version if sign else None for name, sign, version in provided} | {self.name: self.version}


def read_index(data: bytes, keys: Mapping[str, str], arch: str, where: str) -> tuple[Package, ...]:
    """The packages for an architecture that a signed `APKINDEX.tar.gz` names.

    Raises UntrustedError (not signed by one of `keys`) and UnreadableError, both with `where` in front. A record that
    apk itself would not install (another architecture, a strange version) is passed over.
    """
    archive = signed_content(data, keys, where)
    text = next((content for name, content in members(archive, where) if name == "APKINDEX"), None)
    if text is None:
        raise UnreadableError(f"{where}: is no package index: it holds no APKINDEX")
    try:
        return tuple(_packages(text.decode(), frozenset({arch, "noarch"})))
    except (UnicodeDecodeError, ValueError) as error:
        raise UnreadableError(f"{where}: is no package index: {error}") from error


def _packages(text: str, arches: frozenset[str]) -> Iterator[Package]:
    for record in text.split("\n\n"):
        fields = {line[0]: line[2:] for line in record.split("\n") if line and line[0] in _KEPT and line[1:2] == ":"}
        if not fields and not record.strip():
            continue
        if "P" not in fields or "V" not in fields:
            message = "a record lacks its name or version"
            raise ValueError(message)
        if fields.get("A", "noarch") in arches and is_version(fields["V"]):
            yield Package(
                name=fields["P"],
                version=fields["V"],
                origin=fields.get("o", fields["P"]),
                depends_text=fields.get("D", ""),
                provides_text=fields.get("p", ""),
                install_if_text=fields.get("i", ""),
                priority=int(fields.get("k", "0") or "0"),
            )
