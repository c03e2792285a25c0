"""The facts that the probes found, and the expected image. Values alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omi.profile.model import Target

_PROBES = Path(__file__).with_name("probe")


_ROOT_KEY = _PROBES.parent / "try" / "root-key.sh"
_AT_REST = ("00-begin.sh", "60-files.sh", "61-accounts.sh", "62-packages.sh", "63-time.sh", "99-end.sh")


def probe_script() -> str:
    """The POSIX sh script of all probes, in their order, which prints the facts of the running system."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted(_PROBES.glob("*.sh")))


def root_key_script() -> str:
    """The script after the probes, which gives root the user's own key."""
    return _ROOT_KEY.read_text(encoding="utf-8")


def probe_script_at_rest() -> str:
    """The script of the probes for a root that is not booted: TOP is its folder, APK the command that runs its apk."""
    return "".join((_PROBES / name).read_text(encoding="utf-8") for name in _AT_REST)


_LONGEST_NUMBER = 18  # so many digits that no size in bytes has


@dataclass(frozen=True)
class Expected:
    """The expected image: its Alpine release, the target of its build, and its name."""

    release: str
    build: Target
    name: str
    revision: int
    digest: str
    key: str = ""
    """The public key (type and base64) that the instance was launched with."""
    changed: frozenset[str] = frozenset()
    """Files that the packages' own scripts and the profile's setup script changed during the build."""
    boot_mode: str = "legacy"
    """The boot mode of this VM."""


@dataclass(frozen=True)
class Facts:
    """The facts by key, in their order."""

    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, text: str) -> Facts:
        """Read `key=value` lines. Other lines are ignored, and keys without a value, whose probe found nothing."""
        values: dict[str, tuple[str, ...]] = {}
        for line in text.splitlines():
            key, sign, value = line.strip().partition("=")
            if sign and value and re.fullmatch(r"[a-z_]+", key):
                values[key] = (*values.get(key, ()), value)
        return cls(values)

    @property
    def is_booted(self) -> bool:
        """Whether they are facts of a running system, not of a root at rest."""
        return self.one("at_rest") != "yes"

    def one(self, key: str) -> str:
        """The first value of a key, empty if it is absent."""
        return self.values.get(key, ("",))[0]

    @property
    def installed(self) -> tuple[str, ...]:
        """The installed packages, `name=version`, sorted."""
        return tuple(sorted(self.values.get("apk_installed", ())))

    def number(self, key: str) -> int:
        """The first value as a number, 0 if it is none."""
        text = self.one(key)
        return int(text) if text.isdecimal() and len(text) <= _LONGEST_NUMBER else 0
