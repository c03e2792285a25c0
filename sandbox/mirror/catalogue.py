"""The mirror's catalogue: branches, their point releases, and the two files in which upstream lists them.

The shapes are those of https://alpinelinux.org/releases.json and of `<branch>/releases/<arch>/latest-releases.yaml`
on Alpine's CDN.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time

import yaml

from sandbox.mirror.errors import MirrorError
from sandbox.mirror.package import ARCH

EDGE = "edge"
REPOSITORIES = ("main", "community")
KEY_PLACE = "https://alpinelinux.org/keys"
_FLAVORS = (
    ("alpine-minirootfs", "Mini root filesystem", "tar.gz"),
    ("alpine-standard", "Standard", "iso"),
    ("alpine-virt", "Virtual", "iso"),
)


@dataclass(frozen=True)
class PointRelease:
    """One release of a branch, e.g. 3.23.6, and the day it came out."""

    version: str
    day: date


@dataclass(frozen=True)
class CatalogueBranch:
    """One branch, e.g. v3.23. `releases` are newest first; edge has none, and no dates; a branch just cut has none yet.

    `packaged` is the release whose packages the mirror holds, where that is not the newest one listed (a CDN may lag
    behind releases.json); for edge it is the version of its alpine-release package.
    """

    name: str
    released: date | None = None
    end_of_life: date | None = None
    releases: tuple[PointRelease, ...] = ()
    packaged: str | None = None
    deprecated_keys: tuple[tuple[str, date], ...] = ()
    """Signing keys by file name that are not to be trusted from a day on."""

    @property
    def current(self) -> str | None:
        """The release whose packages the mirror holds, if any."""
        if self.packaged is not None:
            return self.packaged
        return self.releases[0].version if self.releases else None


@dataclass(frozen=True)
class Catalogue:
    """The branches a mirror offers, newest first, edge before all others."""

    branches: tuple[CatalogueBranch, ...]
    latest_stable: str

    def branch(self, name: str) -> CatalogueBranch:
        """A branch by its name, such as v3.23; MirrorError if there is none."""
        for branch in self.branches:
            if branch.name == name:
                return branch
        known = ", ".join(branch.name for branch in self.branches)
        raise MirrorError(f"the mirror has no branch {name}: it has {known}")

    def with_branch(self, branch: CatalogueBranch) -> Catalogue:
        """The same with `branch` in the place of the one of that name, or as the newest after edge."""
        names = [known.name for known in self.branches]
        if branch.name in names:
            kept = tuple(branch if known.name == branch.name else known for known in self.branches)
            return replace(self, branches=kept)
        edge = tuple(known for known in self.branches if known.name == EDGE)
        others = tuple(known for known in self.branches if known.name != EDGE)
        return replace(self, branches=(*edge, branch, *others))

    def at_release(self, branch_name: str, version: str) -> Catalogue:
        """Upstream at the time when `version` was the newest of its branch; MirrorError for a version not listed."""
        branch = self.branch(branch_name)
        for index, release in enumerate(branch.releases):
            if release.version == version:
                return self.with_branch(replace(branch, releases=branch.releases[index:], packaged=None))
        known = ", ".join(release.version for release in branch.releases)
        raise MirrorError(f"branch {branch_name} has no release {version}: it has {known or 'none'}")

    def with_release(self, branch_name: str, version: str, day: date) -> Catalogue:
        """The same after `version` came out as the newest release of its branch."""
        branch = self.branch(branch_name)
        older = tuple(release for release in branch.releases if release.version != version)
        newest = (PointRelease(version, day), *older)
        return self.with_branch(replace(branch, releases=newest, packaged=None))


def _releases(*rows: tuple[str, str]) -> tuple[PointRelease, ...]:
    return tuple(PointRelease(version, date.fromisoformat(day)) for version, day in rows)


DEFAULT_CATALOGUE = Catalogue(
    latest_stable="v3.23",
    branches=(
        CatalogueBranch(EDGE, packaged="3.24_alpha20261001"),
        CatalogueBranch(
            "v3.23",
            released=date(2025, 12, 3),
            end_of_life=date(2027, 11, 1),
            releases=_releases(("3.23.6", "2026-09-17"), ("3.23.5", "2026-07-02"), ("3.23.0", "2025-12-03")),
        ),
        CatalogueBranch(
            "v3.22",
            released=date(2025, 5, 30),
            end_of_life=date(2027, 5, 1),
            releases=_releases(("3.22.6", "2026-09-17"), ("3.22.0", "2025-05-30")),
        ),
        CatalogueBranch(
            "v3.20",
            released=date(2024, 5, 22),
            end_of_life=date(2026, 4, 1),
            releases=_releases(("3.20.10", "2026-03-12"), ("3.20.9", "2026-01-27"), ("3.20.0", "2024-05-22")),
        ),
    ),
)


def releases_json(catalogue: Catalogue, key_url: str) -> str:
    """The text of releases.json; `key_url` is where the signing key's public half is served."""
    document = {
        "architectures": [ARCH],
        "latest_stable": catalogue.latest_stable,
        "release_branches": [_branch_entry(branch, key_url) for branch in catalogue.branches],
    }
    return json.dumps(document, indent=2) + "\n"


def _branch_entry(branch: CatalogueBranch, key_url: str) -> dict[str, object]:
    entry: dict[str, object] = {
        "arches": [ARCH],
        "git_branch": "master" if branch.name == EDGE else f"{branch.name.removeprefix('v')}-stable",
        "keys": {ARCH: _key_entries(branch, key_url)},
        "rel_branch": branch.name,
        "repos": [_repository(branch, name) for name in REPOSITORIES],
    }
    if branch.released is not None:
        entry["branch_date"] = branch.released.isoformat()
    if branch.end_of_life is not None:
        entry["eol_date"] = branch.end_of_life.isoformat()
    if branch.name != EDGE:
        entry["releases"] = [
            {"date": release.day.isoformat(), "version": release.version} for release in branch.releases
        ]
    return entry


def _key_entries(branch: CatalogueBranch, key_url: str) -> list[dict[str, str]]:
    """The mirror's own key, and those of upstream's site that are deprecated."""
    own, _, file = key_url.rpartition("/")
    days = {file: None, **{name: day.isoformat() for name, day in branch.deprecated_keys}}
    return [
        {"url": f"{own if name == file else KEY_PLACE}/{name}"} | ({"deprecated_since": day} if day else {})
        for name, day in days.items()
    ]


def _repository(branch: CatalogueBranch, name: str) -> dict[str, str]:
    return {"name": name} | ({"eol_date": branch.end_of_life.isoformat()} if branch.end_of_life else {})


class _PlainDumper(yaml.SafeDumper):
    """Writes equal values out in full, as upstream does."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def latest_releases_yaml(branch: CatalogueBranch, version: str) -> str:
    """The text of latest-releases.yaml for one branch; the media it names are not served, and it says so."""
    days = {release.version: release.day for release in branch.releases}
    day = days.get(version, date(2026, 10, 1))
    rows = []
    for flavor, title, ending in _FLAVORS:
        file = f"{flavor}-{version}-{ARCH}.{ending}"
        rows.append(
            {
                "title": title,
                "desc": "Listed by the local cloud's fixture mirror; the file itself is not served.",
                "branch": branch.name,
                "arch": ARCH,
                "version": version,
                "flavor": flavor,
                "file": file,
                "iso": file,
                "date": day,
                "time": datetime.combine(day, time(12), UTC).strftime("%H:%M:%S"),
                "size": 0,
                "sha256": hashlib.sha256().hexdigest(),
                "sha512": hashlib.sha512().hexdigest(),
            }
        )
    return yaml.dump(rows, Dumper=_PlainDumper, sort_keys=False, explicit_start=True)
