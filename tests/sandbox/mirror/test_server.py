"""The HTTP server: validators, faults, changed releases, and the CDN passed through."""

from __future__ import annotations

import http.client
import io
import json
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import date
from pathlib import Path

import pytest

from sandbox.mirror import cache as mirror_cache
from sandbox.mirror.catalogue import Catalogue
from sandbox.mirror.errors import MirrorError
from sandbox.mirror.make import Pool, make_tree
from sandbox.mirror.server import MirrorFault, MirrorServer, MirrorSettings, MirrorSource, serve
from sandbox.mirror.upstream import CachedCdn, CdnAnswer, upstream_url


@pytest.fixture
def cache(tmp_path: Path, pool: Pool, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that already holds a (small) mirror, as `ensure` would have left it."""
    made = tmp_path / "cache/mirror" / mirror_cache.recipe_key()
    make_tree(made, catalogue, pool)
    (made / "pool").symlink_to(pool.folder)
    monkeypatch.setattr(mirror_cache, "signing_key", lambda _cache: pool.key)
    return tmp_path / "cache"


@pytest.fixture
def server(cache: Path, catalogue: Catalogue) -> Iterator[MirrorServer]:
    running = serve(("127.0.0.1", 0), cache, MirrorSettings(MirrorSource.FIXTURE, catalogue))
    yield running
    running.close()


def get(server: MirrorServer, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()
    finally:
        connection.close()


INDEX = "/alpine/v3.23/main/x86_64/APKINDEX.tar.gz"


def test_what_is_asked_for_is_served(server: MirrorServer) -> None:
    status, headers, body = get(server, "/alpine/v3.23/main/x86_64/hello-1.2-r3.apk")
    assert status == 200
    assert headers["Content-Length"] == str(len(body))
    assert get(server, "/releases.json")[1]["Content-Type"] == "application/json"
    assert "Content-Encoding" not in get(server, INDEX)[1], "a client would unpack what is signed"
    assert get(server, "/alpine/latest-stable/main/x86_64/APKINDEX.tar.gz")[2] == get(server, INDEX)[2]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/alpine/",
        "/alpine/v3.23/main/x86_64",
        "/keys/x",
        "/pool/x",
        "/alpine/../releases.json",
        "/alpine/%2e%2e/releases.json",
    ],
)
def test_nothing_else_is_served(server: MirrorServer, path: str) -> None:
    assert get(server, path)[0] == 404


def test_an_unchanged_file_is_not_sent_again(server: MirrorServer) -> None:
    _, headers, _ = get(server, INDEX)
    status, again, body = get(server, INDEX, If_None_Match=f'"other", W/{headers["ETag"]}')
    assert (status, body, again["ETag"]) == (304, b"", headers["ETag"])
    assert get(server, INDEX, If_Modified_Since=headers["Last-Modified"])[0] == 304
    assert get(server, INDEX, If_Modified_Since="Mon, 01 Jan 2001 00:00:00 GMT")[0] == 200
    assert get(server, INDEX, If_None_Match='"other"', If_Modified_Since=headers["Last-Modified"])[0] == 200


def test_a_new_release_changes_index_and_lists(server: MirrorServer) -> None:
    server.publish("v3.23", "3.23.9")
    _, headers, before = get(server, INDEX)
    assert b'"3.23.10"' not in get(server, "/releases.json")[2]
    server.publish("v3.23", "3.23.10")
    status, _, after = get(server, INDEX, If_None_Match=headers["ETag"])
    assert status == 200
    assert after != before
    assert b'"3.23.10"' in get(server, "/releases.json")[2]
    assert server.status().current["v3.23"] == "3.23.10"


def test_a_release_of_today_can_be_published(server: MirrorServer) -> None:
    server.publish("v3.23", "3.23.11")
    assert get(server, "/alpine/v3.23/main/x86_64/alpine-release-3.23.11-r0.apk")[0] == 200
    assert b'"3.23.11"' in get(server, "/releases.json")[2]


def test_faults_come_and_go(server: MirrorServer) -> None:
    server.set_fault(MirrorFault.DOWN)
    assert get(server, "/releases.json")[0] == 503
    server.set_fault(MirrorFault.GARBAGE)
    status, _, body = get(server, "/releases.json")
    assert status == 200
    assert b"latest_stable" not in body
    server.set_fault(None)
    assert b"latest_stable" in get(server, "/releases.json")[2]


def test_closing_leaves_nothing_behind(cache: Path, catalogue: Catalogue) -> None:
    before = sorted(path.name for path in (cache / "mirror").iterdir())
    running = serve(("127.0.0.1", 0), cache, MirrorSettings(MirrorSource.FIXTURE, catalogue))
    running.publish("v3.23", "3.23.9")
    running.close()
    running.close()
    assert sorted(path.name for path in (cache / "mirror").iterdir()) == before


def test_a_port_in_use_is_one_clear_line(server: MirrorServer, cache: Path) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(MirrorError, match=rf"can't listen on 127\.0\.0\.1:{port} .*choose another port"):
        serve(("127.0.0.1", port), cache, MirrorSettings(MirrorSource.FIXTURE))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "localhost"])  # noqa: S104 - must be refused
def test_only_loopback_is_listened_on(host: str, cache: Path) -> None:
    with pytest.raises(MirrorError, match="loopback"):
        serve((host, 0), cache, MirrorSettings(MirrorSource.FIXTURE))


class FakeCdn:
    """Answers as the CDN would; `pages` maps a URL to its text."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.down = False

    def __call__(self, url: str, headers: Mapping[str, str], seconds: float) -> AbstractContextManager[CdnAnswer]:
        self.asked.append((url, headers))
        if self.down:
            raise OSError("unreachable")
        if url not in self.pages:
            return nullcontext(CdnAnswer(404, {}, io.BytesIO()))
        body = self.pages[url]
        etag = f'"{hash(body):x}"'
        if headers.get("If-None-Match") == etag:
            return nullcontext(CdnAnswer(304, {}, io.BytesIO()))
        known = {"etag": etag, "content-length": str(len(body)), "last-modified": "Thu, 17 Sep 2026 12:00:00 GMT"}
        return nullcontext(CdnAnswer(200, known, io.BytesIO(body)))


@contextmanager
def clock_at(monkeypatch: pytest.MonkeyPatch, seconds_later: float) -> Iterator[None]:
    later = time.time() + seconds_later
    with monkeypatch.context() as patch:
        patch.setattr("sandbox.mirror.upstream.time.time", lambda: later)
        yield


CDN_INDEX = f"https://dl-cdn.alpinelinux.org{INDEX}"
CDN_PACKAGE = "https://dl-cdn.alpinelinux.org/alpine/v3.23/main/x86_64/musl-1.2.5-r23.apk"


def test_where_upstream_has_what_the_mirror_serves() -> None:
    assert upstream_url(INDEX) == CDN_INDEX
    assert upstream_url("/releases.json") == "https://alpinelinux.org/releases.json"
    assert upstream_url("/alpine/keys/a@b.rsa.pub") == "https://alpinelinux.org/keys/a@b.rsa.pub"
    assert upstream_url("/security/v3.23/main.json") == "https://secdb.alpinelinux.org/v3.23/main.json"
    assert upstream_url("/etc/passwd") is None


def test_the_cdn_is_asked_again_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cdn = FakeCdn({CDN_INDEX: b"one"})
    upstream = CachedCdn(tmp_path, cdn)
    first = upstream.get(INDEX)
    assert first is not None
    assert first.path.read_bytes() == b"one"
    upstream.get(INDEX)
    assert len(cdn.asked) == 1, "fresh: not asked again"
    with clock_at(monkeypatch, 120):
        again = upstream.get(INDEX)
    assert cdn.asked[1][1] == {"If-None-Match": first.etag}
    assert again == first
    cdn.pages[CDN_INDEX] = b"two"
    with clock_at(monkeypatch, 600):
        changed = upstream.get(INDEX)
    assert changed is not None
    assert changed.path.read_bytes() == b"two"
    assert changed.etag != first.etag


def test_a_package_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cdn = FakeCdn({CDN_PACKAGE: b"package"})
    upstream = CachedCdn(tmp_path, cdn)
    for later in (0, 1e6):
        with clock_at(monkeypatch, later):
            assert upstream.get("/alpine/v3.23/main/x86_64/musl-1.2.5-r23.apk") is not None
    assert len(cdn.asked) == 1


def test_what_was_fetched_outlives_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cdn = FakeCdn({CDN_INDEX: b"one"})
    upstream = CachedCdn(tmp_path, cdn)
    upstream.get(INDEX)
    cdn.down = True
    with clock_at(monkeypatch, 1e6):
        kept = upstream.get(INDEX)
    assert kept is not None
    assert kept.path.read_bytes() == b"one"
    with pytest.raises(MirrorError, match=r"releases\.json can't be fetched"):
        upstream.get("/releases.json")
    assert upstream.get("/elsewhere") is None


def test_a_cut_answer_is_not_kept(tmp_path: Path) -> None:
    def cut(url: str, headers: Mapping[str, str], seconds: float) -> AbstractContextManager[CdnAnswer]:
        return nullcontext(CdnAnswer(200, {"content-length": "9"}, io.BytesIO(b"short")))

    with pytest.raises(MirrorError, match="cut short"):
        CachedCdn(tmp_path, cut).get(INDEX)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


@pytest.mark.parametrize("down", [True, False])
def test_the_source_follows_what_can_be_reached(
    cache: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, *, down: bool
) -> None:
    monkeypatch.setattr(CachedCdn, "reachable", lambda _self, _seconds: not down)
    running = serve(("127.0.0.1", 0), cache, MirrorSettings(MirrorSource.AUTO, catalogue))
    try:
        status = running.status()
        assert status.source is (MirrorSource.FIXTURE if down else MirrorSource.CDN)
        assert (status.keys is None) is (not down)
        if not down:
            with pytest.raises(MirrorError, match="passes Alpine's CDN through"):
                running.publish("v3.23", "3.23.9")
    finally:
        running.close()


def test_the_cdn_can_be_insisted_on(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CachedCdn, "reachable", lambda _self, _seconds: False)
    with pytest.raises(MirrorError, match="CDN can't be reached"):
        serve(("127.0.0.1", 0), cache, MirrorSettings(MirrorSource.CDN))


def test_reachable_means_both_hosts_answer(tmp_path: Path) -> None:
    both = {"https://dl-cdn.alpinelinux.org/alpine/last-updated": b"1", "https://alpinelinux.org/releases.json": b"{}"}
    assert CachedCdn(tmp_path, FakeCdn(both)).reachable(1)
    assert not CachedCdn(tmp_path, FakeCdn({})).reachable(1)
    silent = FakeCdn(both)
    silent.down = True
    assert not CachedCdn(tmp_path, silent).reachable(1)


class TestAnotherVersionOfAPackage:
    def test_is_in_the_signed_index_and_can_be_had(self, server: MirrorServer) -> None:
        before = get(server, INDEX)[1]["ETag"]
        server.publish_package("v3.23", "hello", "1.2-r10")
        assert get(server, INDEX)[1]["ETag"] != before
        record = next(text for text in records(get(server, INDEX)[2]) if "\nP:hello\n" in text)
        assert "\nV:1.2-r10\n" in record
        assert "\np:cmd:hello=1.2-r10" in record
        status, _, package = get(server, "/alpine/v3.23/main/x86_64/hello-1.2-r10.apk")
        assert status == 200
        with tarfile.open(fileobj=io.BytesIO(package)) as archive:
            assert {".PKGINFO", ".post-install", "usr/bin/hello", "usr/bin/hi"} <= set(archive.getnames())
        assert get(server, "/alpine/v3.23/main/x86_64/hello-1.2-r3.apk")[0] == 404

    def test_its_fixes_are_in_the_security_data_by_source_with_those_of_earlier_ones(
        self, server: MirrorServer
    ) -> None:
        assert json.loads(get(server, "/security/edge/community.json")[2])["packages"] == []
        server.publish_package("v3.23", "hello", "1.2-r4", ("CVE-2026-1",))
        server.publish_package("v3.23", "hello", "1.2-r10", ("CVE-2026-2", "CVE-2026-3"))
        told = json.loads(get(server, "/security/v3.23/main.json")[2])
        fixes = {"1.2-r4": ["CVE-2026-1"], "1.2-r10": ["CVE-2026-2", "CVE-2026-3"]}
        assert told["packages"] == [{"pkg": {"name": "hello", "secfixes": fixes}}]
        assert (told["distroversion"], told["reponame"]) == ("v3.23", "main")

    def test_other_branches_keep_theirs(self, server: MirrorServer) -> None:
        server.publish_package("v3.23", "hello", "1.2-r10")
        assert get(server, "/alpine/edge/main/x86_64/hello-1.2-r3.apk")[0] == 200

    def test_outlasts_a_new_release(self, server: MirrorServer) -> None:
        server.publish_package("v3.23", "hello", "1.2-r10")
        server.publish("v3.23", "3.23.11")
        assert get(server, "/alpine/v3.23/main/x86_64/hello-1.2-r10.apk")[0] == 200

    @pytest.mark.parametrize(("branch", "name"), [("v3.23", "no-such"), ("v9.9", "hello")])
    def test_what_is_not_there_is_refused_and_nothing_changes(
        self, server: MirrorServer, branch: str, name: str
    ) -> None:
        with pytest.raises(MirrorError, match=r"has no (package|branch)"):
            server.publish_package(branch, name, "2-r0")
        server.publish("v3.23", "3.23.11")
        assert get(server, "/alpine/v3.23/main/x86_64/hello-1.2-r3.apk")[0] == 200


def test_a_deprecated_key_is_told_until_the_end_also_after_a_release(server: MirrorServer) -> None:
    server.deprecate_key("v3.23", "a@b.rsa.pub", date(2026, 11, 1))
    server.publish("v3.23", "3.23.11")
    told = json.loads(get(server, "/releases.json")[2])["release_branches"]
    keys = {branch["rel_branch"]: branch["keys"]["x86_64"] for branch in told}
    gone = {"url": "https://alpinelinux.org/keys/a@b.rsa.pub", "deprecated_since": "2026-11-01"}
    assert gone in keys["v3.23"]
    assert gone not in keys["edge"]
    with pytest.raises(MirrorError, match=r"has no branch v9\.9"):
        server.deprecate_key("v9.9", "a@b.rsa.pub", date(2026, 11, 1))


def records(index: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(index)) as archive:
        member = archive.extractfile("APKINDEX")
        assert member is not None
        return member.read().decode().split("\n\n")
