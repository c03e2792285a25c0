"""The releases folder on disk: read, change and write back under one lock, atomically."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from omi.atomic import remove_halves, write_atomically
from omi.errors import ToolError
from omi.image import ImageRecord, ImageSpec
from omi.ledger import Ledger
from omi.locks import hold
from omi.releases.atom import render_atom
from omi.releases.beside import document_files, is_inside, place_documents, remove_documents
from omi.releases.entry import Entry, entry_of, from_yaml, in_order, to_yaml, with_entries, without_artifact
from omi.releases.feed import SCHEMA_FILE, feed_of
from omi.releases.old import is_old
from omi.releases.readme import render_readme
from omi.settings import Settings

Files = Mapping[str, tuple[str, str]]
LOCK = ".lock"
"""Builds end side by side, in processes of their own: one at a time may change the folder."""


def record(spec: ImageSpec, image: ImageRecord) -> list[str]:
    """Name a built OMI in its profile's releases file and the README, with its documents beside them.

    Here and below, what is returned is what to tell of the documents, a line each.
    """
    folder, entry = Path(spec.releases_dir), entry_of(spec, image)
    return _change(folder, spec.build.profile, lambda old: with_entries(old, [entry]), document_files([entry]))


def forget(spec: ImageSpec, image: ImageRecord) -> list[str]:
    """Take a pruned OMI and its documents out again; nothing happens where the folder is gone (another checkout)."""
    folder = Path(spec.releases_dir)
    if not folder.is_dir():
        return []
    gone = document_files([entry_of(spec, image)])
    return _change(folder, spec.build.profile, lambda old: without_artifact(old, image.region, image.omi), gone=gone)


def rewrite(folder: Path, profile: str, region: str, images: Iterable[tuple[ImageSpec, ImageRecord]]) -> list[str]:
    """Write what the stack's state says of a Region; other Regions' artifacts, from other stacks, stay."""
    made = [entry_of(spec, image) for spec, image in images]

    def change(old: list[Entry]) -> list[Entry]:
        return with_entries(without_artifact(old, region), made)

    return _change(folder, profile, change, document_files(made))


def export_ledger(settings: Settings, ledger: Ledger) -> list[str]:
    """Write what the stack's state says, for the stack's profile and every other that it still holds images of."""
    folder, told, parts = Path(settings.releases_dir), [], ledger.by_region()
    for profile in sorted({settings.profile, *(image.profile for image in ledger.images)}):
        for region in sorted({*settings.all_regions, *parts}):
            held = parts[region].images if region in parts else ()
            images = [(image.spec, image.record) for image in held if image.profile == profile]
            if images or (folder / f"{profile}.yaml").exists():
                told += rewrite(folder, profile, region, images)
    return list(dict.fromkeys(told))


def _change(
    folder: Path,
    profile: str,
    change: Callable[[list[Entry]], list[Entry]],
    wanted: Files = MappingProxyType({}),
    gone: Files = MappingProxyType({}),
) -> list[str]:
    """Change the entries; bring the `wanted` documents, and remove those that were named before and aren't any more.

    Nothing is written before all is read and rendered. Whatever a file names is there before the file is, and goes
    after it. A file of the old tool stays as it is, and nothing is written in its place.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder / LOCK, f"{folder}: writing the releases"):
            for each in {folder, *((folder / file).parent for file in wanted)}:
                if is_inside(folder, each):
                    remove_halves(each)
            profiles, told = _read_all(folder)
            path = folder / f"{profile}.yaml"
            if profile not in profiles and path.exists():
                return told
            before = profiles.get(profile, [])
            after = in_order(change(before))
            texts = _render(profile, after, {**profiles, profile: after})
            told += place_documents(folder, wanted)
            for name, text in texts.items():
                _write(folder / name, text)
            named = document_files(after)
            left = {file: told for file, told in {**document_files(before), **gone}.items() if file not in named}
            return [*remove_documents(folder, left), *told]
    except OSError as error:
        raise ToolError(f"{folder}: cannot write the releases: {error.strerror}; make it writable") from error


def _read_all(folder: Path) -> tuple[dict[str, list[Entry]], list[str]]:
    """The entries by profile, and a line about each file of the old tool, which is none of them."""
    profiles, told = {}, []
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if is_old(text):
            told.append(
                f"{path}: is of the old tool, so it stays as it is: `python -m omi import -s STACK {path}` takes its "
                "images in; then move it away"
            )
        else:
            profiles[path.stem] = from_yaml(text, str(path))
    return profiles, told


def _render(profile: str, entries: list[Entry], profiles: Mapping[str, list[Entry]]) -> dict[str, str]:
    """The files' texts by name, in the order in which they are written."""
    feed = feed_of(profile, entries)
    return {
        f"{profile}.yaml": to_yaml(entries),
        "README.md": render_readme(profiles),
        SCHEMA_FILE: Path(__file__).with_name(SCHEMA_FILE).read_text(encoding="utf-8"),
        f"{profile}.atom.xml": render_atom(feed),
        f"{profile}.json": feed.to_json(),  # last, since programs launch what its pointers say
    }


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)
