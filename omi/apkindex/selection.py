"""The packages that an image would hold, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Selection:
    """What apk would install for a build."""

    versions: Mapping[str, str]
    """By the package's name."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """The source package that each was built from, by the package's name."""

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """`name=version`, sorted."""
        return tuple(f"{name}={version}" for name, version in sorted(self.versions.items()))

    @property
    def release(self) -> str | None:
        """The Alpine release that they make up, by the version of alpine-base."""
        version = self.versions.get("alpine-base")
        return version.partition("-r")[0] if version is not None else None


def read_lines(lines: tuple[str, ...]) -> dict[str, str]:
    """Versions by name, from `name=version`."""
    return {name: version for name, _, version in (line.partition("=") for line in lines)}
