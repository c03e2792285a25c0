"""What a stack learns of fixes: over HTTP, by the repositories of its builds, and without the site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from omi.profile.content import ALPINE_CDN
from omi.profile.model import Target
from omi.upstream import security
from omi.upstream.packages import read_offered
from omi.upstream.security import Security, place_of, read_security
from tests.omi.upstream.packages import Key, index_text, signed
from tests.omi.upstream.site import Page, Site, serving
from tests.omi.upstream.test_fixes import file, source

KEY = Key()
BUILD = Target(
    profile="p",
    name="a",
    version="3.23",
    rebuild_on="security",
    repos={
        f"{ALPINE_CDN}/v3.23/main": True,
        f"{ALPINE_CDN}/v3.23/community": True,
        f"{ALPINE_CDN}/edge/testing": "testing",
        "https://packages.example.org/v3.23/main": True,
    },
    packages={"foot": "testing"},
    keys=KEY.trusted,
)
OPENSSL = source("openssl", v3_5_9=["CVE-2026-1"])
FIXED = {"openssl": {"3.5.9": ("CVE-2026-1",)}}


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        site.pages["/security/v3.23/main.json"] = Page(file(OPENSSL), etag='"one"')
        site.pages["/security/v3.23/community.json"] = Page(file(repository="community"))
        yield site


def ask(site: Site, cache: Path, *builds: Target, limit: float = 5.0) -> Security:
    return read_security(builds or (BUILD,), f"http://127.0.0.1:{site.port}/security/", cache, limit)


def test_each_repository_of_the_mirror_is_asked_for_once(site: Site, tmp_path: Path) -> None:
    found = ask(site, tmp_path, BUILD, BUILD.model_copy(update={"name": "b"}))
    assert found.fixes == {"v3.23/main": FIXED, "v3.23/community": {}}
    assert sorted(path for path, _ in site.asked) == [
        "/security/edge/testing.json", "/security/v3.23/community.json", "/security/v3.23/main.json",
    ]  # fmt: skip


def test_a_repository_that_upstream_has_no_data_of_is_no_news(site: Site, tmp_path: Path) -> None:
    """Such as edge's testing."""
    found = ask(site, tmp_path)
    assert found.warnings == ()
    assert found.knows(BUILD)


def test_a_build_without_any_data_is_named(site: Site, tmp_path: Path) -> None:
    edge = Target(profile="p", name="e", version="edge", repos={f"{ALPINE_CDN}/edge/main": True})
    (warning,) = ask(site, tmp_path, BUILD, edge).warnings
    assert warning.endswith("/security/: has no security data for e, so which fixes there are is not known")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (Page(status=503), "the server answered 503"),
        (Page(status=302, headers={"Location": "/"}), "the server answered 302"),
        (Page(b"<html>log in</html>"), "is not security data"),
        (Page(file(OPENSSL, branch="v3.22")), "is not the security data of v3.23/main"),
        (Page(hangs=True), "no answer"),
        (Page(drips=True), "no answer"),
        (Page(b" " * 99_999), "the answer is too long"),
    ],
)
def test_a_broken_file_is_one_warning_and_the_last_good_one_counts(
    site: Site, tmp_path: Path, page: Page, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(site, tmp_path)
    monkeypatch.setattr(security, "MAX_FILE", 50_000)
    site.pages["/security/v3.23/main.json"] = page
    found = ask(site, tmp_path, limit=1.0)
    assert found.fixes["v3.23/main"] == FIXED
    assert not found.knows(BUILD)
    (warning,) = found.warnings
    assert "/security/v3.23/main.json: " in warning
    assert said in warning
    assert warning.endswith("; the answer of an earlier run counts")
    without = ask(site, tmp_path / "other", limit=1.0)
    assert without.fixes.keys() == {"v3.23/community"}
    assert [line.endswith("; going on without it") for line in without.warnings] == [True]


def test_unchanged_files_are_not_sent_again(site: Site, tmp_path: Path) -> None:
    first = ask(site, tmp_path)
    site.asked.clear()
    assert ask(site, tmp_path) == first
    assert ("/security/v3.23/main.json", 304) in site.asked


@pytest.mark.parametrize(
    "url", ["https://a.test/alpine/v3.23/main/../x", "https://b.test/v3.23/main", "https://a.test/alpine/v3/main"]
)
def test_only_the_mirrors_own_branches_have_a_place(url: str) -> None:
    assert place_of("https://a.test/alpine/v3.23/main/", "https://a.test/alpine/") == "v3.23/main"
    assert place_of(url, "https://a.test/alpine") is None


def test_an_offer_knows_what_is_fixed_in_a_package_by_its_source(site: Site, tmp_path: Path) -> None:
    def index(name: str) -> Page:
        return Page(signed(index_text({name: "3.5.9-r0"}).replace(f"o:{name}", "o:openssl"), KEY))

    build = BUILD.model_copy(update={"repos": {f"{ALPINE_CDN}/v3.23/{name}": True for name in ("main", "community")}})
    mirror = f"http://127.0.0.1:{site.port}/alpine"
    site.pages["/alpine/v3.23/main/x86_64/APKINDEX.tar.gz"] = index("libssl3")
    site.pages["/alpine/v3.23/community/x86_64/APKINDEX.tar.gz"] = index("other")
    fixes = {"v3.23/main": {"openssl": {"3.5.9-r0": ("CVE-2026-1",)}}}
    offer = read_offered([build], mirror, (), tmp_path, fixes=fixes).offers["a"]
    assert offer.fixes("libssl3", "3.5.8-r0", "3.5.9-r0") == ("CVE-2026-1",)
    assert offer.fixes("libssl3", "3.5.9-r0", "3.5.10-r0") is None
    assert offer.fixes("other", "3.5.8-r0", "3.5.9-r0") is None, "a source of the same name in another repository"
    assert offer.fixes("gone", "3.5.8-r0", "3.5.9-r0") is None
