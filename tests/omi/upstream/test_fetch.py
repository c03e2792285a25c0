"""Upstream over HTTP: what is asked, what is made of bad answers, and how long it may take."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from omi.config.settings import UpstreamSettings
from omi.upstream.fetch import fetch_upstream
from omi.upstream.model import Branch, MirrorRelease, Upstream
from tests.omi.upstream.site import Page, Site, branch, listing, serving

V23 = ("3.23", "x86_64")
SITE = "/releases.json"
MIRROR = "/alpine/v3.23/releases/x86_64/latest-releases.yaml"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        site.releases(branch("3.23", "3.23.5", "3.23.6"))
        site.latest("3.23", listing("3.23.6"))
        yield site


def asked(site: Site, cache: Path, *wanted: tuple[str, str], limit: float = 5.0) -> Upstream:
    return fetch_upstream(site.settings.releases, site.settings.mirror, wanted or (V23,), cache, limit=limit)


def test_good_answers(site: Site, tmp_path: Path) -> None:
    releases = ("3.23.6", "3.23.5")
    assert asked(site, tmp_path) == Upstream(
        branches=(Branch("3.23", releases, date(2027, 11, 1), ("x86_64", "aarch64")),),
        mirror={V23: MirrorRelease("3.23.6")},
    )


def test_one_request_for_the_site_and_one_per_branch_and_arch(site: Site, tmp_path: Path) -> None:
    site.latest("3.22", listing("3.22.9"))
    site.latest("3.23", listing("3.23.6", arch="aarch64"), arch="aarch64")
    wanted = [V23, V23, ("3.22", "x86_64"), ("3.23", "aarch64"), ("edge", "x86_64")]
    known = asked(site, tmp_path, *wanted)
    assert sorted(path for path, _ in site.asked) == sorted([*site.pages])
    assert known.mirror[("3.23", "aarch64")] == MirrorRelease("3.23.6")
    assert known.warnings == ()


def test_second_time_asks_with_validators(site: Site, tmp_path: Path) -> None:
    for page in site.pages.values():
        page.etag = '"one"'
    first = asked(site, tmp_path)
    site.asked.clear()
    assert asked(site, tmp_path) == first
    assert sorted(site.asked) == [(MIRROR, 304), (SITE, 304)]


def test_last_modified_is_a_validator_too(site: Site, tmp_path: Path) -> None:
    stamp = "Thu, 17 Sep 2026 10:00:00 GMT"
    site.pages[MIRROR].headers["Last-Modified"] = stamp
    asked(site, tmp_path)
    (stored,) = (file for file in tmp_path.iterdir() if MIRROR in file.read_text())
    assert stamp in stored.read_text()


def test_changed_answer_replaces_the_cached_one(site: Site, tmp_path: Path) -> None:
    site.pages[MIRROR].etag = '"one"'
    asked(site, tmp_path)
    site.latest("3.23", listing("3.23.7"), etag='"two"')
    assert asked(site, tmp_path).mirror == {V23: MirrorRelease("3.23.7")}


def test_deprecated_keys_are_known_by_their_file_names(site: Site, tmp_path: Path) -> None:
    keys = {
        "x86_64": [
            {"url": "https://alpinelinux.org/keys/a@b-1.rsa.pub", "deprecated_since": "2022-05-01"},
            {"url": "https://alpinelinux.org/keys/a%20b-2.rsa.pub", "deprecated_since": "2027-01-01"},
            {"url": "https://alpinelinux.org/keys/a%40b-3.rsa.pub", "deprecated_since": None},
            {"url": "https://alpinelinux.org/keys/a@b-4.rsa.pub"},
            {"url": "https://alpinelinux.org/keys/a@b-5.rsa.pub", "deprecated_since": "some day"},
            "odd",
        ],
        "aarch64": "odd",
    }
    site.releases(branch("3.23", "3.23.6", keys=keys), branch("3.22", "3.22.6", keys="odd"))
    new, old = asked(site, tmp_path).branches
    assert new.deprecated_keys == {"x86_64": {"a@b-1.rsa.pub": date(2022, 5, 1), "a@b-2.rsa.pub": date(2027, 1, 1)}}
    assert old.deprecated_keys == {}


BAD_SITES = [
    (Page(b"<html>"), "is not a releases.json"),
    (Page(b"[]"), "is not a releases.json"),
    (Page(b'{"release_branches": []}'), "is not a releases.json"),
    (Page(b'{"release_branches": [{"rel_branch": 7}]}'), "names no branch that can be read"),
    (Page(b"\xff\xfe"), "is not a releases.json"),
    (Page(status=404), "the server has no such file"),
    (Page(status=503), "the server answered 503"),
    (Page(status=302, headers={"Location": "http://example.invalid/"}), "the server answered 302"),
    (Page(b"x" * (9 * 1024 * 1024)), "the answer is too long"),
]


@pytest.mark.parametrize(("page", "problem"), BAD_SITES)
def test_bad_site_is_a_warning_and_the_mirror_still_counts(
    site: Site, tmp_path: Path, page: Page, problem: str
) -> None:
    site.pages[SITE] = page
    known = asked(site, tmp_path)
    assert known.branches == ()
    assert known.mirror == {V23: MirrorRelease("3.23.6")}
    (warning,) = known.warnings
    assert warning.startswith(f"{site.settings.releases}: {problem}")
    assert warning.endswith("; going on without it")


@pytest.mark.parametrize(("page", "problem"), [case for case in BAD_SITES if case[0].status != 404])
def test_bad_answer_leaves_what_an_earlier_run_got(site: Site, tmp_path: Path, page: Page, problem: str) -> None:
    good = asked(site, tmp_path)
    site.pages[SITE] = page
    known = asked(site, tmp_path)
    assert known.branches == good.branches
    assert problem in known.warnings[0]
    assert known.warnings[0].endswith("; the answer of an earlier run counts")


@pytest.mark.parametrize("text", ["{", "version: 3.23.6", "- 3.23.6", "- arch: aarch64\n  version: 3.23.6\n", "<html>"])
def test_bad_mirror_is_a_warning_and_stale_what_was_known(site: Site, tmp_path: Path, text: str) -> None:
    asked(site, tmp_path)
    site.latest("3.23", text)
    known = asked(site, tmp_path)
    assert known.mirror == {V23: MirrorRelease("3.23.6", stale=True)}
    assert len(known.warnings) == 1
    site.latest("3.23", text)
    assert asked(site, tmp_path / "fresh").mirror == {}


def test_mirror_without_the_branch_has_no_release(site: Site, tmp_path: Path) -> None:
    assert asked(site, tmp_path, ("3.30", "x86_64")).mirror == {("3.30", "x86_64"): MirrorRelease(None)}


@pytest.mark.parametrize("text", ["", "[]", listing("3.23.0_rc3"), listing("3.22.9"), listing("latest")])
def test_mirror_that_lists_no_release_of_the_branch_yet(site: Site, tmp_path: Path, text: str) -> None:
    site.latest("3.23", text or "[]")
    assert asked(site, tmp_path).mirror == {V23: MirrorRelease(None)}


def test_versions_are_compared_by_number_and_not_read_as_numbers(site: Site, tmp_path: Path) -> None:
    site.latest("3.20", listing("3.20.9", "3.20.10", "3.20.2"))
    site.releases(branch("3.20", "3.20.9", "3.20.10", "3.20.2"))
    known = asked(site, tmp_path, ("3.20", "x86_64"))
    assert known.mirror[("3.20", "x86_64")] == MirrorRelease("3.20.10")
    assert known.branches[0].newest == "3.20.10"


def test_branches_of_every_shape_that_upstream_has(site: Site, tmp_path: Path) -> None:
    edge = {"rel_branch": "edge", "git_branch": "master", "arches": ["x86_64"]}
    fresh = branch("3.25", arches=["x86_64"])
    nothing = branch("3.26", releases=None, eol_date=None)
    odd = branch("3.24", "3.24.0", eol_date="soon")
    candidate = branch("3.27", "3.27.0_rc1", "not a release")
    site.releases(edge, fresh, nothing, odd, candidate, branch("3.23", "3.23.6"))
    known = asked(site, tmp_path)
    assert [(one.version, one.newest) for one in known.branches] == [
        ("edge", None),
        ("3.25", None),
        ("3.26", None),
        ("3.27", None),
        ("3.23", "3.23.6"),
    ]
    assert known.supported(date(2026, 11, 23), "x86_64") == ("3.23",)
    assert known.supported(date(2027, 11, 2), "x86_64") == ()
    assert known.supported(date(2026, 11, 23), "riscv64") == ()


@pytest.mark.parametrize("kind", ["hangs", "drips"])
def test_waiting_has_an_end(site: Site, tmp_path: Path, kind: str) -> None:
    setattr(site.pages[MIRROR], kind, True)
    start = time.monotonic()
    known = asked(site, tmp_path, limit=0.6)
    assert time.monotonic() - start < 1.5
    assert known.mirror == {}
    assert known.branches
    assert "latest-releases.yaml: " in known.warnings[0]


def test_nobody_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    settings = UpstreamSettings(releases=f"{base}/releases.json", mirror=base)
    known = fetch_upstream(settings.releases, settings.mirror, [V23], tmp_path)
    assert (known.branches, known.mirror) == ((), {})
    assert len(known.warnings) == 2
    assert "can't be reached" in known.warnings[0]


def test_untrusted_certificate_is_refused(tmp_path: Path, tls_port: int) -> None:
    settings = UpstreamSettings(releases=f"https://127.0.0.1:{tls_port}/r", mirror=f"https://127.0.0.1:{tls_port}")
    known = fetch_upstream(settings.releases, settings.mirror, [], tmp_path)
    assert "TLS failed" in known.warnings[0]


def test_discovered_branches_are_asked_for_once_they_are_known(site: Site, tmp_path: Path) -> None:
    site.releases(branch("3.23", "3.23.6"), branch("3.24", "3.24.0"))
    site.latest("3.24", listing("3.24.0"))
    day = date(2026, 11, 23)
    known = fetch_upstream(
        site.settings.releases,
        site.settings.mirror,
        [V23],
        tmp_path,
        discover=lambda found: {(version, "x86_64") for version in found.supported(day, "x86_64")},
    )
    assert known.mirror == {V23: MirrorRelease("3.23.6"), ("3.24", "x86_64"): MirrorRelease("3.24.0")}
    assert len(site.asked) == 3


def test_unusable_cache_only_costs_time(site: Site, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert asked(site, blocked / "cache").mirror == {V23: MirrorRelease("3.23.6")}
    asked(site, tmp_path / "cache")
    for file in (tmp_path / "cache").iterdir():
        file.write_text("{")
    assert asked(site, tmp_path / "cache").warnings == ()


def test_loopback_never_goes_through_a_proxy(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "http_proxy", "http://127.0.0.1:9")
    assert asked(site, tmp_path).warnings == ()
