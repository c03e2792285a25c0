"""An image's documents: what they tell, that they are valid, and that the same image gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from omi.profile.content import content
from omi.profile.digest import digest_of
from omi.publish.documents.installed import read_installed
from omi.publish.documents.kinds import SUFFIXES, file_name
from omi.publish.documents.provenance import Made
from omi.publish.documents.write import write_documents
from omi.support.errors import BuildError
from tests.omi.specs import DIGEST, make_spec, remade

SPEC = make_spec()
MADE = Made(SPEC, "ami-12345678", ("snap-12345678",), datetime(2026, 11, 24, 12, 30, tzinfo=UTC), "ami-87654321")
INDEX = f"sha256:{'a' * 64}"
URL = "https://dl-cdn.alpinelinux.org/alpine/v3.23/main/x86_64/APKINDEX.tar.gz"
RELEASE = f"""\
NAME="{SPEC.name}"
DIGEST="{DIGEST}"
COMMIT="{"1" * 40}+changes"
MIRROR="https://dl-cdn.alpinelinux.org/alpine"
INDEX_1="{INDEX} {URL}"
TOOLS="pulumi 3.259.0, packer 1.16.0, apk-tools 3.0.8-r0"
"""
PACKAGES = """\
C:Q1oddqjGAlM3YbrMERM4BrQSmmr1M=
P:musl
V:1.2.5-r23
A:x86_64
S:407278
I:667648
T:the musl c library (libc) implementation
U:https://musl.libc.org/
L:MIT
o:musl
t:1776953217
c:f7a1f9a9b1f8e5d1f3d0c0f6f8c1f0a3b6b1c2d3
p:so:libc.musl-x86_64.so.1=1

C:Q1MTl4nRXYNUeMn7NDaHbUNFlbgbE=
P:libstdc++
V:15.2.0-r2
A:x86_64
L:GPL-2.0-or-later AND LGPL-2.1-or-later
o:gcc
D:so:libc.musl-x86_64.so.1 musl>=1.2 !libstdc++-old so:libgone.so.1
p:so:libstdc++.so.6=6.0.34

C:Q1MTl4nRXYNUeMn7NDaHbUNFlbgbF=
P:odd
V:1-r0
A:noarch
L:various, see there
D:so:libstdc++.so.6

C:Q1MTl4nRXYNUeMn7NDaHbUNFlbgbG=
P:openssh
V:10.0_p1-r9
A:x86_64
D:!odd>9
"""


FILES = "# path\ttype\tmode\towner\tgroup\tcontent\n/etc/motd\tf\t644\t0\t0\t" + "0" * 64 + "\n"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "packages").write_text(PACKAGES)
    (folder / "files").write_text(FILES)
    (folder / "alpine-omi-release").write_text(RELEASE)
    return folder


def written(output: Path, kind: str) -> str:
    folder = output.parent / "documents"
    digests = write_documents(folder, output, MADE)
    text = (folder / file_name(SPEC.name, kind)).read_bytes()
    assert digests[kind] == "sha256:" + hashlib.sha256(text).hexdigest()
    assert digests.keys() == SUFFIXES.keys()
    return text.decode()


def test_the_list_of_packages_has_versions_and_checksums(output: Path) -> None:
    heading, *rows = written(output, "packages").splitlines()
    assert heading.split("\t") == ["# name", "version", "arch", "checksum", "bytes", "origin", "license"]
    assert [row.split("\t")[0] for row in rows] == ["libstdc++", "musl", "odd", "openssh"]
    assert rows[1] == "musl\t1.2.5-r23\tx86_64\tQ1oddqjGAlM3YbrMERM4BrQSmmr1M=\t667648\tmusl\tMIT"


def test_the_list_of_files_is_the_guests(output: Path) -> None:
    assert written(output, "files") == FILES


def test_the_sbom_is_valid_cyclonedx_and_names_each_package(output: Path) -> None:
    text = written(output, "sbom")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom: dict[str, Any] = json.loads(text)
    assert bom["metadata"]["component"]["name"] == SPEC.name
    described = [bom["metadata"]["component"], *bom["components"]]
    systems = [part["name"] for part in described if part["type"] == "operating-system"]
    assert systems == ["alpine"], "scanners take any for the one that the packages belong to"
    assert bom["metadata"]["timestamp"] == "2026-11-24T12:30:00+00:00"
    parts = {part["name"]: part for part in bom["components"]}
    assert parts.keys() == {"alpine", "libstdc++", "musl", "odd", "openssh"}
    assert (parts["alpine"]["type"], parts["alpine"]["version"]) == ("operating-system", "3.23.6")
    assert PackageURL.from_string(parts["libstdc++"]["purl"]).to_dict() == {
        "type": "apk",
        "namespace": "alpine",
        "name": "libstdc++",
        "version": "15.2.0-r2",
        "qualifiers": {"arch": "x86_64", "distro": "alpine-3.23.6", "upstream": "gcc"},
        "subpath": None,
    }
    assert parts["libstdc++"]["licenses"] == [{"expression": "GPL-2.0-or-later AND LGPL-2.1-or-later"}]
    assert parts["musl"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert parts["odd"]["licenses"] == [{"license": {"name": "various, see there"}}]
    assert {"name": "alpine:apk:checksum", "value": "Q1oddqjGAlM3YbrMERM4BrQSmmr1M="} in parts["musl"]["properties"]


def test_the_sbom_tells_what_needs_what(output: Path) -> None:
    spec = remade(SPEC, packages={"musl": True, "openssh>9": True})
    folder = output.parent / "documents"
    write_documents(folder, output, replace(MADE, spec=spec))
    bom = json.loads((folder / file_name(SPEC.name, "sbom")).read_text())
    names = {part["bom-ref"]: part["name"] for part in bom["components"]} | {SPEC.name: "the image"}
    needs = {names[entry["ref"]]: {names[ref] for ref in entry.get("dependsOn", ())} for entry in bom["dependencies"]}
    assert needs == {
        "the image": {"alpine", "musl", "odd", "openssh"},  # odd because nothing else needs it
        "alpine": set(),
        "musl": set(),
        "libstdc++": {"musl"},
        "odd": {"libstdc++"},
        "openssh": set(),  # that it can't be beside another odd is no need of it
    }


def test_the_provenance_tells_where_it_comes_from(output: Path) -> None:
    told = json.loads(written(output, "provenance"))
    assert told["image"] == {
        "name": SPEC.name,
        "omi": "ami-12345678",
        "snapshots": ["snap-12345678"],
        "region": "eu-west-2",
        "created": "2026-11-24T12:30:00Z",
        "release": "3.23.6",
        "revision": "r0",
        "arch": "x86_64",
        "digest": DIGEST,
    }
    assert told["profile"] == {"name": "alpine", "build": "a", "digest": digest_of(content(SPEC.target))}
    assert told["project"] == {"name": "alpine-omi", "commit": f"{'1' * 40}+changes"}
    assert told["source_omi"] == {"omi": "ami-87654321", "name": "Debian-12-*", "owner": "Outscale"}
    assert told["mirror"] == "https://dl-cdn.alpinelinux.org/alpine"
    assert told["indexes"] == [{"url": URL, "digest": INDEX}]
    assert told["tools"] == {"pulumi": "3.259.0", "packer": "1.16.0", "apk-tools": "3.0.8-r0"}
    assert told["documents"].keys() == {"files", "packages", "sbom"}


def test_the_same_image_gives_the_same_bytes_in_another_process(output: Path, tmp_path: Path) -> None:
    here = write_documents(tmp_path / "here", output, MADE)
    script = (
        "import sys; from pathlib import Path; from tests.omi.publish.documents.test_documents import MADE; "
        "from omi.publish.documents.write import write_documents; "
        "print(write_documents(Path(sys.argv[1]), Path(sys.argv[2]), MADE))"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", script, str(tmp_path / "there"), str(output)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == str(here)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("packages", "", "names no package"),
        ("packages", "P:musl\n", "is not what apk records of packages"),
        ("packages", None, "can't be read"),
        ("alpine-omi-release", RELEASE.replace(SPEC.name, "another"), f"is of the image another, not of {SPEC.name}"),
        ("alpine-omi-release", RELEASE.replace("sha256:0", "sha256:1"), "build again"),
    ],
)
def test_what_is_no_such_image_is_refused_and_nothing_is_written(
    output: Path, file: str, text: str | None, said: str
) -> None:
    (output / file).unlink()
    if text is not None:
        (output / file).write_text(text)
    with pytest.raises(BuildError, match=said):
        write_documents(output.parent / "documents", output, MADE)
    assert not (output.parent / "documents").exists()


def test_what_apk_leaves_out_is_empty() -> None:
    (package,) = read_installed("C:Q1x=\nP:a\nV:1-r0\nA:noarch\n", "here")
    assert (package.size, package.origin, package.license, package.url) == (0, "a", "", "")


def test_the_program_does_not_load_the_sbom_library() -> None:
    script = (
        "import sys, omi.plan.planning, omi.plan.survey, omi.publish, components; print('cyclonedx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
