"""Alpine's security data (secdb) in the shape of https://secdb.alpinelinux.org: one file a branch and repository."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.mirror.catalogue import REPOSITORIES, Catalogue
from sandbox.mirror.package import ARCH

Fixes = Mapping[str, Mapping[str, Sequence[str]]]
"""Ids by version, by source package."""


def lay_secdb(folder: Path, catalogue: Catalogue, fixes: Mapping[str, Fixes]) -> None:
    """Write the files of all branches; `fixes` are those of each branch's main repository."""
    for branch in catalogue.branches:
        place = folder / branch.name
        place.mkdir(parents=True)
        for repository in REPOSITORIES:
            known = fixes.get(branch.name, {}) if repository == "main" else {}
            (place / f"{repository}.json").write_text(_text(branch.name, repository, known), encoding="utf-8")


def _text(branch: str, repository: str, fixes: Fixes) -> str:
    document = {
        "apkurl": "{{urlprefix}}/{{distroversion}}/{{reponame}}/{{arch}}/{{pkg.name}}-{{pkg.ver}}.apk",
        "archs": [ARCH],
        "distroversion": branch,
        "packages": [
            {"pkg": {"name": name, "secfixes": {version: list(ids) for version, ids in versions.items()}}}
            for name, versions in sorted(fixes.items())
        ],
        "reponame": repository,
        "urlprefix": "https://dl-cdn.alpinelinux.org/alpine",
    }
    return json.dumps(document) + "\n"
