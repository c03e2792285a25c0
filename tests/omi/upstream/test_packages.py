"""What a stack learns of its builds' packages: over HTTP, from signed indexes, and without them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from omi.config.settings import Settings
from omi.profile.content import ALPINE_CDN
from omi.profile.model import Target
from omi.state.image import BuildVm
from omi.upstream.packages import Offered, read_offered
from tests.omi.upstream.packages import Key, index_text, signed
from tests.omi.upstream.site import Page, Site, serving

KEY, OTHER = Key(), Key("other-5678.rsa.pub")
MAIN, COMMUNITY, EDGE = (
    f"/alpine/{place}/x86_64/APKINDEX.tar.gz" for place in ("v3.23/main", "v3.23/community", "edge/testing")
)
BASE = {"alpine-base": "3.23.6-r0", "openssl": "3.5.8-r0"}
UNKNOWN = "whether newer packages are offered is not known, so only its content decides"
BUILD = Target(
    profile="p",
    name="a",
    version="3.23",
    rebuild_on="packages",
    repos={
        f"{ALPINE_CDN}/v3.23/main": True,
        f"{ALPINE_CDN}/v3.23/community": True,
        f"{ALPINE_CDN}/edge/testing": "testing",
        f"{ALPINE_CDN}/edge/main": False,
    },
    packages={"openssl": True, "foot": "testing"},
    keys=KEY.trusted,
    privileges="none",
)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        offer(site, MAIN, BASE)
        offer(site, COMMUNITY, {"nginx": "1-r0"})
        offer(site, EDGE, {"foot": "2-r0", "openssl": "9-r0"})
        yield site


def offer(site: Site, path: str, packages: dict[str, str], key: Key = KEY, etag: str = '"one"') -> None:
    site.pages[path] = Page(signed(index_text(packages), key), etag=etag)


def ask(site: Site, cache: Path, *builds: Target, keys: tuple[str, ...] = (), limit: float = 5.0) -> Offered:
    settings = Settings(region="eu-west-2", upstream=site.settings, vm=BuildVm(trusted_keys=keys))
    return read_offered(builds or (BUILD,), settings.upstream.mirror, settings.vm.trusted_keys, cache, limit)


def newest(offered: Offered, build: str = "a") -> dict[str, str | None]:
    offer = offered.offers[build]
    return {name: offer.newest(name) for name in ("alpine-base", "openssl", "nginx", "foot", "no-such")}


NEWEST = {"alpine-base": "3.23.6-r0", "openssl": "3.5.8-r0", "nginx": "1-r0", "foot": "2-r0", "no-such": None}


def test_the_packages_of_all_repositories_are_offered(site: Site, tmp_path: Path) -> None:
    offered = ask(site, tmp_path)
    assert newest(offered) == NEWEST
    assert offered.warnings == ()
    assert sorted(path for path, _ in site.asked) == sorted([MAIN, COMMUNITY, EDGE])


def test_unchanged_indexes_are_not_sent_again(site: Site, tmp_path: Path) -> None:
    first = ask(site, tmp_path)
    site.asked.clear()
    assert ask(site, tmp_path) == first
    assert {status for _, status in site.asked} == {304}


def test_builds_share_what_they_have_in_common(site: Site, tmp_path: Path) -> None:
    other = BUILD.model_copy(update={"name": "b", "packages": {"openssl<3.5": True}})
    offered = ask(site, tmp_path, BUILD, other)
    assert len(site.asked) == 3
    assert newest(offered) == NEWEST
    assert newest(offered, "b") == NEWEST | {"openssl": None}


@pytest.mark.parametrize("page", [Page(status=503), Page(status=404), Page(b"<html>log in</html>"), Page(hangs=True)])
def test_without_an_index_nothing_is_known_even_if_it_once_was(site: Site, tmp_path: Path, page: Page) -> None:
    """An earlier answer may be older than what another machine built from."""
    ask(site, tmp_path)
    site.pages[COMMUNITY] = page
    offered = ask(site, tmp_path, limit=4.0)
    assert offered.offers == {}
    (warning,) = offered.warnings
    assert warning.startswith(f"http://127.0.0.1:{site.port}{COMMUNITY}: ")
    assert f"a: {UNKNOWN}" in warning


@pytest.mark.parametrize("status", [404, 503])
def test_a_repository_that_the_server_does_not_have_is_named(site: Site, tmp_path: Path, status: int) -> None:
    site.pages[COMMUNITY] = Page(status=status)
    absent = ask(site, tmp_path).absent
    url = f"http://127.0.0.1:{site.port}{COMMUNITY}"
    cure = "correct the build's version or repos, or set upstream.mirror"
    line = f"a: {url}: the server has no such file, so there is no such repository; {cure}"
    assert absent == ({"a": {f"{ALPINE_CDN}/v3.23/community": line}} if status == 404 else {}), "an outage says nothing"


def test_a_package_that_apk_would_not_understand_is_named_and_the_others_go_on(site: Site, tmp_path: Path) -> None:
    other = BUILD.model_copy(update={"name": "b", "packages": {"nginx=latest": True}})
    offered = ask(site, tmp_path, BUILD, other)
    assert offered.offers.keys() == {"a"}
    (warning,) = offered.warnings
    assert warning == f"b: {UNKNOWN}: 'nginx=latest' is not a dependency"


class TestTrust:
    def test_an_index_by_another_key_leaves_its_build_out_naming_key_and_repository(
        self, site: Site, tmp_path: Path
    ) -> None:
        offer(site, COMMUNITY, {}, OTHER)
        offered = ask(site, tmp_path)
        assert offered.offers == {}
        assert f"{COMMUNITY}: is signed by {OTHER.name}, which is not trusted" in offered.untrusted["a"]
        assert offered.warnings == ()

    def test_it_is_not_kept(self, site: Site, tmp_path: Path) -> None:
        """What was refused must not answer for the right index, whatever validator it came with."""
        offer(site, COMMUNITY, {}, OTHER)
        assert ask(site, tmp_path).untrusted
        offer(site, COMMUNITY, {})
        assert ask(site, tmp_path).offers["a"].newest("openssl") == "3.5.8-r0"

    def test_the_stacks_own_trusted_keys_count(self, site: Site, tmp_path: Path) -> None:
        offer(site, COMMUNITY, {}, OTHER)
        (tmp_path / OTHER.name).write_text(OTHER.pem)
        keys = (str(tmp_path / OTHER.name),)
        assert ask(site, tmp_path / "cache", keys=keys).offers["a"].newest("openssl") == "3.5.8-r0"

    def test_each_build_trusts_its_own_keys_alone(self, site: Site, tmp_path: Path) -> None:
        offer(site, COMMUNITY, {}, OTHER)
        knows = BUILD.model_copy(update={"name": "b", "keys": KEY.trusted | OTHER.trusted})
        assert ask(site, tmp_path, knows).offers.keys() == {"b"}
        both = ask(site, tmp_path, knows, BUILD)
        assert both.offers.keys() == {"b"}
        assert OTHER.name in both.untrusted["a"]
