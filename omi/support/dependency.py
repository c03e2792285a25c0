"""A dependency in the notation of packages and lists of packages: `nginx`, `openssl~3.5`, `!vlan`, `foot@testing`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from omi.support.version import begins_with, is_package_version, package_key

_DEPENDENCY = re.compile(r"(!?)([^<>=~@!]+)(?:@([^<>=~@!]+))?(?:([<>=~]+)(.+))?")


@dataclass(frozen=True, slots=True)
class Dependency:
    """`sign` is one of apk's (`=`, `<`, `>=`, `~`, `>~`, …); empty if any version will do."""

    name: str
    sign: str = ""
    version: str = ""
    conflict: bool = False
    tag: str | None = None

    def accepts(self, offered: str | None) -> bool:
        """Whether a package that provides the name in this version will do. None is no version, which apk always
        accepts.

        For a conflict: whether the package may be installed.
        """
        return self._matches(offered) != self.conflict

    def _matches(self, offered: str | None) -> bool:
        if not self.sign or offered is None or ("~" in self.sign and begins_with(offered, self.version)):
            return True
        left, right = package_key(offered), package_key(self.version)
        return (
            (left < right and "<" in self.sign)
            or (left > right and ">" in self.sign)
            or (left == right and "=" in self.sign)
        )


def read_dependency(text: str) -> Dependency:
    """Read one; ValueError for what apk wouldn't read."""
    match = _DEPENDENCY.fullmatch(text)
    if match is None or (match[5] is not None and not is_package_version(match[5])):
        message = f"{text!r} is not a dependency"
        raise ValueError(message)
    return Dependency(match[2], match[4] or "", match[5] or "", bool(match[1]), match[3])
