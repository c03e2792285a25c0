"""An image's packages as its list tells them, and what changed from one image to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ListedPackage:
    """One line of the list (omi.publish.documents.installed, `packages_text`)."""

    name: str
    version: str
    size: int
    """Bytes of its files."""
    license: str


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


def read_packages(text: str) -> tuple[ListedPackage, ...]:
    """The packages in the list's order; lines that are none are passed over."""
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return tuple(
        ListedPackage(row[0], row[1], int(row[4]) if row[4].isdecimal() else 0, row[6]) for row in rows if len(row) >= 7
    )


def changes_between(before: Sequence[ListedPackage], after: Sequence[ListedPackage]) -> Changes:
    """What was added, removed and changed in its version."""
    old = {package.name: package for package in before}
    new = {package.name: package for package in after}
    return Changes(
        added=tuple(new[name] for name in sorted(new.keys() - old.keys())),
        removed=tuple(old[name] for name in sorted(old.keys() - new.keys())),
        changed=tuple(
            (old[name], new[name]) for name in sorted(old.keys() & new.keys()) if old[name].version != new[name].version
        ),
    )
