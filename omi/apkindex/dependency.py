"""What a package, or the list of those to install, asks of others: `nginx`, `openssl~3.5`, `!vlan`, `foot@testing`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from omi.apkindex.version import begins_with, compare, is_version

_DEPENDENCY = re.compile(r"(!?)([^<>=~@!]+)(?:@([^<>=~@!]+))?(?:([<>=~]+)(.+))?")


@dataclass(frozen=True, slots=True)
class Dependency:
    """`sign` is one of apk's (`=`, `<`, `>=`, `~`, `>~`, …), empty where any version does."""

    name: str
    sign: str = ""
    version: str = ""
    conflict: bool = False
    tag: str | None = None

    def accepts(self, offered: str | None) -> bool:
        """Whether one that offers the name in this version (None: without one, which apk lets answer all) will do.

        Of a conflict: whether it may be there.
        """
        return self._matches(offered) != self.conflict

    def _matches(self, offered: str | None) -> bool:
        if not self.sign or offered is None:
            return True
        order = begins_with(offered, self.version) if "~" in self.sign else compare(offered, self.version)
        return {0: "=" in self.sign or "~" in self.sign, -1: "<" in self.sign, 1: ">" in self.sign}[order]

    def __str__(self) -> str:
        tag = f"@{self.tag}" if self.tag else ""
        return f"{'!' if self.conflict else ''}{self.name}{tag}{self.sign}{self.version}"


def read_dependency(text: str) -> Dependency:
    """Read one; ValueError for what apk wouldn't read."""
    match = _DEPENDENCY.fullmatch(text)
    if match is None or (match[5] is not None and not is_version(match[5])):
        message = f"{text!r} is no dependency"
        raise ValueError(message)
    return Dependency(match[2], match[4] or "", match[5] or "", bool(match[1]), match[3])
