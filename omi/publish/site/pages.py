"""The pages as values: each image with its place in the site, its documents, its changes and its charts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import quote

from omi.publish.documents.installed import ListedPackage, read_packages
from omi.publish.feed import Feed, FeedImage
from omi.publish.latest import Pointer
from omi.publish.manifest import PublishedManifest
from omi.publish.model import Withdrawn
from omi.publish.site.charts import Chart, draw
from omi.publish.site.launch import launch_lines
from omi.support.version import EDGE, release_key, revision_key

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
    """The texts that launch it, by tool; empty if it must not be launched."""
    withdrawal: Withdrawn | None
    documents: dict[str, tuple[str, str]]
    """Kind to path from the site's top and SHA-256, of those that are there."""


@dataclass(frozen=True)
class Changes:
    """The packages that differ between an image and the next one of its build, sorted by name."""

    added: tuple[ListedPackage, ...]
    removed: tuple[ListedPackage, ...]
    changed: tuple[tuple[ListedPackage, ListedPackage], ...]
    """Before and after."""

    @property
    def count(self) -> int:
        """The number of packages that were added, removed or changed."""
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


@dataclass
class Page:
    """One image."""

    profile: str
    image: FeedImage
    path: str
    """Its URL from the site's top."""
    places: tuple[RegionalOmi, ...]
    latest: str
    """The words that it is the latest of its version, with the Regions if not in all; else empty."""
    packages: tuple[ListedPackage, ...] = ()
    previous: Page | None = None
    following: Page | None = None
    history: tuple[Page, ...] = ()
    """The build's images up to the newest, oldest first."""
    changes: Changes | None = None
    """The changes since `previous`, if both have their list of packages."""
    charts: tuple[Chart, ...] = ()
    newest: Mapping[str, Page] = field(default_factory=dict)
    """The build's latest image by Region, as the feed names it."""


@dataclass(frozen=True)
class Pages:
    """All of the site, and what its filters offer."""

    feeds: tuple[Feed, ...]
    images: tuple[Page, ...]
    """Newest first."""
    manifest: PublishedManifest | None = None
    """The signed manifest, if feeds and documents haven't changed since."""

    @property
    def filters(self) -> dict[str, tuple[str, list[str]]]:
        """Key to its label and the values to choose from; a filter without a choice is left out."""
        images = [page.image for page in self.images]
        offered = {
            "version": ("Version", sorted({i.version for i in images}, key=release_key, reverse=True)),
            "arch": ("Architecture", sorted({i.arch for i in images})),
            "region": ("Region", sorted({region for i in images for region in i.ids})),
            "firmware": ("Firmware", sorted({i.firmware for i in images if i.firmware})),
        }
        if len(self.feeds) > 1:
            offered["profile"] = ("Profile", [feed.profile for feed in self.feeds])
        return offered

    @property
    def latest(self) -> list[tuple[str, str, list[tuple[Page, RegionalOmi]]]]:
        """Version, profile and the latest images by Region, the newest version first, edge last."""
        known = {(page.profile, place.omi): (page, place) for page in self.images for place in page.places}
        found = [
            (version, feed.profile, rows)
            for feed in self.feeds
            for version, archs in feed.latest.version.items()
            for regions in archs.values()
            if (rows := [known[key] for pointer in regions.values() if (key := (feed.profile, pointer.id)) in known])
        ]
        return sorted(found, key=lambda one: (one[0] != EDGE, release_key(one[0])), reverse=True)


def pages_of(feeds: Sequence[Feed], read: ReadDocument) -> Pages:
    """The pages of these feeds; `read` gives the documents beside them."""
    taken: set[str] = set()
    pages: list[Page] = []
    for feed in feeds:
        of_feed = [_page(feed, image, taken, read) for image in feed.images]
        for build in {page.image.build for page in of_feed}:
            _connect([page for page in of_feed if page.image.build == build], feed.latest.build.get(build, {}))
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
        withdrawal = image.withdrawal.get(region)
        lines = {} if withdrawal and withdrawal.is_revoked else launch_lines(omi, image.user)
        places.append(RegionalOmi(region, omi, lines, withdrawal, documents))
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


def _connect(build: list[Page], latest: Mapping[str, Pointer]) -> None:
    """Give each image of a build the one before it, what changed since, what was measured, and the latest ones."""
    build.sort(key=lambda p: (release_key(p.image.release), revision_key(p.image.revision), p.image.created))
    for before, after in pairwise(build):
        before.following, after.previous = after, before
        if before.packages and after.packages:
            after.changes = changes_between(before.packages, after.packages)
    recent = tuple(build[-CHART_IMAGES:])
    known = {place.omi: page for page in build for place in page.places}
    newest = {region: known[pointer.id] for region, pointer in latest.items() if pointer.id in known}
    for page in build:
        page.newest = newest
        page.history = recent
        page.charts = tuple(_charts(page, recent))


def _charts(page: Page, recent: Sequence[Page]) -> Iterator[Chart]:
    for title, unit, key, share in (
        ("Space used", "MiB", "used_bytes", 2**20),
        ("Snapshot at most", "MiB", "trimmed_bytes", 2**20),
        ("Boot to SSH", "s", "boot_seconds", 1),
    ):
        known = [(value / share, each is page) for each in recent if (value := getattr(each.image, key)) is not None]
        if chart := draw(title, unit, known):
            yield chart
