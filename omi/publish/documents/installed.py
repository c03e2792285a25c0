"""apk's records of what is installed, as the guest's scripts leave them."""

from __future__ import annotations

from dataclasses import dataclass

from omi.support.errors import BuildError


@dataclass(frozen=True)
class Installed:
    """One package in the image; a field that apk doesn't record is empty."""

    name: str
    version: str
    arch: str
    checksum: str
    """apk's identity of the package: Q1 and the SHA-1 of its control data in base64 (apk-package(5), `C:`)."""
    size: int
    """Bytes of its files."""
    origin: str
    """The source package that it was built from."""
    license: str
    description: str
    url: str
    commit: str
    """The commit of aports, Alpine's package sources."""
    depends: tuple[str, ...] = ()
    """Its dependencies, in apk's notation (`D:`)."""
    provides: tuple[str, ...] = ()
    """Names that it provides besides its own, perhaps with a version (`p:`)."""

    @property
    def offers(self) -> set[str]:
        """Every name that it answers to."""
        return {self.name, *(text.partition("=")[0] for text in self.provides)}


def read_installed(text: str, where: str) -> tuple[Installed, ...]:
    """The packages by name; BuildError that names `where` if the text isn't such records or has none."""
    try:
        found = tuple(_package(record) for record in text.split("\n\n") if record.strip())
    except (KeyError, ValueError) as error:
        raise BuildError(f"{where}: is not what apk records of packages ({error}); build again") from error
    if not found:
        raise BuildError(f"{where}: names no package; build again")
    return tuple(sorted(found, key=lambda package: package.name))


def _package(record: str) -> Installed:
    fields = {line[0]: line[2:] for line in record.splitlines() if line[1:2] == ":"}
    return Installed(
        name=fields["P"],
        version=fields["V"],
        arch=fields["A"],
        checksum=fields["C"],
        size=int(fields.get("I", "0")),
        origin=fields.get("o", fields["P"]),
        license=fields.get("L", ""),
        description=fields.get("T", ""),
        url=fields.get("U", ""),
        commit=fields.get("c", ""),
        depends=tuple(fields.get("D", "").split()),
        provides=tuple(fields.get("p", "").split()),
    )


def packages_text(packages: tuple[Installed, ...]) -> str:
    """One line a package, columns by tabs; a heading begins with #."""
    rows = [("# name", "version", "arch", "checksum", "bytes", "origin", "license")]
    rows += [(p.name, p.version, p.arch, p.checksum, str(p.size), p.origin, p.license) for p in packages]
    return "".join("\t".join(row) + "\n" for row in rows)


@dataclass(frozen=True)
class ListedPackage:
    """One line of that text."""

    name: str
    version: str
    size: int
    """Bytes of its files."""
    license: str
    origin: str
    """The source package that it was built from."""


def read_packages(text: str) -> tuple[ListedPackage, ...]:
    """Read the text again; lines that name no package are passed over."""
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return tuple(
        ListedPackage(row[0], row[1], int(row[4]) if row[4].isdecimal() else 0, row[6], row[5])
        for row in rows
        if len(row) >= 7
    )
