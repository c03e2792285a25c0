"""How large the image is, and how large its packages are."""

from __future__ import annotations

from dataclasses import dataclass

from omi.verify.facts import Facts


@dataclass(frozen=True)
class Size:
    """Bytes that the root filesystem uses, and that its packages say they take; None where it isn't known."""

    used: int | None
    installed: int | None

    @classmethod
    def of(cls, facts: Facts) -> Size:
        """Read the size from the facts of a booted image."""
        return cls(facts.number("used_bytes") or None, facts.number("installed_bytes") or None)
