"""Changes of the packages from one image to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omi.publish.documents.installed import ListedPackage


@dataclass(frozen=True)
class Changes:
    """From an image to the next one of its build; each sorted by name."""

    added: tuple[ListedPackage, ...]
    removed: tuple[ListedPackage, ...]
    changed: tuple[tuple[ListedPackage, ListedPackage], ...]
    """Before and after."""

    @property
    def count(self) -> int:
        """How many packages aren't as they were."""
        return len(self.added) + len(self.removed) + len(self.changed)


def changes_between(before: Sequence[ListedPackage], after: Sequence[ListedPackage]) -> Changes:
    """Compare two lists of packages."""
    old = {package.name: package for package in before}
    new = {package.name: package for package in after}
    return Changes(
        added=tuple(new[name] for name in sorted(new.keys() - old.keys())),
        removed=tuple(old[name] for name in sorted(old.keys() - new.keys())),
        changed=tuple(
            (old[name], new[name]) for name in sorted(old.keys() & new.keys()) if old[name].version != new[name].version
        ),
    )
