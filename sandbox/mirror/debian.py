"""Programs that the pinned root lacks, of Debian 12, from the servers that the host's own apt names.

Unmodified Debian programs run in an Alpine (musl) root when glibc's loader sits at its fixed path and their libraries
lie in Debian's multiarch folder, where that loader looks first.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from sandbox.environment import FETCHING
from sandbox.mirror.commands import run_tool
from sandbox.mirror.errors import MirrorError
from sandbox.source_omi.sources import debian_sources

MULTIARCH = "lib/x86_64-linux-gnu"
LOADER = f"{MULTIARCH}/ld-linux-x86-64.so.2"
# where every glibc program looks for its loader (the x86-64 ABI); Debian has an absolute link there
LOADER_PLACE = "lib64/ld-linux-x86-64.so.2"
_FOLDERS = (MULTIARCH, f"usr/{MULTIARCH}")
_PROGRAM_PACKAGES = (
    "chrony",
    "extlinux",
    "grub-common",
    "grub-efi-amd64-bin",
    "grub2-common",
    "libpam-modules",
    "mtools",
    "nginx",
    "nginx-common",
    "opendoas",
    "openssh-client",
    "openssh-server",
    "openssh-sftp-server",
    "syslinux-common",
    "tzdata",
)
_LIBRARY_PACKAGES = (
    "libaudit1",
    "libc6",
    "libcap-ng0",
    "libcap2",
    "libcom-err2",
    "libcrypt1",
    "libdevmapper1.02.1",
    "libefiboot1",
    "libefivar1",
    "libffi8",
    "libgcrypt20",
    "libgmp10",
    "libgnutls30",
    "libgpg-error0",
    "libgssapi-krb5-2",
    "libhogweed6",
    "libidn2-0",
    "libk5crypto3",
    "libkeyutils1",
    "libkrb5-3",
    "libkrb5support0",
    "liblz4-1",
    "liblzma5",
    "libnettle8",
    "libnsl2",
    "libp11-kit0",
    "libpam0g",
    "libpcre2-8-0",
    "libseccomp2",
    "libselinux1",
    "libssl3",
    "libsystemd0",
    "libtasn1-6",
    "libtirpc3",
    "libudev1",
    "libunistring2",
    "libwrap0",
    "libzstd1",
    "zlib1g",
)


@dataclass(frozen=True)
class DebianRoot:
    """Unpacked Debian packages."""

    folder: Path

    def read(self, path: str) -> bytes:
        """A file's bytes; `path` is relative to the root."""
        return self._resolve(path).read_bytes()

    def list(self, folder: str, endings: tuple[str, ...]) -> tuple[str, ...]:
        """The files right in `folder` that end so, sorted; paths relative to the root."""
        found = sorted(path.name for path in (self.folder / folder).glob("*") if path.name.endswith(endings))
        if not found:
            raise MirrorError(f"the Debian packages hold nothing in {folder}: run apt-get update")
        return tuple(f"{folder}/{name}" for name in found)

    def files(self, folder: str) -> dict[str, bytes]:
        """All files below a folder by their path in it, links read through; links that lead out are left out."""
        top = self.folder / folder
        places = {path.relative_to(top).as_posix(): path.resolve() for path in sorted(top.rglob("*"))}
        inside = self.folder.resolve()
        return {
            name: place.read_bytes()
            for name, place in places.items()
            if place.is_file() and place.is_relative_to(inside)
        }

    def libraries(self, programs: tuple[str, ...]) -> dict[str, bytes]:
        """Every shared library the programs need, by its name, as the loader itself finds them."""
        loader = str(self._resolve(LOADER))
        places = ":".join(str(self.folder / place) for place in _FOLDERS)
        names: set[str] = set()
        for program in programs:
            listing = run_tool(
                [loader, "--inhibit-cache", "--library-path", places, "--list", str(self._resolve(program))],
                cure=f"the Debian packages do not fit each other ({program}): run apt-get update",
                seconds=30,
            )
            for name, found in re.findall(r"^\s*([^\s/]+) => (.*?)(?: \(0x[0-9a-f]+\))?$", listing, re.MULTILINE):
                if not found.startswith(f"{self.folder}/"):
                    raise MirrorError(
                        f"{program} needs {name}, which is in none of the Debian packages: add its package"
                    )
                names.add(name)
        return {name: self._library(name) for name in sorted(names)}

    def _library(self, name: str) -> bytes:
        for place in _FOLDERS:
            if (self.folder / place / name).exists():
                return self.read(f"{place}/{name}")
        raise MirrorError(f"{name} is in none of the Debian packages: run apt-get update")

    def _resolve(self, path: str) -> Path:
        place = (self.folder / path).resolve()
        if not place.is_file() or not place.is_relative_to(self.folder.resolve()):
            raise MirrorError(f"the Debian packages hold no {path}: run apt-get update")
        return place


def fetch_debs(downloads: Path) -> tuple[Path, ...]:
    """Download the Debian packages by the host's apt with lists of its own; no root needed.

    The host's lists may be missing, old, or those of another Debian, whose packages have other names.
    """
    sources = debian_sources()
    if not sources:
        raise MirrorError("no package source of Debian in /etc/apt: add one to /etc/apt/sources.list, then try again")
    apt = downloads / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "sources.list").write_text("".join(f"{line}\n" for line in sources), encoding="utf-8")
    (apt / "status").write_bytes(b"")
    settings = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",  # empty: what is installed here may be newer than what is to be had
        "Dir::Cache": apt / "cache",
        # apt's own unprivileged user can't write into these folders when root runs it
        "APT::Sandbox::User": "root",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    for command in (["update", "--error-on=any"], ["download", *_PROGRAM_PACKAGES, *_LIBRARY_PACKAGES]):
        run_tool(
            ["apt-get", "-q", *options, *command],
            cure="Debian 12's package sources must be reachable: check the network and the proxy of apt",
            seconds=300,
            folder=downloads,
            variables=FETCHING,
        )
    shutil.rmtree(apt)
    newest = (max(downloads.glob(f"{name}_*.deb"), key=lambda deb: deb.stat().st_ctime) for name in _names())
    return tuple(newest)


def unpack_debs(debs: tuple[Path, ...], folder: Path) -> DebianRoot:
    """Unpack the packages into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        run_tool(["dpkg-deb", "-x", str(deb), str(folder)], cure=f"delete {deb} and try again", seconds=60)
    return DebianRoot(folder)


def _names() -> tuple[str, ...]:
    return (*_PROGRAM_PACKAGES, *_LIBRARY_PACKAGES)
