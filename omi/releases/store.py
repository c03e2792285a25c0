"""The releases folder on disk: read, change and write back under one lock, atomically."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from omi.atomic import write_atomically
from omi.errors import ToolError
from omi.image import ImageRecord, ImageSpec
from omi.ledger import Ledger
from omi.releases.entry import Entry, entry_of, from_yaml, to_yaml, with_entry, without_artifact
from omi.releases.readme import render_readme
from omi.settings import Settings


def record(spec: ImageSpec, image: ImageRecord) -> None:
    """Name a built OMI in its profile's releases file and the README."""
    _change(Path(spec.releases_dir), spec.build.profile, lambda old: with_entry(old, entry_of(spec, image)))


def forget(spec: ImageSpec, image: ImageRecord) -> None:
    """Take a pruned OMI out again; nothing happens where the folder is gone (another checkout, say)."""
    folder = Path(spec.releases_dir)
    if folder.is_dir():
        _change(folder, spec.build.profile, lambda old: without_artifact(old, image.region, image.omi))


def rewrite(folder: Path, profile: str, region: str, images: Iterable[tuple[ImageSpec, ImageRecord]]) -> None:
    """Write what the stack's state says of a Region; other Regions' artifacts, from other stacks, stay."""

    def change(old: list[Entry]) -> list[Entry]:
        entries = without_artifact(old, region)
        for spec, image in images:
            entries = with_entry(entries, entry_of(spec, image))
        return entries

    _change(folder, profile, change)


def export_ledger(settings: Settings, ledger: Ledger) -> None:
    """Write what the stack's state says, for the stack's profile and every other that it still holds images of."""
    folder = Path(settings.releases_dir)
    for profile in sorted({settings.profile, *(image.profile for image in ledger.images)}):
        images = [(image.spec, image.record) for image in ledger.images if image.profile == profile]
        if images or (folder / f"{profile}.yaml").exists():
            rewrite(folder, profile, settings.region, images)


def _change(folder: Path, profile: str, change: Callable[[list[Entry]], list[Entry]]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            path = folder / f"{profile}.yaml"
            old = path.read_text(encoding="utf-8") if path.exists() else ""
            new = to_yaml(change(from_yaml(old, str(path))))
            if new != old:
                write_atomically(path, new)
            _write_readme(folder)
    except OSError as error:
        raise ToolError(f"{folder}: cannot write the releases: {error.strerror}; make it writable") from error


def _write_readme(folder: Path) -> None:
    profiles = {
        path.stem: from_yaml(path.read_text(encoding="utf-8"), str(path)) for path in sorted(folder.glob("*.yaml"))
    }
    text, path = render_readme(profiles), folder / "README.md"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Builds end side by side, in processes of their own: one at a time may change the folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
