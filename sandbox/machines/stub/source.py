"""A source OMI for stub VMs: an official name and size, and a disk with nothing on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sandbox.source_omi import SourceDisk

SIZE_GIB = 10
CREATED = datetime(2026, 10, 13, tzinfo=UTC)


def ensure_source(cache: Path, progress: Callable[[str], None]) -> SourceDisk:
    """Write the disk of a Debian OMI that no VM boots; takes no time."""
    progress("making a source OMI for stub VMs: there is no Debian on it")
    path = cache / "stub-source.json"
    path.write_text(json.dumps({"settings": ""}), encoding="utf-8")
    return SourceDisk(path, SIZE_GIB, f"Debian-12-{CREATED:%Y-%m-%d}", CREATED)
