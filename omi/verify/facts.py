"""What the looks at a booted image found, and what it must be. Values in, values out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omi.profile.model import Build

_LOOKS = Path(__file__).with_name("look")


def look_script() -> str:
    """The POSIX sh script that prints the facts: all looks, in their order."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted(_LOOKS.glob("*.sh")))


@dataclass(frozen=True)
class Expected:
    """What the image must be: of this Alpine release, as its build says, and called so."""

    release: str
    build: Build
    name: str
    revision: int
    digest: str


@dataclass(frozen=True)
class Facts:
    """The lines by key, in their order."""

    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, text: str) -> Facts:
        """Read `key=value` lines; others are passed over."""
        values: dict[str, tuple[str, ...]] = {}
        for line in text.splitlines():
            key, sign, value = line.strip().partition("=")
            if sign and re.fullmatch(r"[a-z_]+", key):
                values[key] = (*values.get(key, ()), value)
        return cls(values)

    def one(self, key: str) -> str:
        """The first value of a key, empty if it is absent."""
        return self.values.get(key, ("",))[0]

    def number(self, key: str) -> int:
        """The first value as a number, 0 if it is none."""
        return int(self.one(key)) if self.one(key).isdecimal() else 0
