"""The Atom feed (RFC 4287) of a profile's new and revoked images, for people and their feed readers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree as ET  # only written, never parsed

from omi.publish.feed import Feed, FeedImage

NEWEST = 50
"""The feed has this many of the newest images, and the revoked ones: readers fetch all of it each time, and have seen
older images before."""

_NAMESPACE = "http://www.w3.org/2005/Atom"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write (its production Char)."""


def render_atom(feed: Feed, page_of: Callable[[FeedImage], str] | None = None) -> str:
    """XML, newest image first; `page_of` gives an image's page, relative to this file, where there are pages."""
    images = [image for number, image in enumerate(feed.images) if number < NEWEST or image.is_revoked]
    root = ET.Element("feed", {"xmlns": _NAMESPACE})
    _add(root, "id", _id("profile", feed.profile))
    _add(root, "title", f"Alpine Linux OMIs on OUTSCALE: {feed.profile}")
    _add(root, "updated", _time(max(map(_updated, images), default=datetime.fromtimestamp(0, UTC))))
    _add(ET.SubElement(root, "author"), "name", "alpine-omi")
    ET.SubElement(
        root, "link", {"rel": "self", "type": "application/atom+xml", "href": quote(f"{feed.profile}.atom.xml")}
    )
    ET.SubElement(root, "link", {"rel": "related", "type": "application/json", "href": quote(f"{feed.profile}.json")})
    for image in images:
        root.append(_entry(feed, image, page_of))
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _entry(feed: Feed, image: FeedImage, page_of: Callable[[FeedImage], str] | None) -> ET.Element:
    entry = ET.Element("entry")
    # without the ids: an image that comes to one more Region is not a new one
    _add(entry, "id", _id("image", feed.profile, image.build, image.name, image.digest or ""))
    _add(entry, "title", image.name)
    _add(entry, "published", _time(image.created))
    _add(entry, "updated", _time(_updated(image)))
    if page_of:
        ET.SubElement(entry, "link", {"rel": "alternate", "type": "text/html", "href": page_of(image)})
    for region, documents in image.documents.items():
        for kind, document in documents.items():
            title = _clean(f"{kind}, {region}")
            ET.SubElement(entry, "link", {"rel": "related", "title": title, "href": document.href})
    for term in (image.version, image.arch):
        ET.SubElement(entry, "category", {"term": _clean(term)})
    _add(entry, "content", _content(image)).set("type", "text")
    return entry


def _content(image: FeedImage) -> str:
    ids = [f"{region}: {omi}" for region, omi in image.ids.items()]
    used = [f"used: {image.used_bytes / 2**20:.0f} MiB"] if image.used_bytes else []
    ends = [f"end of life: {image.end_of_life}"] if image.end_of_life else []
    state = [f"in {region} {withdrawal}" for region, withdrawal in image.withdrawal.items()]
    return "\n".join([image.description, *ids, *used, *ends, *state])


def _updated(image: FeedImage) -> datetime:
    """The time when it was made or came to its present stage.

    Only the day of a stage is known. For deprecated its start counts, for private its end. So a revocation is news even
    if the image was made or deprecated on the same day.
    """
    moments = [image.created]
    for withdrawal in image.withdrawal.values():
        if withdrawal.since:
            hour = time(23, 59, 59) if withdrawal.stage == "private" else time()
            moments.append(datetime.combine(withdrawal.since, hour, UTC))
    return max(moments)


def _id(*parts: str) -> str:
    """An id that stays the same wherever the feed lies."""
    return uuid5(NAMESPACE_URL, "\0".join(("alpine-omi", *parts))).urn


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _add(parent: ET.Element, name: str, text: str) -> ET.Element:
    child = ET.SubElement(parent, name)
    child.text = _clean(text)
    return child


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
