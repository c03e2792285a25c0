"""The Atom feed says what RFC 4287 wants, and the same again for the same images."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID
from xml.etree import ElementTree as ET

from omi.publish.atom import NEWEST, render_atom
from omi.publish.feed import feed_of
from omi.publish.model import PublishedImage, with_images
from tests.omi.publish.test_feed import EU, US, entry, withdrawn

ATOM = "{http://www.w3.org/2005/Atom}"


def rendered(*entries: PublishedImage) -> ET.Element:
    return ET.fromstring(render_atom(feed_of("alpine", entries)))  # noqa: S314 - our own text


def text(element: ET.Element, name: str) -> str:
    """The text of the one child of this name."""
    (found,) = element.findall(ATOM + name)
    return found.text or ""


def test_feed_and_entries_have_what_the_standard_wants() -> None:
    documents = {"eu-west-2": {"sbom": f"sha256:{1:064x}"}}
    feed = rendered(entry(documents=documents), entry("3.22.2"))
    entries = feed.findall(f"{ATOM}entry")
    assert feed.tag == f"{ATOM}feed"
    assert text(feed.find(f"{ATOM}author") or feed, "name")
    assert [link.get("rel") for link in feed.findall(f"{ATOM}link")] == ["self", "related"]
    ids = [text(element, "id") for element in (feed, *entries)]
    assert len(set(ids)) == 3
    assert all(str(UUID(each.removeprefix("urn:uuid:"))) in each for each in ids)
    for element in (feed, *entries):
        assert text(element, "title")
        assert datetime.fromisoformat(text(element, "updated")).tzinfo
        assert all(not urlsplit(link.get("href", "")).scheme for link in element.findall(f"{ATOM}link"))
    # without a page of its own an entry must have content
    assert all("eu-west-2: ami-" in text(each, "content") for each in entries)


def test_the_newest_come_first_and_old_ones_are_left_to_the_json() -> None:
    titles = [text(each, "title") for each in rendered(*map(made, range(NEWEST + 5))).findall(f"{ATOM}entry")]
    assert titles == [f"alpine-3.23.6-x86_64-r{revision}" for revision in range(NEWEST + 4, 4, -1)]


def made(number: int) -> PublishedImage:
    return entry(revision=number, created=datetime.fromtimestamp(1000 + number, UTC))


def test_a_revocation_and_a_deprecation_are_news_of_their_days() -> None:
    told = {"stage": "private", "why": "revoked", "reason": "its sshd takes any key", "since": "2026-11-23"}
    revoked = entry(revision=1, withdrawal={EU: told})
    feed = rendered(revoked, withdrawn(entry(), "deprecated", EU, since="2026-12-01"))
    first, second = feed.findall(f"{ATOM}entry")
    assert "in eu-west-2 revoked: its sshd takes any key" in text(first, "content").splitlines()
    # it was made earlier on the very day
    assert (text(first, "published"), text(first, "updated")) == ("2026-11-23T00:01:00Z", "2026-11-23T23:59:59Z")
    assert "in eu-west-2 deprecated, to be removed on 2026-12-24" in text(second, "content").splitlines()
    assert text(second, "updated") == text(feed, "updated") == "2026-12-01T00:00:00Z"


def test_a_revoked_image_stays_in_the_feed_however_old_it_is() -> None:
    old = [made(0).changed(withdrawal={EU: {"stage": "private", "why": "revoked"}}), withdrawn(made(1), "private", EU)]
    feed = rendered(*old, *map(made, range(2, NEWEST + 2)))
    assert [text(each, "title") for each in feed.findall(f"{ATOM}entry")] == [
        f"alpine-3.23.6-x86_64-r{number}" for number in (*range(NEWEST + 1, 1, -1), 0)
    ]


def test_an_entry_keeps_its_id_when_the_image_comes_to_another_region() -> None:
    one = rendered(entry()).find(f"{ATOM}entry")
    two = rendered(*with_images([entry()], [entry(region=US)])).find(f"{ATOM}entry")
    other = rendered(entry(revision=1)).find(f"{ATOM}entry")
    assert one is not None
    assert two is not None
    assert other is not None
    assert text(one, "id") == text(two, "id") != text(other, "id")
    assert "us-east-2: ami-" in text(two, "content")


def test_without_images_it_is_still_a_feed() -> None:
    feed = rendered()
    assert not feed.findall(f"{ATOM}entry")
    assert text(feed, "updated") == "1970-01-01T00:00:00Z"


def test_hostile_text_is_text_and_what_xml_cannot_hold_is_replaced() -> None:
    hostile = "<script>alert(1)</script> ]]> &amp; \u0001\ufffe"
    (found,) = rendered(entry(name=hostile)).findall(f"{ATOM}entry")
    assert text(found, "title") == f"<script>alert(1)</script> ]]> &amp; {2 * chr(0xFFFD)}"


def test_an_image_s_page_is_its_link_where_there_are_pages() -> None:
    feed = feed_of("alpine", [entry()])
    root = ET.fromstring(render_atom(feed, lambda image: f"images/{image.name}.html"))  # noqa: S314
    link = root.find(f"{ATOM}entry/{ATOM}link[@rel='alternate']")
    assert link is not None
    assert link.get("href") == "images/alpine-3.23.6-x86_64-r0.html"
