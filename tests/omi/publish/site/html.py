"""Pages as a reader without scripts gets them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_VOID = {"br", "circle", "hr", "img", "input", "link", "meta", "path", "polygon", "polyline"}


@dataclass
class Html:
    """What a page consists of."""

    text: str = ""
    links: list[str] = field(default_factory=list)
    """Every href and src."""
    ids: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Html()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.tags.append(tag)
        for name, value in attrs:
            self.page.attributes.append((name, value or ""))
            if name in {"href", "src"}:
                self.page.links.append(value or "")
            if name == "id":
                self.page.ids.append(value or "")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if tag in {"td", "th", "dt", "dd"}:
            self.page.text += " "
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.page.unclosed.append(tag)

    def handle_data(self, data: str) -> None:
        self.page.text += data


def read_html(path: Path) -> Html:
    """Parse a page."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.page.unclosed += reader.open
    return reader.page


def broken_links(site: Path) -> list[str]:
    """Every link of every page that leads nowhere in the site, or out of it."""
    wrong = []
    for path in sorted(site.rglob("*.html")):
        for link in read_html(path).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or parts.path.startswith("/"):
                wrong.append(f"{path}: {link}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            inside = target.is_file() and target.is_relative_to(site.resolve())
            if not inside or (parts.fragment and parts.fragment not in read_html(target).ids):
                wrong.append(f"{path}: {link}")
    return wrong
