"""The pages as values: each image with its place in the site, its documents, its changes and its charts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from urllib.parse import quote

from omi.publish.documents.installed import ListedPackage, read_packages
from omi.publish.feed import Feed, FeedImage
from omi.publish.manifest import PublishedManifest
from omi.publish.model import Withdrawn
from omi.publish.site.changes import Changes, changes_between
from omi.publish.site.charts import Chart, Reading, draw
from omi.publish.site.launch import launch_lines
from omi.support.version import EDGE, release_key, revision_key, version_key

CHART_IMAGES = 20
"""A chart and its table show this many images at most, the newest."""

ReadDocument = Callable[[str, str], str | None]
"""The text of the file at a path in the releases folder, if it is there and has the SHA-256 that is given."""


@dataclass(frozen=True)
class RegionalOmi:
    """An OMI of an image in one Region."""

    region: str
    omi: str
    lines: dict[str, str]
    """The texts that launch it, by tool."""
    withdrawal: Withdrawn | None
    documents: dict[str, tuple[str, str]]
    """Kind to path from the site's top and SHA-256, of those that are there."""


@dataclass
class Page:
    """One image."""

    profile: str
    image: FeedImage
    path: str
    """From the site's top, as a URL."""
    places: tuple[RegionalOmi, ...]
    latest: str
    """That it is the latest of its version, and where if it isn't so everywhere; else empty."""
    packages: tuple[ListedPackage, ...] = ()
    previous: Page | None = None
    following: Page | None = None
    history: tuple[Page, ...] = ()
    """The build's images up to the newest, oldest first."""
    changes: Changes | None = None
    """Since `previous`, where both have their list of packages."""
    charts: tuple[Chart, ...] = field(default=())

    @cached_property
    def used(self) -> str:
        """The bytes in the root filesystem, with unit; here and below empty if unknown."""
        return _mebibytes(self.image.used_bytes)

    @cached_property
    def trimmed(self) -> str:
        """The most bytes that the snapshot holds, with unit."""
        return _mebibytes(self.image.trimmed_bytes)

    @cached_property
    def boot(self) -> str:
        """From start to SSH, with its unit."""
        return "" if self.image.boot_seconds is None else f"{self.image.boot_seconds} s"


def _mebibytes(number: int | None) -> str:
    return "" if number is None else f"{number / 2**20:.0f} MiB"


@dataclass(frozen=True)
class LatestVersion:
    """The latest image of a version of Alpine in each Region, the rows by Region."""

    profile: str
    version: str
    arch: str
    rows: list[tuple[Page, RegionalOmi]]


@dataclass(frozen=True)
class Pages:
    """All of the site, and what its filters offer."""

    feeds: tuple[Feed, ...]
    images: tuple[Page, ...]
    """Newest first."""
    manifest: PublishedManifest | None = None
    """The signed one of the feeds and documents, if they are still what was signed."""

    @property
    def filters(self) -> dict[str, tuple[str, list[str]]]:
        """Key to what it is called and the values to choose from; what leaves no choice is left out."""
        images = [page.image for page in self.images]
        offered: dict[str, tuple[str, Iterable[str]]] = {
            "version": ("Version", sorted({i.version for i in images}, key=version_key, reverse=True)),
            "arch": ("Architecture", sorted({i.arch for i in images})),
            "region": ("Region", sorted({region for i in images for region in i.ids})),
            "firmware": ("Firmware", sorted({i.firmware for i in images if i.firmware})),
        }
        if len(self.feeds) > 1:
            offered["profile"] = ("Profile", [feed.profile for feed in self.feeds])
        return {key: (label, list(values)) for key, (label, values) in offered.items()}

    @property
    def latest(self) -> list[LatestVersion]:
        """The latest images of each version, the newest version first, edge last."""
        known = {(page.profile, place.omi): (page, place) for page in self.images for place in page.places}
        found = [
            LatestVersion(feed.profile, version, arch, rows)
            for feed in self.feeds
            for version, archs in feed.latest.version.items()
            for arch, regions in archs.items()
            if (rows := [known[key] for pointer in regions.values() if (key := (feed.profile, pointer.id)) in known])
        ]
        return sorted(found, key=lambda one: (one.version != EDGE, version_key(one.version)), reverse=True)


def pages_of(feeds: Sequence[Feed], read: ReadDocument) -> Pages:
    """The pages of these feeds; `read` gives the documents beside them."""
    taken: set[str] = set()
    pages: list[Page] = []
    for feed in feeds:
        of_feed = [_page(feed, image, taken, read) for image in feed.images]
        for build in {page.image.build for page in of_feed}:
            _connect([page for page in of_feed if page.image.build == build])
        pages += of_feed
    pages.sort(key=lambda page: page.image.created, reverse=True)
    return Pages(tuple(feeds), tuple(pages))


def _page(feed: Feed, image: FeedImage, taken: set[str], read: ReadDocument) -> Page:
    places, packages = [], ""
    for region, omi in image.ids.items():
        documents = {}
        files = image.documents.get(region, {})
        for kind, document in sorted(files.items(), key=lambda item: (item[0] != "sbom", item[0])):
            text = read(document.href, document.sha256)
            if text is not None:
                documents[kind] = (document.href, document.sha256)
                packages = packages or (text if kind == "packages" else "")
        places.append(RegionalOmi(region, omi, launch_lines(omi, image.user), image.withdrawal.get(region), documents))
    return Page(
        profile=feed.profile,
        image=image,
        path=f"images/{_file_name(feed.profile, (), set())}/{_file_name(image.name, (image.build,), taken)}.html",
        places=tuple(places),
        latest=_latest(feed, image),
        packages=read_packages(packages),
    )


def _latest(feed: Feed, image: FeedImage) -> str:
    pointers = feed.latest.version.get(image.version, {}).get(image.arch, {})
    regions = [region for region, pointer in pointers.items() if image.ids.get(region) == pointer.id]
    if not regions:
        return ""
    where = "" if len(regions) == len(pointers) else f" in {', '.join(regions)}"
    return f"latest of {image.version}{where}"


def _file_name(name: str, rest: Iterable[str], taken: set[str]) -> str:
    """A name that is safe as a file's, different also where upper and lower case are the same."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")
    if plain != name or plain.lower() in taken:
        plain = f"{plain[:100]}-{hashlib.sha256(chr(0).join((name, *rest)).encode()).hexdigest()[:8]}"
    taken.add(plain.lower())
    return quote(plain)


def _connect(build: list[Page]) -> None:
    """Give each image of a build the one before it, what changed since, and what was measured."""
    build.sort(key=lambda p: (release_key(p.image.release), revision_key(p.image.revision), p.image.created))
    for before, after in pairwise(build):
        before.following, after.previous = after, before
        if before.packages and after.packages:
            after.changes = changes_between(before.packages, after.packages)
    recent = tuple(build[-CHART_IMAGES:])
    for page in build:
        page.history = recent
        page.charts = tuple(_charts(page, recent))


def _in_mebibytes(number: int | None) -> float | None:
    return None if number is None else number / 2**20


def _charts(page: Page, recent: Sequence[Page]) -> Iterator[Chart]:
    series: tuple[tuple[str, str, Callable[[FeedImage], float | None]], ...] = (
        ("Space used", "MiB", lambda image: _in_mebibytes(image.used_bytes)),
        ("Snapshot at most", "MiB", lambda image: _in_mebibytes(image.trimmed_bytes)),
        ("Boot to SSH", "s", lambda image: image.boot_seconds),
    )
    for title, unit, value_of in series:
        readings = [Reading(each.image.name, value) for each in recent if (value := value_of(each.image)) is not None]
        if chart := draw(title, unit, readings, page.image.name):
            yield chart
