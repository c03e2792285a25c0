"""Releases folders for the site's tests, written as builds write them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from omi.profile.model import Target
from omi.publish import record as record_one
from omi.publish.documents.kinds import SUFFIXES, file_name
from omi.publish.feed import feed_of
from omi.publish.manifest import MANIFEST, SIGNATURE, SIGNERS, PublishedManifest
from omi.publish.model import published, with_images
from omi.state.image import ImageRecord, ImageSpec
from tests.omi.specs import make_access, make_record, make_spec

Pair = tuple[ImageSpec, ImageRecord]
PACKAGES = {
    "alpine-baselayout": "3.7.0-r0", "alpine-keys": "2.5-r0", "apk-tools": "3.0.1-r0", "busybox": "1.37.0-r20",
    "chrony": "4.7-r0", "dhcpcd": "10.2.4-r0", "doas": "6.8.2-r7", "e2fsprogs": "1.47.3-r0", "ifupdown-ng": "0.12.1-r7",
    "linux-virt": "6.18.3-r0", "musl": "1.2.5-r17", "openrc": "0.63-r0", "openssh-server": "10.2_p1-r0",
    "openssl": "3.5.4-r0", "syslinux": "6.04_pre1-r16", "tiny-cloud": "3.1.0-r0", "tzdata": "2026b-r0",
    "zlib": "1.3.1-r2",
}  # fmt: skip


def made(number: int, region: str, release: str, revision: int = 0, **changes: Any) -> Pair:
    """An image; `number` makes its id, its figures and its time."""
    version = "edge" if release.startswith("edge") else ".".join(release.split(".")[:2])
    firmware = changes.pop("firmware", "hybrid")
    suffix = changes.pop("suffix", "")
    build = Target(
        profile=changes.pop("profile", "alpine"), version=version, firmware=firmware, suffix=suffix,
        name=f"v{version.replace('.', '_')}-x86_64{suffix}",
        **{key: changes.pop(key) for key in ("prefix", "description") if key in changes},
    )  # fmt: skip
    spec = make_spec(
        name=build.image_name(release, revision), release=release,
        revision=revision, digest="sha256:" + hashlib.sha256(f"{release} {revision}".encode()).hexdigest(),
        end_of_life=datetime(2027, 11, 1, tzinfo=UTC).date(), build=build,
        cloud=make_access(region=region),
    )  # fmt: skip
    record = make_record(
        name=spec.name, omi="ami-" + hashlib.sha256(f"{spec.name} {region}".encode()).hexdigest()[:8],
        region=region,
        created=datetime(2026, 3, 2, 9, 30, tzinfo=UTC) + timedelta(days=11 * number, hours=number),
        used_bytes=(91 - (number * 7) % 9) * 2**20, trimmed_bytes=(139 - (number * 5) % 13) * 2**20,
        installed_bytes=80 * 2**20, packages=len(PACKAGES), boot_seconds=27 - (number * 3) % 8,
        boot_modes=build.boot_modes,
    )  # fmt: skip
    return spec, record.model_copy(update=changes)


def with_documents(folder: Path, pair: Pair, packages: dict[str, str]) -> Pair:
    """The same image with its documents beside the feed."""
    spec, record = pair
    lines = ["# name\tversion\tarch\tchecksum\tbytes\torigin\tlicense"]
    lines += [
        f"{name}\t{version}\tx86_64\tQ1abc\t{20480 * len(name)}\t{name}\tMIT" for name, version in packages.items()
    ]
    texts = {
        "files": "# path\n",
        "packages": "\n".join(lines) + "\n",
        "sbom": '{"bomFormat": "CycloneDX"}\n',
        "provenance": "{}\n",
    }
    digests = {}
    for kind in SUFFIXES:
        path = folder / spec.profile / record.region / file_name(spec.name, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[kind], encoding="utf-8")
        digests[kind] = "sha256:" + hashlib.sha256(texts[kind].encode()).hexdigest()
    return spec, record.model_copy(update={"documents": digests})


def write(folder: Path, pairs: Iterable[Pair]) -> Path:
    """Write the releases files of these images."""
    for spec, made_record in pairs:
        record_one(spec.model_copy(update={"releases_dir": str(folder)}), made_record)
    return folder


def everyday(folder: Path) -> Path:
    """What a project has after some months: three versions, Regions, changing packages, one image on its way out."""
    pairs, packages = [], dict(PACKAGES)
    for number, release in enumerate(("3.22.1", "3.22.2", "3.23.0", "3.23.1", "3.23.2", "3.23.4", "3.23.5", "3.23.6")):
        packages |= {"linux-virt": f"6.18.{number + 3}-r0", "openssl": f"3.5.{4 + number // 2}-r0"}
        if number == 5:
            packages |= {"nftables": "1.1.5-r0"}
            packages.pop("zlib")
        for region in ("eu-west-2", "us-east-2")[: 1 + number % 2]:
            pairs.append(with_documents(folder, made(number, region, release), packages))
    pairs.append(with_documents(folder, made(8, "eu-west-2", "3.23.6", 1), packages))
    pairs.append(made(9, "cloudgouv-eu-west-1", "3.23.6", suffix="-uefi", firmware="uefi"))
    pairs.append(made(10, "eu-west-2", "edge-20261120", firmware="bios"))
    write(folder, pairs)
    _withdraw(folder / "alpine.json", "alpine-3.22.1-x86_64-r0")
    _sign(folder)
    return folder


def _sign(folder: Path) -> None:
    """Put a manifest beside the files, with no real signature: the site checks none."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    sums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    (folder / MANIFEST).write_text(PublishedManifest("alpine", 1_795_392_000, sums).to_text(), encoding="utf-8")
    for name in (SIGNATURE, SIGNERS):
        (folder / name).touch()


def _withdraw(feed: Path, name: str) -> None:
    value = json.loads(feed.read_text(encoding="utf-8"))
    (image,) = [each for each in value["images"] if each["name"] == name]
    image["state"] = "deprecated"
    image["withdrawal"]["eu-west-2"] = {"stage": "deprecated", "why": "superseded", "removal": "2026-12-24"}
    feed.write_text(json.dumps(value), encoding="utf-8")


def many(folder: Path, count: int) -> Path:
    """A feed of so many images in two Regions."""
    pairs = [
        made(number % 90, region, f"3.{18 + number % 6}.{number // 60}", number // 6 % 10)
        for number in range(count)
        for region in ("eu-west-2", "us-east-2")
    ]
    entries = with_images([], (published(*pair) for pair in pairs))
    folder.mkdir()
    (folder / "alpine.json").write_text(feed_of("alpine", entries).to_json(), encoding="utf-8")
    return folder
