"""What of an image's packages is no longer what apk would install, and how that is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from omi.apkindex.selection import Selection, read_lines
from omi.apkindex.version import compare, is_version
from omi.ledger import LedgerImage
from omi.profile.model import Build
from omi.version import EDGE

_TOLD = 4
"""More changes than this are counted, not told."""


@dataclass(frozen=True)
class PackageNews:
    """How what would be installed now differs from what an image holds."""

    changes: tuple[str, ...] = ()
    """In words; none where nothing differs or nothing is known."""
    only_older: bool = False
    """Nothing of it is newer: a mirror that lags behind, which is no reason to build."""

    @property
    def ask_for_build(self) -> bool:
        """Whether they make a new revision."""
        return bool(self.changes) and not self.only_older

    def __str__(self) -> str:
        more = len(self.changes) - _TOLD
        return ", ".join(self.changes[:_TOLD]) + (f" and {more} more" if more > 0 else "")


def countable(selection: Selection | None, build: Build, release: str) -> Selection | None:
    """The selection, if it is what an image of this release would be made from.

    A mirror's index follows the newest release, so it says nothing of one that is pinned to an earlier or that the
    mirror's list names before or after the index does.
    """
    if selection is None or build.version == EDGE or selection.release in (None, release):
        return selection
    return None


def package_news(image: LedgerImage, seen: Selection | None) -> PackageNews:
    """What differs, going by what the plan saw when the image was made and by what apk then installed.

    A difference counts only if neither was already so: what the plan saw settles where apk chose otherwise than was
    worked out, and what apk installed where the mirror moved on before the build. Without `seen` nothing is known.
    """
    planned, installed = image.spec.packages, image.record.installed
    if seen is None:
        return PackageNews()
    if planned is None and installed is None:
        # another hand's image never tells; to build in its place at once would be to refuse it
        return PackageNews(() if image.record.adopted else ("the versions of its packages are not recorded yet",))
    expected = read_lines(planned if planned is not None else installed or ())
    held = read_lines(installed if installed is not None else planned or ())
    names = {
        name
        for name in {*expected, *seen.versions}
        if seen.versions.get(name) not in (expected.get(name), held.get(name))
    }
    return _news({name: (held.get(name, expected.get(name)), seen.versions.get(name)) for name in names}, seen.origins)


def _news(changes: Mapping[str, tuple[str | None, str | None]], origins: Mapping[str, str]) -> PackageNews:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for name, (before, after) in changes.items():
        if before is not None and after is not None:
            groups.setdefault((origins.get(name, name), before, after), []).append(name)
    told = [
        f"{names[0] if len(names) == 1 else origin} {before} → {after}"
        for (origin, before, after), names in groups.items()
    ]
    came = [f"+{name} {after}" for name, (before, after) in changes.items() if before is None]
    went = [f"-{name}" for name, (_, after) in changes.items() if after is None]
    only_older = bool(changes) and all(_is_older(*versions) for versions in changes.values())
    return PackageNews((*sorted(told), *sorted(came), *sorted(went)), only_older)


def _is_older(before: str | None, after: str | None) -> bool:
    versions = [version for version in (before, after) if version is not None and is_version(version)]
    return len(versions) == 2 and compare(versions[1], versions[0]) < 0
