"""Where an image comes from: its build, its profile, the mirror and its indexes, this project's commit, the tools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from omi.profile.content import content
from omi.profile.digest import digest_of
from omi.state.image import ImageSpec
from omi.state.release_file import read_indexes


@dataclass(frozen=True)
class Made:
    """The image and its build's facts. The only clock is the cloud's, so the same image gives the same bytes."""

    spec: ImageSpec
    omi: str
    snapshots: tuple[str, ...]
    created: datetime
    """UTC, by the cloud's clock."""
    source: str | None
    """Id of the OMI that the build VM ran, if Packer named it."""
    release: Mapping[str, str] = field(default_factory=dict)
    """The fields of /etc/alpine-omi-release."""


def provenance_text(made: Made, documents: dict[str, str]) -> str:
    """JSON, indented, with sorted keys. `documents` are the digests of the image's other documents, by kind."""
    spec, release = made.spec, made.release
    value = {
        "format": 1,
        "image": {
            "name": spec.name,
            "omi": made.omi,
            "snapshots": list(made.snapshots),
            "region": spec.cloud.region,
            "created": made.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "release": spec.release,
            "revision": f"r{spec.revision}",
            "arch": spec.target.arch,
            "digest": spec.digest,
        },
        "profile": {"name": spec.target.profile, "build": spec.target.name, "digest": digest_of(content(spec.target))},
        "project": {"name": spec.project, "commit": release.get("COMMIT")},
        "source_omi": {"omi": made.source, "name": spec.vm.source_omi, "owner": spec.vm.source_owner},
        "mirror": release.get("MIRROR"),
        "indexes": [{"url": url, "digest": digest} for url, digest in read_indexes(release)],
        "keys": sorted(spec.target.keys),
        "tools": dict(tool.rsplit(" ", 1) for tool in release.get("TOOLS", "").split(", ") if " " in tool),
        "documents": documents,
    }
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
