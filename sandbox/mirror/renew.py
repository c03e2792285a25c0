"""Other versions of packages on a laid-out mirror, as if they had been built anew upstream."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from sandbox.mirror import apk
from sandbox.mirror.errors import MirrorError
from sandbox.mirror.package import Package
from sandbox.mirror.signing import SigningKey


def renew_packages(repository: Path, name: str, version: str, key: SigningKey) -> str:
    """Give a package of one repository (the folder with its index), and all others built from the same source in the
    same version, another version; the index is signed anew. Returns that source.

    MirrorError where the repository has no such package.
    """
    index = repository / "APKINDEX.tar.gz"
    texts = _records(index)
    records = [_fields(text) for text in texts]
    found = next((record for record in records if record.get("P") == name), None)
    if found is None:
        raise MirrorError(f"{repository} has no package {name}: take one that its index names")
    source, old = found.get("o", name), found["V"]
    family = [record["P"] for record in records if record.get("o", record["P"]) == source and record["V"] == old]
    if version != old:
        kept = [text for text, record in zip(texts, records, strict=True) if record["P"] not in family]
        made = [_renew(repository / f"{each}-{old}.apk", old, version, family, key) for each in family]
        index.write_bytes(apk.write_index([*kept, *map(apk.index_record, made)], f"{source} {version}", key))
    return source


def _renew(path: Path, old: str, new: str, family: Iterable[str], key: SigningKey) -> Path:
    package = _renewed(path, old, new, family)
    made = path.with_name(package.file_name)
    made.write_bytes(apk.write_package(package, key))
    path.unlink()  # the link alone: the file is shared by all branches
    return made


def _records(index: Path) -> list[str]:
    with tarfile.open(index) as archive:
        member = archive.extractfile("APKINDEX")
        text = member.read().decode() if member else ""
    return text.strip().split("\n\n")


def _fields(record: str) -> dict[str, str]:
    return {line[0]: line[2:] for line in record.splitlines() if line[1:2] == ":"}


def _renewed(path: Path, old: str, new: str, family: Iterable[str]) -> Package:
    own = re.compile(rf"((?:cmd:[^=\s]+|{'|'.join(map(re.escape, sorted(family)))})=){re.escape(old)}(?!\S)")

    def moved(*values: str) -> tuple[str, ...]:
        return tuple(own.sub(rf"\g<1>{new}", value) for value in values)

    package = apk.unpack(path)
    return replace(
        package,
        version=new,
        depends=moved(*package.depends),
        provides=moved(*package.provides),
        replaces=moved(*package.replaces),
        install_if=moved(package.install_if)[0],
    )
