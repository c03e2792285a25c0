"""Records what this version writes, once for each release:  python -m tests.formats.record 1.0.0

A stack with four verified images, made by real Pulumi in the local cloud: its state, profiles, config and releases
files, these signed by a key that nobody keeps, and the account's images with their tags. Besides, the JSON schemas, and
the content of a profile with every key.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from omi.profile.content import content
from omi.profile.load import load_profile
from omi.publish.signature import PublishingKey
from omi.publish.signed import publish_signed
from tests.e2e.held import HOME, STACK
from tests.omi.publish.signing import make_key
from tests.reliability.ring import KEPT, Ring, ledger_in, ring

VERSIONS = Path(__file__).parent
TOP = VERSIONS.parents[1]
SCHEMAS = (
    "docs/findings.schema.json",
    "docs/outputs.schema.json",
    "docs/plan.schema.json",
    "omi/publish/feed.schema.json",
    "omi/publish/fixes.schema.json",
)
EVERY_KEY = "test"
"""The profile in which every key is away from its default."""


_COPIES = shutil.ignore_patterns("backups", "history", "*.bak", "*.schema.json", "*.md", ".lock")
"""What else lies in a stack's folders: copies, and pages for people."""

_PLACES = ("sourcePosition", "stackTrace")
"""Paths of this machine in a state's resources; only the engine reads them."""


@dataclass(frozen=True)
class _Signed:
    releases_dir: str
    profile: str
    all_regions: tuple[str, ...]


def record(version: str) -> Path:
    """The folder that is written."""
    folder = VERSIONS / version
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with tempfile.TemporaryDirectory() as scratch, ring(Path(scratch), 1) as made:
        _record_stack(made, folder)
    for name in SCHEMAS:
        shutil.copy(TOP / name, folder)
    (folder / "content.json").write_text(_pretty(contents(folder / "profiles")), encoding="utf-8")
    return folder


def contents(root: Path) -> dict[str, object]:
    """What decides the content of each build's image."""
    return {build.name: content(build) for build in load_profile(EVERY_KEY, root).builds}


def _record_stack(made: Ring, folder: Path) -> None:
    for name in KEPT:
        shutil.copytree(made.template / name, folder / name, ignore=_COPIES)
    key = make_key(made.folder / "key")
    signed = _Signed(str(folder / "signed"), "alpine", (HOME,))
    publish_signed(signed, STACK, ledger_in(folder / "backend"), PublishingKey("the recording's key", path=key))
    for path in (folder / "backend").rglob("*.json"):
        state = json.loads(path.read_text(encoding="utf-8"))
        for resource in state["checkpoint"]["latest"]["resources"]:
            for place in _PLACES:
                resource.pop(place, None)
        path.write_text(_pretty(state), encoding="utf-8")
    (folder / "images.json").write_text(_pretty(made.images), encoding="utf-8")
    for file in folder.rglob("*"):
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            for name, value in made.surroundings.items():
                text = text.replace(value, name)
            file.write_text(text, encoding="utf-8")


def _pretty(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(record(sys.argv[1]))
