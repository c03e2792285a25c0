"""Writes the site: its pages as HTML, into a new folder that takes the old one's place when it is whole."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from urllib.parse import quote, unquote

from jinja2 import Environment, PackageLoader, StrictUndefined

from omi.publish.atom import render_atom
from omi.publish.feed import SCHEMA_FILES, Feed
from omi.publish.manifest import MANIFEST, SIGNATURE, SIGNERS, PublishedManifest
from omi.publish.old import is_old
from omi.publish.site.pages import Pages, pages_of
from omi.support.errors import InputError, ToolError
from omi.support.reading import real_path, require_file, why_unread

MARK = ".alpine-omi-site"
"""Marks a folder that this program made and may replace."""
_HERE = Path(__file__).parent
_FIRMWARE = {"bios": "BIOS", "uefi": "UEFI", "hybrid": "BIOS and UEFI"}


def build_site(releases: Path, output: Path) -> list[str]:
    """Write the site of the feeds in `releases` into `output`; returns lines for people.

    InputError if there is no such folder, a feed can't be read, or `output` holds anything but an earlier site.
    """
    feeds = _feeds(releases)
    _require_replaceable(output, releases)
    documents = _Documents(releases)
    pages = pages_of(feeds, documents.read)
    files = {**_data_files(releases, feeds), **documents.found}
    signed = PublishedManifest.read(releases)
    whole = all((releases / name).is_file() for name in (SIGNATURE, SIGNERS))
    if signed and whole and signed.holds(files):
        pages = replace(pages, manifest=signed)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as made:
            site = Path(made) / "new"
            for path, content in _contents(releases, pages, files):
                (site / path).parent.mkdir(parents=True, exist_ok=True)
                (site / path).write_bytes(content)
            if output.exists():
                output.rename(Path(made) / "old")
            site.rename(output)
    except OSError as error:
        raise ToolError(f"{output}: the site can't be written: {error.strerror}; make it writable") from error
    lines = []
    if documents.missing:
        lines.append(
            f"{releases}: documents that are missing or changed: {documents.missing}; the pages do without them"
        )
    if signed and not pages.manifest:
        lines.append(
            f"{releases}: {MANIFEST} is older than the files, so the site has no signature; sign them by "
            "`python -m omi publish -s STACK`"
        )
    return [*lines, f"{output}: {len(pages.images)} images; open {output / 'index.html'}"]


def _feeds(releases: Path) -> list[Feed]:
    if not releases.is_dir():
        raise InputError(f"{releases}: is not a folder; give one with releases files: --releases FOLDER")
    for path in sorted(releases.glob("*.yaml")):
        if not path.with_suffix(".json").exists() and not is_old(_text(path)):
            cure = "write it by `python -m omi publish -s STACK`"
            raise InputError(f"{path.with_suffix('.json')}: is missing beside {path.name}; {cure}")
    return [Feed.read(path) for path in sorted(releases.glob("*.json")) if path.name not in SCHEMA_FILES]


def _text(path: Path) -> str:
    try:
        require_file(path)
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: {why_unread(path, error)}") from error


def _require_replaceable(output: Path, releases: Path) -> None:
    here, there = real_path(output), real_path(releases)
    if there.is_relative_to(here) or here.is_relative_to(there):
        raise InputError(f"--output {output}: is in or around {releases}; give a folder of its own")
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise InputError(f"--output {output}: is not a folder; give another one")
    if output.is_dir() and any(output.iterdir()) and not (output / MARK).exists():
        raise InputError(f"--output {output}: holds what is not a site of this program; give an empty or a new folder")


class _Documents:
    """The documents beside the feeds; only those with the feed's digests come into the site."""

    def __init__(self, releases: Path) -> None:
        self._top = real_path(releases)
        self.found: dict[str, bytes] = {}
        """Content by path."""
        self.missing = 0

    def read(self, href: str, sha256: str) -> str | None:
        relative = unquote(href)
        path = real_path(self._top / relative)
        if path.is_relative_to(self._top) and "/" in relative and path.is_file():
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == sha256:
                self.found[str(path.relative_to(self._top))] = content
                return content.decode("utf-8", "replace")
        self.missing += 1
        return None


def _data_files(releases: Path, feeds: Iterable[Feed]) -> dict[str, bytes]:
    """The files for programs, by name."""
    names = (f"{feed.profile}.{ending}" for feed in feeds for ending in ("json", "yaml"))
    return {name: (releases / name).read_bytes() for name in names if (releases / name).is_file()}


def _contents(releases: Path, pages: Pages, files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Path and content of everything in the site."""
    yield from files.items()
    for name in (MANIFEST, SIGNATURE, SIGNERS) if pages.manifest else ():
        yield name, (releases / name).read_bytes()
    for schema in SCHEMA_FILES:
        yield schema, (_HERE.parent / schema).read_bytes()
    for asset in sorted((_HERE / "assets").iterdir()):
        yield f"assets/{asset.name}", asset.read_bytes()
    for name, text in render_pages(pages):
        yield name, text.encode("utf-8")
    yield MARK, b""


def render_pages(pages: Pages) -> Iterator[tuple[str, str]]:
    """Path from the site's top and text of each file; the same pages give the same bytes."""
    environment = Environment(
        loader=PackageLoader("omi.publish.site"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters |= {
        "day": _day,
        "firmware": lambda name: _FIRMWARE.get(name, name),
        "mebibytes": lambda number: "" if number is None else f"{number / 2**20:.0f} MiB",
        "quote": quote,
        "seconds": lambda number: "" if number is None else f"{number} s",
    }
    yield "index.html", environment.get_template("index.html.j2").render(pages=pages, top="")
    image = environment.get_template("image.html.j2")
    for page in pages.images:
        yield unquote(page.path), image.render(pages=pages, page=page, image=page.image, top="../../")
    places = {id(page.image): page.path for page in pages.images}
    for feed in pages.feeds:
        yield f"{feed.profile}.atom.xml", render_atom(feed, lambda image: places[id(image)])


def _day(day: date) -> str:
    """23 November 2026"""
    return f"{day.day} {day:%B %Y}"
