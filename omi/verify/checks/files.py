"""Files that no image may have, such as keys and logs, and files that give rights away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from omi.support.errors import few
from omi.verify.facts import Expected, Facts

LOGS = 1024 * 1024
"""The most bytes of all logs together, those of the first boot included."""
_SHOWN = 4
_CLOCK = 120  # seconds that the boot time, computed from the clock, may be off
_SETUID, _STICKY, _ANYONE_WRITES = 0o6000, 0o1000, 0o002

LEFTOVERS: tuple[tuple[str, str], ...] = (
    (r".*/(ssh_host_[^/]*_key|dropbear_[^/]*_host_key)", "SSH host keys: every instance would have the same"),
    (r"/etc/machine-id|/var/lib/dbus/machine-id", "a machine-id: every instance would have the same"),
    (
        r"/var/lib/(seedrng|urandom|misc|systemd)/.*seed.*|/var/lib/random-seed|/etc/random-seed",
        "a random seed: every instance would start from the same",
    ),
    (r"/etc/resolv\.conf", "name servers of the build's network"),
    (
        r"/var/cache/apk/.*|/etc/apk/cache/.*|.*/APKINDEX\.[0-9a-f]{8}\.tar\.gz|.*-r[0-9]+\.[0-9a-f]{8}\.apk",
        "apk's cache",
    ),
    (r".*/\.[a-z]+_history", "a shell's history"),
    (r".*/\.ssh/authorized_keys2?|/etc/ssh/authorized_keys.*", "SSH keys that let somebody in"),
    (r".*/\.ssh/id_[a-z0-9_]+|.*/\.(osc/config\.json|aws/credentials)", "somebody's private key or credentials"),
    (
        r"/var/lib/(cloud|omi|dhcpcd|dhcp|dhclient|udhcpc)/.*|/etc/udev/rules\.d/70-persistent-net\.rules",
        "data of the instance that built it",
    ),
    (r".*/core(\.[0-9]+)?", "the memory of a program that crashed"),
)
"""Whole paths of files with content, and what a match is if it came with the image."""


@dataclass(frozen=True)
class File:
    """A file that a probe found. `packaged` is the mode in its package, None if it is in none."""

    kind: str
    mode: int
    packaged: int | None
    size: int
    changed: int
    path: str

    @property
    def sets_id(self) -> bool:
        """Whether it is setuid or setgid, but not by its package."""
        return self.kind == "f" and bool(self.mode & _SETUID & ~(self.packaged or 0))

    @property
    def is_open(self) -> bool:
        """Whether anyone may write to it: to a file, or to a folder without the sticky bit."""
        protected = self.kind == "d" and self.mode & _STICKY
        return self.kind != "o" and bool(self.mode & _ANYONE_WRITES) and not protected

    def is_leftover(self, pattern: str) -> bool:
        """Whether it has content, is in no package, and its whole path matches."""
        return self.kind == "f" and self.packaged is None and self.size > 0 and bool(re.fullmatch(pattern, self.path))


def check_files(facts: Facts, _expected: Expected) -> Iterator[str]:
    """Nothing of the build is left in the image, and no file gives rights away."""
    files = list(_files(facts))
    if not files:
        yield "the files of the root could not be read"
    if not facts.number("database"):
        yield "apk's database could not be read"
    if facts.is_booted and not facts.number("mounted" if facts.one("become") != "nobody" else "booted"):
        yield "when this boot began is unknown, so which files came with the image is, too"
    start = _start(facts)
    if 0 < facts.number("mounted") <= facts.number("database"):
        yield "its clock is behind the build's, so which files came with the image is unknown"
    old = [file for file in files if start is None or file.changed < start]
    for pattern, what in LEFTOVERS:
        yield from _named(f"it carries {what}", [file for file in old if file.is_leftover(pattern)])
    yield from _named("setuid or setgid, but not by a package", [file for file in files if file.sets_id])
    yield from _named("anyone may write to", [file for file in files if file.is_open])
    yield from _logs([file for file in files if file.path.startswith("/var/log/")])


def _start(facts: Facts) -> int | None:
    """The time when this boot began to write, seconds of the epoch; None for a root that is not booted yet.

    A file that changed before came with the image. Only root can see the exact time.
    """
    if not facts.is_booted:
        return None
    return facts.number("mounted") or facts.number("booted") - _CLOCK


def _files(facts: Facts) -> Iterator[File]:
    for line in facts.values.get("file", ()):
        kind, mode, packaged, size, changed, path = line.split(" ", 5)
        yield File(kind, int(mode, 8), None if packaged == "-" else int(packaged, 8), int(size), int(changed), path)


def _named(what: str, files: Iterable[File]) -> Iterator[str]:
    paths = sorted(file.path for file in files)
    if paths:
        yield f"{what}: {few(paths, _SHOWN)}"


def _logs(logs: list[File]) -> Iterator[str]:
    total = sum(file.size for file in logs)
    if total > LOGS:
        largest = max(logs, key=lambda file: file.size)
        yield f"its logs have {total >> 10} KiB, more than {LOGS >> 10}; the largest is {largest.path}"
