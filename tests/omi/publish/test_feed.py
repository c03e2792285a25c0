"""The JSON feed: its schema holds, every image has every key, and `latest` is what one would launch."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from omi.publish import record
from omi.publish.feed import SCHEMA_FILE, Feed, feed_of
from omi.publish.latest import latest_of
from omi.publish.model import PublishedImage, published, with_images, without_omi
from omi.publish.releases import from_yaml, to_yaml
from omi.support.errors import InputError
from tests.omi.publish.test_releases import image

SCHEMA = Path(__file__).resolve().parents[3] / "omi" / "publish" / SCHEMA_FILE
EU, US = "eu-west-2", "us-east-2"


def entry(
    release: str = "3.23.6", build: str = "", revision: int = 0, region: str = EU, **changes: Any
) -> PublishedImage:
    version = "edge" if release.startswith("edge") else ".".join(release.split("_")[0].split(".")[:2])
    name = build or f"v{version.replace('.', '_')}-x86_64"
    made = published(*image(Path("releases"), build=name, release=release, revision=revision, region=region))
    return made.changed(**{"version": version, **changes})


def overall(*entries: PublishedImage, region: str = EU) -> str | None:
    found = latest_of(entries).overall.get(region)
    return found.name if found else None


def validate(text: str) -> Any:
    schema, value = json.loads(SCHEMA.read_text(encoding="utf-8")), json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(value)
    return value


def test_an_image_is_told_with_all_that_a_program_may_ask(tmp_path: Path) -> None:
    spec, made = image(tmp_path)
    digests = {"sbom": f"sha256:{1:064x}", "packages": f"sha256:{2:064x}"}
    measured = {"used_bytes": 95, "trimmed_bytes": 147, "installed_bytes": 83, "boot_seconds": 20, "packages": 3}
    record(spec, made.model_copy(update={"documents": digests, **measured}))
    told = validate((tmp_path / "alpine.json").read_text())
    assert told["images"] == [
        {
            "name": "alpine-3.23.6-x86_64-r0",
            "description": "Alpine Linux 3.23.6 x86_64 r0",
            "ids": {EU: made.omi},
            "build": "v3_23-x86_64",
            "version": "3.23",
            "release": "3.23.6",
            "revision": "r0",
            "arch": "x86_64",
            "firmware": "bios",
            "bootstrap": "tiny-cloud",
            "user": "alpine",
            "boot_modes": ["legacy"],
            "created": "2026-11-23T00:00:00Z",
            "end_of_life": "2027-11-01",
            "state": "current",
            "withdrawal": {},
            "verified": [EU],
            "size_gib": 1,
            **measured,
            "missing_fixes": None,
            "digest": f"sha256:{0:064x}",
            "documents": {
                EU: {
                    "packages": {"href": f"alpine/{EU}/alpine-3.23.6-x86_64-r0.packages.txt", "sha256": f"{2:064x}"},
                    "sbom": {"href": f"alpine/{EU}/alpine-3.23.6-x86_64-r0.cdx.json", "sha256": f"{1:064x}"},
                }
            },
        }
    ]
    assert told["updated"] == "2026-11-23T00:00:00Z"
    assert told["latest"]["version"]["3.23"]["x86_64"][EU]["id"] == made.omi
    assert (tmp_path / told["$schema"]).read_bytes() == SCHEMA.read_bytes()


def test_what_an_older_version_wrote_of_an_image_has_every_key_too() -> None:
    unknown = dict.fromkeys(("firmware", "bootstrap", "digest", "size_gib", "end_of_life"))
    old = entry().changed(verified=(), **unknown)
    told = validate(feed_of("alpine", [old]).to_json())
    new = validate(feed_of("alpine", [entry()]).to_json())
    assert told["images"][0].keys() == new["images"][0].keys()
    assert told["images"][0]["firmware"] is None
    assert told["latest"]["overall"] == {}


def test_a_profile_without_images_is_an_empty_list() -> None:
    told = validate(feed_of("alpine", []).to_json())
    assert (told["images"], told["updated"]) == ([], None)
    assert told["latest"] == {"overall": {}, "arch": {}, "version": {}, "build": {}}


def test_hostile_names_are_text() -> None:
    name = "</script><script>alert(1)</script>\"'\\\u0001"
    told = validate(feed_of("alpine", [entry(name=name, description=name)]).to_json())
    assert told["images"][0]["name"] == name


def test_the_schema_refuses_what_is_no_feed() -> None:
    value = json.loads(feed_of("alpine", [entry()]).to_json())
    for broken in (value | {"format": 2}, value | {"images": [{"name": "alpine"}]}, {"profile": "alpine"}):
        with pytest.raises(jsonschema.ValidationError):
            validate(json.dumps(broken))


def test_images_come_newest_first_in_any_order_of_the_entries() -> None:
    made = [
        entry(revision=revision, created=datetime.fromtimestamp(1000 + revision // 2, UTC)) for revision in range(12)
    ]
    texts = set()
    for seed in range(5):
        random.Random(seed).shuffle(made)  # noqa: S311 - no secret
        texts.add(feed_of("alpine", made).to_json())
    assert len(texts) == 1
    times = [item["description"] for item in json.loads(texts.pop())["images"]]
    assert times[0].endswith(("r10", "r11"))
    assert times[-1].endswith(("r0", "r1"))


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (entry("3.9.12"), entry("3.11.9")),
        (entry(revision=9), entry(revision=10)),
        (entry("3.24.0_rc1"), entry("3.23.6")),
        (entry("edge-20261124"), entry("3.23.6")),
        (entry("edge-20261123"), entry("edge-20261124")),
        (entry(build="v3_23-x86_64-web", revision=7, name="alpine-3.23.6-x86_64-r7-web"), entry()),
    ],
)
def test_the_latest_of_all_is_the_newest_release_of_the_plainest_build(
    older: PublishedImage, newer: PublishedImage
) -> None:
    assert overall(older, newer) == overall(newer, older) == newer.name


def test_where_there_is_only_edge_it_is_the_latest() -> None:
    assert overall(entry("edge-20261124")) == "alpine-edge-20261124-x86_64-r0"


def test_the_latest_is_told_for_each_version_build_and_arch() -> None:
    told = latest_of([entry("3.22.2"), entry("3.23.5"), entry("3.23.6"), entry(build="web", revision=3)])
    assert {version: archs["x86_64"][EU].release for version, archs in told.version.items()} == {
        "3.22": "3.22.2", "3.23": "3.23.6",
    }  # fmt: skip
    assert told.arch["x86_64"][EU].release == "3.23.6"
    assert told.build["web"][EU].revision == "r3"


def test_the_latest_moves_in_a_region_only_when_the_image_is_verified_there() -> None:
    old, new = entry("3.23.5"), entry("3.23.6")
    both = with_images([new], [entry("3.23.6", region=US, verified=())])
    assert overall(old, *both) == new.name
    assert overall(old, *both, region=US) is None
    assert overall(old, new.changed(verified=())) == old.name


def withdrawn(entry: PublishedImage, stage: str, *regions: str, since: str | None = None) -> PublishedImage:
    told = {"removal": "2026-12-24", "stage": stage, "why": "superseded", "since": since}
    return entry.changed(withdrawal=dict.fromkeys(regions, told))


def test_an_image_on_its_way_out_says_so_and_when_it_goes() -> None:
    (both,) = with_images([entry()], [entry(region=US)])
    told = validate(feed_of("alpine", [withdrawn(both, "deprecated", US)]).to_json())["images"][0]
    assert told["state"] == "current"
    assert told["withdrawal"] == {
        US: {"stage": "deprecated", "why": "superseded", "reason": None, "since": None, "removal": "2026-12-24"}
    }
    assert feed_of("alpine", [withdrawn(both, "private", EU, US)]).images[0].state == "private"


def test_the_latest_is_a_current_image_while_there_is_one_and_never_a_private_one() -> None:
    old, new = entry("3.23.5"), entry("3.23.6")
    assert overall(old, withdrawn(new, "deprecated", EU)) == old.name
    told = latest_of([withdrawn(old, "private", EU), withdrawn(new, "deprecated", EU)])
    assert (told.overall[EU].name, told.overall[EU].state) == (new.name, "deprecated")
    assert overall(withdrawn(new, "private", EU)) is None


def test_how_far_an_image_is_withdrawn_is_kept_in_the_file_for_each_region() -> None:
    gone = withdrawn(entry(), "deprecated", EU)
    (read,) = from_yaml(to_yaml([gone]), "here")
    assert read == gone
    (both,) = with_images([read], [entry(region=US)])
    assert (both.stage_in(EU), both.stage_in(US)) == ("deprecated", "current")
    (again,) = with_images([both], [entry()])
    assert again.withdrawal == {}
    assert without_omi([both], EU, both.ids[EU])[0].withdrawal == {}


def test_a_feed_is_read_back_and_another_file_is_refused_in_one_line(tmp_path: Path) -> None:
    feed, path = feed_of("alpine", [entry()]), tmp_path / "alpine.json"
    path.write_text(feed.to_json())
    assert Feed.read(path) == feed
    for text in (feed.to_json().replace('"alpine"', '"../alpine"'), "{}", "[", '{"format": 2}', "\udcff"):
        path.write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(InputError, match=r"alpine\.json.*python -m omi publish"):
            Feed.read(path)
    with pytest.raises(InputError, match="No such file"):
        Feed.read(tmp_path / "none.json")


def test_an_external_omi_is_described_by_its_own_tags_and_never_by_the_profile() -> None:
    spec, made = image(Path("releases"))
    external = {"verified": False, "adopted": True}
    (nothing,) = feed_of("alpine", [published(spec, made.model_copy(update=external))]).images
    assert (nothing.digest, nothing.firmware, nothing.bootstrap, nothing.verified) == (None, None, None, ())
    assert nothing.description == f"{spec.name}, made by someone else"
    other = {**external, "digest": "sha256:other", "made_by": "stack other (id 5)"}
    (theirs,) = feed_of("alpine", [published(spec, made.model_copy(update=other))]).images
    assert (theirs.digest, theirs.firmware) == ("sha256:other", None)
    assert theirs.description == f"{spec.name}, made by stack other (id 5)"
    same = {**other, "digest": spec.digest}
    (alike,) = feed_of("alpine", [published(spec, made.model_copy(update=same))]).images
    assert (alike.digest, alike.firmware) == (spec.digest, spec.target.firmware)
