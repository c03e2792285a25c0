"""An Alpine package as a value: what it says about itself and what it puts into the root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ARCH = "x86_64"


@dataclass(frozen=True)
class FileOwner:
    """The owner of a path; Alpine's packages name it as text and as a number."""

    uid: int = 0
    gid: int = 0
    user: str = "root"
    group: str = "root"


ROOT = FileOwner()


@dataclass(frozen=True)
class PackageFile:
    """A regular file; `path` is relative to the root, `mode` are its permission bits."""

    path: str
    data: bytes = field(repr=False)
    mode: int = 0o644
    owner: FileOwner = ROOT


@dataclass(frozen=True)
class Symlink:
    """A symbolic link to `target`."""

    path: str
    target: str


@dataclass(frozen=True)
class Directory:
    """A directory with its own permissions."""

    path: str
    mode: int = 0o755
    owner: FileOwner = ROOT


Entry = PackageFile | Symlink | Directory


@dataclass(frozen=True)
class Package:
    """One package; the names are those of `.PKGINFO`, `build_date` is in seconds since 1970 (UTC).

    `depends`, `provides` and `replaces` are in apk's notation (`so:libc.musl-x86_64.so.1`, `cmd:apk=3.0.8-r0`).
    `scripts` maps a script's kind (`post-install`, `trigger`, ...) to its text; `triggers` are the folders watched.
    """

    name: str
    version: str
    description: str
    url: str
    license: str
    origin: str
    maintainer: str
    build_date: int
    commit: str = ""
    depends: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    install_if: str = ""
    replaces_priority: str = ""
    provider_priority: str = ""
    triggers: str = ""
    scripts: Mapping[str, bytes] = field(default_factory=dict)
    entries: tuple[Entry, ...] = field(default=(), repr=False)

    @property
    def file_name(self) -> str:
        """The package's file name in a repository."""
        return f"{self.name}-{self.version}.apk"


def with_parents(files: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries plus the plain directories (0755, root) that hold them, in the order an archive needs."""
    named = {entry.path for entry in files}
    parents: dict[str, Directory] = {}
    for entry in files:
        parts = entry.path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            if path not in named:
                parents[path] = Directory(path)
    return in_archive_order((*parents.values(), *files))


def in_archive_order(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Every directory before what lies in it."""
    return tuple(sorted(entries, key=lambda entry: entry.path.split("/")))
