"""The gate of max_missing_fixes: what it lets through, and that nothing is left of what it doesn't."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from omi.profile.content import ALPINE_CDN
from omi.state.image import ImageSpec
from omi.support.errors import VerifyError
from tests.omi.build.parts import Bench, bench
from tests.omi.specs import remade
from tests.omi.upstream.site import Page, Site, serving
from tests.omi.upstream.test_fixes import file

__all__ = ["bench"]
PLACE = "/v3.23/main.json"
"""Of the security data; the packed image has musl 1.2.5-r23."""


@pytest.fixture
def site(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("ALPINE_OMI_CACHE", str(tmp_path / "cache"))
    with serving() as site:
        fixes = {"1.2.5-r24": ["CVE-2026-1", "CVE-2026-2"], "1.2.5-r22": ["CVE-2025-1"], "0": ["CVE-2026-9"]}
        site.pages[PLACE] = Page(file({"pkg": {"name": "musl", "secfixes": fixes}}))
        yield site


def gated(bench: Bench, site: Site, most: int | None) -> ImageSpec:
    security = f"http://127.0.0.1:{site.port}" if most is not None else None
    repos = {f"{ALPINE_CDN}/v3.23/main": True}
    return remade(bench.account.spec(), max_missing_fixes=most, security=security, repos=repos)


def test_an_image_that_lacks_no_more_than_allowed_is_made(bench: Bench, site: Site) -> None:
    record = bench.build(gated(bench, site, 2))
    assert bench.account.left() == {"image": [record.omi]}
    assert "it lacks 2 of the fixes that Alpine lists, 2 are allowed" in bench.said.getvalue()


def test_one_that_lacks_more_is_told_in_a_line_and_nothing_of_it_is_left(bench: Bench, site: Site) -> None:
    spec = gated(bench, site, 1)
    with pytest.raises(VerifyError) as caught:
        bench.build(spec)
    assert str(caught.value) == (
        f"{spec.name}: lacks 2 fixes, max_missing_fixes is 1: musl 1.2.5-r23 → 1.2.5-r24 (CVE-2026-1, CVE-2026-2); "
        "build again once the mirror offers them, or allow more"
    )
    assert bench.account.left() == {}
    assert bench.booted == [], "no VM is spent on it"


@pytest.mark.parametrize("page", [Page(status=503), Page(b"no data"), Page(status=404)])
def test_where_they_can_not_be_counted_nothing_passes(bench: Bench, site: Site, page: Page) -> None:
    site.pages[PLACE] = page
    with pytest.raises(VerifyError, match=r"can't be counted: .*; run again, or take max_missing_fixes out"):
        bench.build(gated(bench, site, 9))
    assert bench.account.left() == {}


def test_who_sets_no_gate_asks_nobody(bench: Bench, site: Site) -> None:
    bench.build(gated(bench, site, None))
    assert site.asked == []
