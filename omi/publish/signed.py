"""A signed releases folder: its files follow from the stack's state alone, and a signed manifest lists them all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from omi.publish.beside import digest_of_file, document_files, is_inside, place_documents, remove_documents
from omi.publish.fixes import all_files, fixes_texts
from omi.publish.manifest import MANIFEST, SIGNATURE, SIGNERS, STACK_NAME, PublishedManifest
from omi.publish.model import MissingFixes, PublishedImage, published, with_images
from omi.publish.releases import in_order
from omi.publish.signature import NAMESPACE, PublishingKey
from omi.publish.store import (
    LOCK,
    README,
    FeedSettings,
    read_all,
    read_text,
    render,
    unknown_to_forget,
    without,
    write_changed,
)
from omi.state.ledger import Ledger
from omi.support import clock
from omi.support.atomic import remove_halves
from omi.support.environment import SIGNING_KEY
from omi.support.errors import InputError, StateError, ToolError, few
from omi.support.locks import hold
from omi.support.places import expand


def require_unsigned(folder: Path) -> None:
    """Raise InputError if the folder is signed: files written without a signature would pass for tampered ones."""
    if (folder / SIGNERS).exists():
        raise InputError(
            f"{folder}: is signed, as {SIGNERS} in it says: give the key by --key FILE or in {SIGNING_KEY}; to sign it "
            f"no more, remove {SIGNERS}, {MANIFEST} and {SIGNATURE}"
        )


def publish_signed(
    settings: FeedSettings,
    stack: str,
    ledger: Ledger,
    key: PublishingKey,
    missing: Mapping[str, MissingFixes] = MappingProxyType({}),
    forget: Collection[str] = (),
    pruned: Collection[str] = (),
) -> list[str]:
    """Write the files from the state and sign them; returns lines for people. Images in `forget` go, by name, and OMIs
    that an update let go (`pruned`). `missing` are the fixes that images lack, as for `export_ledger`.

    Nothing is written before all is read, rendered and signed. A folder that names another image which the state lacks,
    or holds a changed document, is refused: its author would get it signed.
    """
    folder = expand(settings.releases_dir)
    signers, lines = _allowed_signers(folder, stack, key)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder / LOCK, f"{folder}: signing the releases"):
            now = clock.now()  # after the wait for another that signs
            remove_halves(folder)
            found, old = read_all(folder)
            if old:
                raise InputError(old[0])
            pruned = without(ledger, pruned)
            _require_held(folder, found, ledger, forget, pruned)
            _require_later(folder, now)
            images = _from_state(settings.profile, found, ledger, missing)
            readme, texts = read_text(folder / README), {SIGNERS: signers}
            for name, own in images.items():
                texts |= {**fixes_texts(own, folder), **render(name, own, images, readme)}
            documents = document_files(image for own in images.values() for image in own)
            lines += place_documents(folder, documents)
            sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
            sums |= _sums(folder, documents)
            content = PublishedManifest(stack, int(now.timestamp()), sums).to_text()
            signature = key.sign(content)
            for name, text in {**texts, MANIFEST: content, SIGNATURE: signature.text}.items():
                write_changed(folder / name, text)
            gone = all_files(
                image
                for images in found.values()
                for image in images
                if image.name in forget or not pruned.isdisjoint(image.ids.values())
            )
            lines += remove_documents(folder, {path: each for path, each in gone.items() if path not in sums})
            return [*lines, *_unsigned(folder, {*sums, MANIFEST, SIGNATURE, LOCK})]
    except OSError as error:
        raise ToolError(f"{folder}: cannot write the releases: {error.strerror}; make it writable") from error


def _allowed_signers(folder: Path, stack: str, key: PublishingKey) -> tuple[str, list[str]]:
    """The text of allowed_signers to publish, the folder's or a first one that allows this key, and lines for people.

    InputError if the key can't sign, or the folder's doesn't allow it now.
    """
    if not STACK_NAME.fullmatch(stack):
        raise InputError(f"stack {stack!r}: a signature needs a name of letters, digits and ._- alone")
    tried = key.sign("")
    line = f'{stack} namespaces="{NAMESPACE}" {tried.public_key}'
    path = folder / SIGNERS
    present = read_text(path)
    if present is None:
        return f"{line}\n", [f"{path}: is new; give it to all who check, by another way than these files"]
    if problem := tried.problem(path, stack, ""):
        raise InputError(
            f"{key.where}: is not allowed by {path} now ({problem}); sign by a key that it allows, or add the line "
            f"`{line}` and give the file to all who check"
        )
    return present, []


def _require_held(
    folder: Path,
    found: Mapping[str, Iterable[PublishedImage]],
    ledger: Ledger,
    forget: Collection[str],
    pruned: Collection[str],
) -> None:
    held = {(image.profile, image.region, image.record.omi) for image in ledger.images}
    unheld = {
        (image.name, f"{omi} in {region}")
        for profile, images in found.items()
        for image in images
        for region, omi in image.ids.items()
        if (profile, region, omi) not in held and omi not in pruned
    }
    if wrong := sorted(set(forget) - {name for name, _ in unheld}):
        raise unknown_to_forget(wrong[0], {name for name, _ in unheld})
    if left := [f"{name} ({where})" for name, where in sorted(unheld) if name not in forget]:
        raise StateError(
            f"{folder}: names {few(left)}, which the stack's state lacks, so nothing is signed: take it out by "
            "`python -m omi publish -s STACK --forget IMAGE`; if another stack made it, give each stack a "
            "releases_dir of its own"
        )


def _require_later(folder: Path, now: datetime) -> None:
    before = PublishedManifest.read(folder)
    if before is not None and before.time > now:
        raise InputError(
            f"{folder / MANIFEST}: was signed at {before.time:%Y-%m-%d %H:%M:%S} UTC, which is later than this "
            "machine's clock; set the clock, or remove the file if its time is wrong"
        )


def _from_state(
    profile: str,
    found: Mapping[str, Iterable[PublishedImage]],
    ledger: Ledger,
    missing: Mapping[str, MissingFixes],
) -> dict[str, list[PublishedImage]]:
    """The images by profile; the fixes that they lack are the `missing` ones, or as they were `found` in the files."""
    before = {(image.profile, image.build, image.name): image for each in found.values() for image in each}
    made: dict[str, list[PublishedImage]] = {name: [] for name in (profile, *found)}
    for held in ledger.images:
        known = before.get((held.profile, held.spec.build, held.spec.name))
        lacks = missing.get(held.resource) or (known.missing_fixes if known else None)
        made.setdefault(held.profile, []).append(published(held.spec, held.record).changed(missing_fixes=lacks))
    return {name: in_order(with_images([], each)) for name, each in sorted(made.items())}


def _sums(folder: Path, documents: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """The digests of the documents that are there; missing ones are not published."""
    sums = {}
    for path, (image, digest) in documents.items():
        place = folder / path
        if not is_inside(folder, place) or not place.is_file():
            continue
        if digest_of_file(place) != digest:
            raise StateError(
                f"{place}: isn't what the stack's state says of {image}, so nothing is signed: remove it, then publish "
                "again, which restores it from where it was built"
            )
        sums[path] = digest.removeprefix("sha256:")
    return sums


def _unsigned(folder: Path, signed: Iterable[str]) -> list[str]:
    there = {os.path.relpath(Path(top) / name, folder) for top, _, names in os.walk(folder) for name in names}
    other = sorted(there - set(signed))
    if not other:
        return []
    return [f"{folder}: {few(other)} are not signed, since the stack's state names no such file: don't publish them"]
