"""The releases folder on disk: read, change and write back under one lock, atomically."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from omi.publish.atom import render_atom
from omi.publish.beside import document_files, is_inside, place_documents, remove_documents
from omi.publish.feed import SCHEMA_FILES, feed_of
from omi.publish.fixes import all_files, fixes_texts
from omi.publish.manifest import MANIFEST, SIGNATURE
from omi.publish.model import MissingFixes, PublishedImage, published, with_images, without_omi
from omi.publish.old import is_old
from omi.publish.readme import render_readme
from omi.publish.releases import from_yaml, in_order, to_yaml
from omi.state.image import ImageRecord, ImageSpec
from omi.state.ledger import Ledger
from omi.support.atomic import remove_halves, write_atomically
from omi.support.errors import InputError, ToolError, few
from omi.support.locks import hold
from omi.support.places import expand
from omi.support.reading import why_unread

Files = Mapping[str, tuple[str, str]]
README = "README.md"
LOCK = ".lock"
"""Builds end side by side, in processes of their own: one at a time may change the folder."""


class FeedSettings(Protocol):
    """The part of a stack's settings that says which releases files are its own."""

    @property
    def releases_dir(self) -> str:
        """The folder."""

    @property
    def profile(self) -> str:
        """The profile that the stack builds."""

    @property
    def all_regions(self) -> tuple[str, ...]:
        """Every Region of the stack."""


def record(spec: ImageSpec, image: ImageRecord) -> list[str]:
    """Name an OMI in its profile's releases file and the README, with its documents beside them.

    This and the functions below return lines for people: which documents are missing, which files stay as they are.
    """
    return _record_all(expand(spec.releases_dir), spec.profile, [(published(spec, image), image)])


def forget(spec: ImageSpec, image: ImageRecord) -> list[str]:
    """Take a pruned OMI and its documents out again; nothing happens where the folder is gone (another checkout)."""
    folder = expand(spec.releases_dir)
    if not folder.is_dir():
        return []
    own = published(spec, image)
    gone = document_files([own])

    def change(old: list[PublishedImage]) -> list[PublishedImage]:
        return old if _is_makers(own, image, old) else without_omi(old, image.region, image.omi)

    return [*_change(folder, spec.profile, change, gone=gone), *_unsign_empty(folder)]


def _unsign_empty(folder: Path) -> list[str]:
    """Remove the signature from a folder whose last image is gone: the files it lists are gone, and no key is here."""
    if not (folder / MANIFEST).exists():
        return []
    try:
        with hold(folder / LOCK, f"{folder}: removing the signature"):
            if any(_read(path) != [] for path in folder.glob("*.yaml")):
                return []
            for name in (MANIFEST, SIGNATURE):
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise ToolError(f"{folder}: cannot remove the signature: {error.strerror}; make it writable") from error
    more = "`python -m omi publish` signs the empty list"
    return [f"{folder}: names no image any more, so {MANIFEST} and {SIGNATURE} are removed; {more}"]


def forget_unheld(stack: FeedSettings, ledger: Ledger, names: Collection[str]) -> list[str]:
    """Take images out by name that the stack's state doesn't hold; InputError for any other name."""
    unheld = _unheld(stack, ledger)
    known = sorted({image.name for image, _ in unheld})
    if unknown := sorted(set(names) - set(known)):
        raise unknown_to_forget(unknown[0], known)
    lines = []
    for image, region in unheld:
        if image.name in names:
            gone = partial(without_omi, region=region, omi=image.ids[region])
            lines += _change(expand(stack.releases_dir), image.profile, gone)
    return lines


def unknown_to_forget(name: str, known: Collection[str]) -> InputError:
    """The error for a name that can't be forgotten; `known` are those that can."""
    return InputError(
        f"--forget {name}: only an image that the files name and the stack's state lacks can be forgotten: "
        f"{', '.join(sorted(known)) or 'there is none'}"
    )


def export_ledger(
    stack: FeedSettings,
    ledger: Ledger,
    missing: Mapping[str, MissingFixes] = MappingProxyType({}),
    pruned: Collection[str] = (),
) -> list[str]:
    """Bring the images in the stack's state into the files; images that it lacks stay, but for OMIs in `pruned`.

    `missing` are the fixes that images lack, by resource; of others the files keep what an earlier day knew.
    It writes the stack's profile, and every other one that an image in state or an OMI in `pruned` is of.
    """
    folder, lines = expand(stack.releases_dir), []
    for profile in _profiles(stack, ledger, pruned):
        made = [
            (published(image.spec, image.record).changed(missing_fixes=missing.get(image.resource)), image.record)
            for image in ledger.images
            if image.profile == profile
        ]
        if made or (folder / f"{profile}.yaml").exists():
            lines += _record_all(folder, profile, made, without(ledger, pruned))
    return list(dict.fromkeys(lines))


def without(ledger: Ledger, pruned: Collection[str]) -> frozenset[str]:
    """The OMIs that an update let go and the state holds no more."""
    return frozenset(pruned) - {image.record.omi for image in ledger.images}


def unheld_lines(stack: FeedSettings, ledger: Ledger, pruned: Collection[str] = ()) -> list[str]:
    """A line about the images that the files name and the stack's state lacks; none where there is no such image.

    OMIs in `pruned` don't count: the next export takes them out.
    """
    names = sorted({image.name for image, region in _unheld(stack, ledger) if image.ids[region] not in pruned})
    if not names:
        return []
    line = (
        f"{stack.releases_dir}: stays as it is on {few(names)}, which the stack's state lacks; what is gone for good "
        "is taken out by `python -m omi publish -s STACK --forget IMAGE`"
    )
    return [line]


def _unheld(stack: FeedSettings, ledger: Ledger) -> list[tuple[PublishedImage, str]]:
    """Images and Regions whose OMI the ledger doesn't hold; other stacks' Regions are left out."""
    held = {(image.region, image.record.omi) for image in ledger.images}
    regions = {*stack.all_regions, *ledger.by_region()}
    return [
        (image, region)
        for profile in _profiles(stack, ledger)
        for image in _read(expand(stack.releases_dir) / f"{profile}.yaml") or ()
        for region, omi in image.ids.items()
        if region in regions and (region, omi) not in held
    ]


def _profiles(stack: FeedSettings, ledger: Ledger, pruned: Collection[str] = ()) -> list[str]:
    """The stack's profile, and every other one that an image in state or an OMI in `pruned` is of."""
    found = {stack.profile, *(image.profile for image in ledger.images)}
    written, _ = read_all(expand(stack.releases_dir)) if pruned else ({}, [])
    found |= {profile for profile, images in written.items() for each in images if set(each.ids.values()) & set(pruned)}
    return sorted(found)


def _record_all(
    folder: Path, profile: str, made: Sequence[tuple[PublishedImage, ImageRecord]], gone: Collection[str] = ()
) -> list[str]:
    def change(old: list[PublishedImage]) -> list[PublishedImage]:
        for region, omi in [each for image in old for each in image.ids.items() if each[1] in gone]:
            old = without_omi(old, region, omi)
        return with_images(old, [own for own, image in made if not _is_makers(own, image, old)])

    return _change(folder, profile, change, document_files(own for own, _ in made))


def _is_makers(own: PublishedImage, image: ImageRecord, entries: Iterable[PublishedImage]) -> bool:
    """Whether another stack made the OMI and wrote its entry, which then stays instead of this stack's `own`."""
    words = (each.description for each in entries if each.ids.get(image.region) == image.omi)
    return image.made_by is not None and any(each != own.description for each in words)


def _change(
    folder: Path,
    profile: str,
    change: Callable[[list[PublishedImage]], list[PublishedImage]],
    wanted: Files = MappingProxyType({}),
    gone: Files = MappingProxyType({}),
) -> list[str]:
    """Change the images; fetch the `wanted` documents, and remove those that the files no longer name.

    Nothing is written before all is read and rendered. A document comes before the file that names it, and goes after
    it. A file of the old tool stays as it is, and nothing is written in its place.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder / LOCK, f"{folder}: writing the releases"):
            profiles, lines = read_all(folder)
            path = folder / f"{profile}.yaml"
            if profile not in profiles and path.exists():
                return lines
            before = profiles.get(profile, [])
            after = in_order(change(before))
            texts = fixes_texts(after, folder)
            texts |= render(profile, after, {**profiles, profile: after}, read_text(folder / README))
            for each in {folder, *((folder / file).parent for file in (*wanted, *texts))}:
                if is_inside(folder, each):
                    remove_halves(each)
            lines += place_documents(folder, wanted)
            for name, text in texts.items():
                write_changed(folder / name, text)
            named = all_files(after)
            left = {file: each for file, each in {**all_files(before), **gone}.items() if file not in named}
            return [*remove_documents(folder, left), *lines]
    except OSError as error:
        raise ToolError(f"{folder}: cannot write the releases: {error.strerror}; make it writable") from error


def read_all(folder: Path) -> tuple[dict[str, list[PublishedImage]], list[str]]:
    """The images by profile, and a line about each file of the old tool, which is left out."""
    profiles, lines = {}, []
    for path in sorted(folder.glob("*.yaml")):
        images = _read(path)
        if images is None:
            lines.append(
                f"{path}: is of the old tool, so it stays as it is: `python -m omi import -s STACK {path}` takes its "
                "images in; then move it away"
            )
        else:
            profiles[path.stem] = images
    return profiles, lines


def _read(path: Path) -> list[PublishedImage] | None:
    """The images of a releases file, none where it isn't there; None if it is of the old tool."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ToolError(f"{path}: {why_unread(path, error)}") from error
    return None if is_old(text) else from_yaml(text, str(path))


def read_text(path: Path) -> str | None:
    """A file that people write, as it is; None if there is none."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ToolError(f"{path}: is not UTF-8 text; save it as UTF-8, or move it away") from error


def render(
    profile: str, images: list[PublishedImage], profiles: Mapping[str, list[PublishedImage]], readme: str | None
) -> dict[str, str]:
    """The files' texts by name, in the order in which they are written; `readme` is the one that is there."""
    feed = feed_of(profile, images)
    return {
        f"{profile}.yaml": to_yaml(images),
        README: render_readme(profiles, readme),
        **{schema: Path(__file__).with_name(schema).read_text(encoding="utf-8") for schema in SCHEMA_FILES},
        f"{profile}.atom.xml": render_atom(feed),
        f"{profile}.json": feed.to_json(),  # last, since programs launch what its pointers say
    }


def write_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_bytes() != text.encode("utf-8"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
