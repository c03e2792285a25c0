"""A key and a small pool of packages, enough to lay out mirrors without network."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from sandbox.mirror import apk
from sandbox.mirror.catalogue import Catalogue, CatalogueBranch, PointRelease
from sandbox.mirror.make import Pool
from sandbox.mirror.package import Package, PackageFile, Symlink, with_parents
from sandbox.mirror.signing import SigningKey, new_key


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return new_key()


@pytest.fixture
def package() -> Package:
    return Package(
        name="hello",
        version="1.2-r3",
        description="Says hello",
        url="https://alpinelinux.org",
        license="MIT",
        origin="hello",
        maintainer="someone",
        build_date=1_700_000_000,
        depends=("musl", "so:libc.musl-x86_64.so.1"),
        provides=("cmd:hello=1.2-r3",),
        scripts={"post-install": b"#!/bin/sh\nexit 0\n"},
        entries=with_parents((PackageFile("usr/bin/hello", b"#!/bin/sh\n", 0o755), Symlink("usr/bin/hi", "hello"))),
    )


@pytest.fixture
def release_package() -> Package:
    return Package(
        name="alpine-release",
        version="3.23.6-r0",
        description="Alpine release data",
        url="https://alpinelinux.org",
        license="MIT",
        origin="alpine-base",
        maintainer="someone",
        build_date=1_700_000_000,
        depends=("alpine-keys",),
        replaces=("alpine-baselayout",),
        entries=with_parents(
            (
                PackageFile("etc/alpine-release", b"3.23.6\n"),
                PackageFile("etc/issue", b"Welcome to Alpine Linux 3.23\n"),
                PackageFile("usr/lib/os-release", b'VERSION_ID=3.23.6\nPRETTY_NAME="Alpine Linux v3.23"\n'),
            )
        ),
    )


@pytest.fixture
def pool(tmp_path: Path, key: SigningKey, package: Package, release_package: Package) -> Pool:
    folder = tmp_path / "pool"
    folder.mkdir()
    for each in (package, release_package):
        (folder / each.file_name).write_bytes(apk.write_package(each, key))
    return Pool(folder, key)


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(
        latest_stable="v3.23",
        branches=(
            CatalogueBranch("edge", packaged="3.24_alpha20261001"),
            CatalogueBranch(
                "v3.23",
                released=date(2025, 12, 3),
                end_of_life=date(2027, 11, 1),
                releases=(
                    PointRelease("3.23.10", date(2026, 9, 17)),
                    PointRelease("3.23.9", date(2026, 7, 2)),
                ),
            ),
        ),
    )
