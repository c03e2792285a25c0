"""A mirror laid out from a pool of packages."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.mirror import apk
from sandbox.mirror.catalogue import Catalogue
from sandbox.mirror.errors import MirrorError
from sandbox.mirror.installed import read_installed
from sandbox.mirror.make import Pool, make_tree
from sandbox.mirror.package import Directory, FileOwner, PackageFile, Symlink


def index_of(tree: Path, branch: str, repository: str = "main") -> str:
    with tarfile.open(tree / f"alpine/{branch}/{repository}/x86_64/APKINDEX.tar.gz") as archive:
        member = archive.extractfile("APKINDEX")
        assert member is not None
        return member.read().decode()


def release_in(tree: Path, branch: str, version: str) -> bytes:
    content = (tree / f"alpine/{branch}/main/x86_64/alpine-release-{version}-r0.apk").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile("etc/alpine-release")
        assert member is not None
        return member.read()


def test_every_branch_says_its_own_release(tmp_path: Path, catalogue: Catalogue, pool: Pool) -> None:
    make_tree(tmp_path / "m", catalogue, pool, "http://127.0.0.1:1")
    assert release_in(tmp_path / "m", "v3.23", "3.23.10") == b"3.23.10\n"
    assert release_in(tmp_path / "m", "edge", "3.24_alpha20261001") == b"3.24_alpha20261001\n"


def test_the_branch_holds_only_its_current_release(tmp_path: Path, catalogue: Catalogue, pool: Pool) -> None:
    make_tree(tmp_path / "m", catalogue.at_release("v3.23", "3.23.9"), pool)
    index = index_of(tmp_path / "m", "v3.23")
    assert "P:alpine-release\nV:3.23.9-r0\n" in index
    assert "P:alpine-base\nV:3.23.9-r0\n" in index
    assert "3.23.10" not in index
    assert index.count("P:alpine-release\n") == 1


def test_the_lists_may_run_ahead_of_the_packages(tmp_path: Path, catalogue: Catalogue, pool: Pool) -> None:
    lagging = replace(catalogue.branch("v3.23"), packaged="3.23.9")
    make_tree(tmp_path / "m", catalogue.with_branch(lagging), pool)
    listed = json.loads((tmp_path / "m/releases.json").read_text())["release_branches"][1]["releases"]
    assert listed[0]["version"] == "3.23.10"
    assert release_in(tmp_path / "m", "v3.23", "3.23.9") == b"3.23.9\n"


def test_packages_are_shared_by_hard_link(tmp_path: Path, catalogue: Catalogue, pool: Pool) -> None:
    make_tree(tmp_path / "m", catalogue, pool)
    places = [tmp_path / f"m/alpine/{branch}/main/x86_64/hello-1.2-r3.apk" for branch in ("edge", "v3.23")]
    assert len({place.stat().st_ino for place in places}) == 1


def test_index_names_every_package_of_the_folder(tmp_path: Path, catalogue: Catalogue, pool: Pool) -> None:
    make_tree(tmp_path / "m", catalogue, pool)
    index = index_of(tmp_path / "m", "v3.23")
    for path in (tmp_path / "m/alpine/v3.23/main/x86_64").glob("*.apk"):
        assert f"{apk.index_record(path)}\n\n" in index
    assert index_of(tmp_path / "m", "v3.23", "community") == ""


def test_the_public_key_lies_where_it_is_looked_for(tmp_path: Path, catalogue: Catalogue, pool: Pool) -> None:
    make_tree(tmp_path / "m", catalogue, pool, "http://127.0.0.1:1")
    name = pool.key.name
    assert (tmp_path / "m/keys" / name).read_bytes() == pool.key.public_pem
    assert (tmp_path / "m/alpine/keys" / name).read_bytes() == pool.key.public_pem
    assert f"http://127.0.0.1:1/alpine/keys/{name}" in (tmp_path / "m/releases.json").read_text()
    assert not list((tmp_path / "m").rglob("*.pem"))


def test_latest_stable_leads_to_the_branch(tmp_path: Path, catalogue: Catalogue, pool: Pool) -> None:
    make_tree(tmp_path / "m", catalogue, pool)
    assert (tmp_path / "m/alpine/latest-stable/main/x86_64/APKINDEX.tar.gz").is_file()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tiny installed root: one package with a changed /etc/hostname, a link, and a script."""
    place = tmp_path / "root"
    for folder in ("etc", "lib/apk/db"):
        (place / folder).mkdir(parents=True)
    (place / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nntp:x:123:123::/:/bin/false\n")
    (place / "etc/group").write_text("root:x:0:\nntp:x:123:\n")
    (place / "etc/hostname").write_text("changed\n")
    (place / "etc/mtab").symlink_to("/elsewhere")
    (place / "lib/apk/db/triggers").write_text("Q1+nqEIqu7teF5AzzuVFUSQAeBeyI= /lib/modules/*\n")
    (place / "lib/apk/db/installed").write_text(
        "C:Q1+nqEIqu7teF5AzzuVFUSQAeBeyI=\nP:base\nV:1-r0\nA:x86_64\nt:1700000000\nD:musl busybox\n"
        "F:etc\nM:0:123:750\nR:hostname\na:123:0:600\nZ:Q16nVwYVXP/tChvUPdukVD2ifXOmc=\n"
        "R:mtab\nZ:Q1aFfANMgcqDT9yYrvPxy5ePVsaZg=\n"
    )
    with tarfile.open(place / "lib/apk/db/scripts.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("base-1-r0.X1fa7a8422abbbb5e179033cee5455124007817b22.trigger")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"#!"))
    return place


def test_an_installed_package_comes_back_as_it_was(root: Path) -> None:
    (package,) = read_installed(root)
    assert package.depends == ("musl", "busybox")
    assert package.triggers == "/lib/modules/*"
    assert package.scripts == {"trigger": b"#!"}
    assert package.entries == (
        Directory("etc", 0o750, FileOwner(0, 123, "root", "ntp")),
        PackageFile("etc/hostname", b"localhost\n", 0o600, FileOwner(123, 0, "ntp", "root")),
        Symlink("etc/mtab", "../proc/mounts"),
    ), "the packaged text and link, not the changed ones"


def test_a_file_that_cannot_be_restored_is_an_error(root: Path) -> None:
    installed = root / "lib/apk/db/installed"
    installed.write_text(installed.read_text().replace("R:hostname", "R:issue"))
    (root / "etc/issue").write_text("changed")
    with pytest.raises(MirrorError, match="/etc/issue of the pinned image can't be brought back"):
        read_installed(root)
