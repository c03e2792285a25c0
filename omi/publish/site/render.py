"""The pages as HTML, and the Atom feeds that link to them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from urllib.parse import quote, unquote

from jinja2 import Environment, PackageLoader, StrictUndefined

from omi.publish.atom import render_atom
from omi.publish.site.pages import Pages

_FIRMWARE = {"bios": "BIOS", "uefi": "UEFI", "hybrid": "BIOS and UEFI"}


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
