"""How large the image is, and how much of that isn't the packages'."""

from __future__ import annotations

from dataclasses import dataclass

from omi.verify.facts import Facts

OVERHEAD = 0.10
"""What the root filesystem may use beyond its packages before a person is told: initramfs, loader, apk's database, and
the ends of blocks that files don't fill."""


@dataclass(frozen=True)
class Size:
    """Bytes that the root filesystem uses, and that its packages say they take; None where it isn't known."""

    used: int | None
    installed: int | None

    @classmethod
    def of(cls, facts: Facts) -> Size:
        """As the look at a booted image found it."""
        return cls(facts.number("used_bytes") or None, facts.number("installed_bytes") or None)

    def remark(self) -> str | None:
        """What to tell a person, if the image is larger than its packages explain."""
        if self.used is None or self.installed is None or self.used <= (1 + OVERHEAD) * self.installed:
            return None
        return (
            f"the root filesystem uses {self.used / 2**20:.0f} MiB, {self.used / self.installed - 1:.0%} more than its "
            f"packages ({self.installed / 2**20:.0f} MiB); {OVERHEAD:.0%} are usual"
        )
