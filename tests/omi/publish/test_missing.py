"""Fixes that an image lacks: counted from its packages, in files, feed and site, kept until a newer day."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omi.profile.content import ALPINE_CDN
from omi.profile.model import Target
from omi.publish import export_ledger, forget
from omi.publish.model import MissingFix, MissingFixes
from omi.publish.releases import from_yaml
from omi.publish.security import missing_fixes, missing_in
from omi.publish.site import build_site
from omi.state.ledger import Ledger, LedgerImage, StoredCommand
from omi.support.version import package_key
from omi.upstream.index import Index
from omi.upstream.offer import Offer
from omi.upstream.security import Security
from tests.omi.publish.test_feed import validate
from tests.omi.publish.test_releases import image

DAY = date(2026, 11, 28)
BUILD = Target(
    profile="alpine",
    name="v3_23-x86_64",
    version="3.23",
    rebuild_on="security",
    repos={
        f"{ALPINE_CDN}/v3.23/main": True,
        f"{ALPINE_CDN}/v3.23/community": True,
        f"{ALPINE_CDN}/edge/main": "edge",
    },
    packages={"nginx": "edge"},
)
SECURITY = Security(
    {
        "v3.23/main": {
            "openssl": {
                "3.5.9-r0": ("CVE-2026-1", "CVE-2026-2"),
                "3.5.7-r0": ("CVE-2025-9",),
                "3.5.10-r0": ("CVE-2026-3",),
            },
            "nginx": {"1.28.9-r0": ("CVE-2026-4",)},
            "quiet": {"2-r0": ()},
        },
        "v3.23/community": {},
        "edge/main": {"nginx": {"1.29.9-r0": ("CVE-2026-5",)}, "zlib": {"9-r0": ("CVE-2026-6",)}},
    }
)
OPENSSL = [("libssl3", "3.5.8-r0", "openssl"), ("libcrypto3", "3.5.8-r0", "openssl")]
MISSING = MissingFix(
    origin="openssl",
    packages=("libcrypto3", "libssl3"),
    installed="3.5.8-r0",
    fixed="3.5.10-r0",
    ids=("CVE-2026-1", "CVE-2026-2", "CVE-2026-3"),
)
LACKS = MissingFixes(day=DAY, count=3, fixes=(MISSING,))


class TestCount:
    def test_is_by_source_package_and_id(self) -> None:
        found = missing_fixes(BUILD, OPENSSL, SECURITY, DAY)
        assert found == LACKS

    def test_has_a_fix_without_an_id_as_one(self) -> None:
        assert missing_fixes(BUILD, [("quiet", "1-r0", "quiet")], SECURITY, DAY).count == 1

    @pytest.mark.parametrize("version", ["3.5.10-r0", "3.5.10-r1", "4", "no version"])
    def test_leaves_out_what_is_fixed_or_no_version(self, version: str) -> None:
        assert missing_fixes(BUILD, [("openssl", version, "openssl")], SECURITY, DAY).count == 0

    def test_is_by_the_repository_that_the_package_comes_from(self) -> None:
        """Edge fixes in other versions than a branch, which backports."""
        found = missing_fixes(BUILD, [("nginx", "1.28.9-r0", "nginx"), ("zlib", "1.3-r0", "zlib")], SECURITY, DAY)
        assert [(fix.origin, fix.ids) for fix in found.fixes] == [("nginx", ("CVE-2026-5",))]


def held(folder: Path, **changes: Any) -> LedgerImage:
    spec, record = image(folder)
    record = record.model_copy(update=changes)
    return LedgerImage(spec.name, spec, record, StoredCommand.of("build", spec))


def offer() -> Mapping[str, Offer]:
    return {BUILD.name: Offer([(None, Index({"libssl3": ("3.5.9-r0",)}, {"libssl3": "openssl"}))])}


def found_in(made: LedgerImage, folder: Path, build: Target = BUILD, security: Security = SECURITY) -> Any:
    return missing_in(Ledger((made,)), [build], security, offer(), str(folder), DAY)


class TestPackages:
    def test_are_those_of_the_images_own_list_which_knows_every_source(self, tmp_path: Path) -> None:
        text = "# name\nlibold\t3.5.8-r0\tx86_64\tQ1\t10\topenssl\tMIT\n"
        made = held(tmp_path, documents={"packages": digest_of(text)}, installed=("zlib=1-r0",))
        place = tmp_path / "alpine" / "eu-west-2" / f"{made.name}.packages.txt"
        place.parent.mkdir(parents=True)
        place.write_text(text)
        (fix,) = found_in(made, tmp_path)[made.resource].fixes
        assert (fix.origin, fix.packages) == ("openssl", ("libold",)), "no index has it any more"
        place.write_text(text.replace("3.5.8", "9"))
        assert found_in(made, tmp_path)[made.resource].fixes == (), "one that was changed says nothing"

    def test_are_else_those_that_apk_named_with_their_sources_by_the_signed_index(self, tmp_path: Path) -> None:
        made = held(tmp_path, installed=("libssl3=3.5.8-r0", "libold=3.5.8-r0", "quiet=1-r0"))
        assert [fix.origin for fix in found_in(made, tmp_path)[made.resource].fixes] == ["openssl", "quiet"]

    def test_nobody_knows_of_some_images(self, tmp_path: Path) -> None:
        assert found_in(held(tmp_path, installed=None), tmp_path) == {}
        made = held(tmp_path, installed=("openssl=3.5.8-r0",))
        assert missing_in(Ledger((made,)), [BUILD], SECURITY, {}, str(tmp_path), DAY) == {}, "without an index"


def digest_of(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "build",
    [
        BUILD.model_copy(update={"rebuild_on": "packages"}),
        BUILD.model_copy(update={"version": "3.22"}),
        BUILD.model_copy(update={"name": "other"}),
        BUILD.model_copy(update={"repos": {}}),
    ],
    ids=["does not ask", "is of another version now", "another build", "no repository of Alpine's"],
)
def test_only_images_whose_build_asks_are_judged(tmp_path: Path, build: Target) -> None:
    assert found_in(held(tmp_path, installed=("libssl3=3.5.8-r0",)), tmp_path, build) == {}


def test_data_of_an_earlier_run_gets_no_new_day(tmp_path: Path) -> None:
    doubtful = replace(SECURITY, doubtful=frozenset({"v3.23/main"}))
    assert found_in(held(tmp_path, installed=("libssl3=3.5.8-r0",)), tmp_path, BUILD, doubtful) == {}


class Stack:
    profile, all_regions = "alpine", ("eu-west-2",)

    def __init__(self, folder: Path) -> None:
        self.releases_dir = str(folder)


def test_files_feed_and_site_have_them_with_the_datas_day(tmp_path: Path) -> None:
    folder = tmp_path / "releases"
    made = held(folder, installed=("libssl3=3.5.8-r0", "libcrypto3=3.5.8-r0"))
    known = {made.resource: LACKS}
    export_ledger(Stack(folder), Ledger((made,)), known)
    (entry,) = from_yaml((folder / "alpine.yaml").read_text(), "alpine.yaml")
    assert entry.missing_fixes == known[made.resource]
    told = validate((folder / "alpine.json").read_text())["images"][0]["missing_fixes"]
    assert told == {
        "day": "2026-11-28",
        "count": 3,
        "fixes": [
            {
                "origin": "openssl",
                "packages": ["libcrypto3", "libssl3"],
                "installed": "3.5.8-r0",
                "fixed": "3.5.10-r0",
                "ids": ["CVE-2026-1", "CVE-2026-2", "CVE-2026-3"],
            }
        ],
    }
    build_site(folder, tmp_path / "site")
    page = (tmp_path / "site" / "images" / "alpine" / f"{made.name}.html").read_text()
    assert "CVE-2026-1, CVE-2026-2, CVE-2026-3" in page
    assert "28 November 2026" in page


def test_an_export_that_does_not_know_keeps_what_an_earlier_day_knew(tmp_path: Path) -> None:
    made = held(tmp_path)
    export_ledger(Stack(tmp_path), Ledger((made,)), {made.resource: LACKS})
    before = (tmp_path / "alpine.json").read_text()
    export_ledger(Stack(tmp_path), Ledger((made,)))
    assert (tmp_path / "alpine.json").read_text() == before
    export_ledger(
        Stack(tmp_path), Ledger((made,)), {made.resource: MissingFixes(day=date(2026, 11, 29), count=0, fixes=())}
    )
    told = json.loads((tmp_path / "alpine.json").read_text())["images"][0]["missing_fixes"]
    assert told == {"day": "2026-11-29", "count": 0, "fixes": []}


def test_a_document_beside_the_others_has_them_and_goes_with_its_image(tmp_path: Path) -> None:
    folder = tmp_path / "releases"
    made = held(folder)
    export_ledger(Stack(folder), Ledger((made,)), {made.resource: LACKS})
    document = folder / "alpine" / "eu-west-2" / f"{made.name}.fixes.json"
    told = json.loads(document.read_text(encoding="utf-8"))
    schema = json.loads((document.parent / told["$schema"]).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(told)
    assert (told["name"], told["omi"], told["region"]) == (made.name, made.record.omi, "eu-west-2")
    feed = validate((folder / "alpine.json").read_text())["images"][0]
    assert {key: told[key] for key in feed["missing_fixes"]} == feed["missing_fixes"]
    href = f"alpine/eu-west-2/{made.name}.fixes.json"
    sum_of = hashlib.sha256(document.read_bytes()).hexdigest()
    assert feed["documents"]["eu-west-2"] == {"fixes": {"href": href, "sha256": sum_of}}
    assert f"[fixes]({href})" in (folder / "README.md").read_text(encoding="utf-8")
    build_site(folder, tmp_path / "site")
    page = (tmp_path / "site" / "images" / "alpine" / f"{made.name}.html").read_text()
    assert f'href="../../{href}">Missing fixes</a> as of 28 November 2026' in page
    assert (tmp_path / "site" / href).read_bytes() == document.read_bytes()

    later = MissingFixes(day=date(2026, 11, 29), count=0, fixes=())
    export_ledger(Stack(folder), Ledger((made,)), {made.resource: later})
    assert json.loads(document.read_text(encoding="utf-8"))["day"] == "2026-11-29"
    document.write_text("{}", encoding="utf-8")  # as another version of the program writes it
    assert forget(made.spec, made.record) == []
    assert not (folder / "alpine").exists()


def test_a_document_is_written_through_no_link(tmp_path: Path) -> None:
    made, elsewhere = held(tmp_path / "releases"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / "alpine").symlink_to(elsewhere)
    export_ledger(Stack(tmp_path / "releases"), Ledger((made,)), {made.resource: LACKS})
    assert list(elsewhere.iterdir()) == []


VERSIONS = st.sampled_from(("0", "1-r0", "1-r1", "1.9-r0", "1.10-r0", "odd"))


@given(
    st.lists(st.tuples(st.sampled_from("abc"), VERSIONS, st.sampled_from("xy")), max_size=5),
    st.dictionaries(
        st.sampled_from("xy"),
        st.dictionaries(
            VERSIONS.filter(lambda each: each != "odd"), st.lists(st.sampled_from("pqr"), max_size=2).map(tuple)
        ),
    ),
)
def test_what_is_missing_is_later_than_what_is_installed_and_nothing_else_is(
    packages: list[tuple[str, str, str]], fixes: dict[str, dict[str, tuple[str, ...]]]
) -> None:
    found = missing_fixes(BUILD, packages, Security({"v3.23/main": fixes}), DAY)
    told = {(fix.origin, name, fix.installed) for fix in found.fixes for name in fix.packages}
    expected = {
        (origin, name, version)
        for name, version, origin in packages
        if version != "odd" and any(package_key(each) > package_key(version) for each in fixes.get(origin, {}))
    }
    assert told == expected
    assert all(package_key(fix.fixed) > package_key(fix.installed) for fix in found.fixes)
    assert found.count >= len(found.fixes)
