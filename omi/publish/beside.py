"""The images' documents beside the releases files: put there from the builds' folders, removed with their images.

The stack's state holds their digests. A build's documents stay in the build's folder until they are put here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from omi.publish.documents.installed import ListedPackage, read_packages
from omi.publish.model import PublishedImage
from omi.support.atomic import write_atomically
from omi.support.errors import few
from omi.support.places import BUILD, file_name_of, in_region
from omi.support.reading import real_path


def document_files(images: Iterable[PublishedImage]) -> dict[str, tuple[str, str]]:
    """Path in the releases folder to the image's name and the file's digest."""
    return {
        path: (image.name, digest)
        for image in images
        for region in image.documents
        for path, digest in image.document_files(region).values()
    }


def place_documents(folder: Path, files: Mapping[str, tuple[str, str]], build: Path = BUILD) -> list[str]:
    """Fetch missing documents from the builds' folders; returns a line about those that are nowhere.

    Only one that was built later replaces a document that is there, so an update needn't read them all. The digest
    shows whether it is the right one, whichever stack built it.
    """
    runs = list(build.glob("*"))
    missing: dict[str, None] = {}
    for path, (image, digest) in files.items():
        place = folder / path
        inside, there = is_inside(folder, place.parent), place.is_file()
        own = [file_name_of(each) for each in (image, in_region(image, place.parent.name))]
        found = (run / each / "documents" / place.name for run in runs for each in own)
        newer = (made for made in found if made.is_file() and (not there or _is_newer(made, place)))
        if inside and (right := next((made for made in newer if digest_of_file(made) == digest), None)):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, right.read_text(encoding="utf-8"))
        elif not (inside and there):
            missing[image] = None
    where = "they are where the image was built (build/STACK/IMAGE/documents): copy them from there"
    return [f"{folder}: documents of {few(list(missing))} are missing; {where}"] if missing else []


def listed_packages(image: PublishedImage, folder: Path, region: str) -> tuple[ListedPackage, ...] | None:
    """The packages in an image's document; None if it is missing or was changed."""
    name, digest = image.document_files(region).get("packages", ("", None))
    if digest is None or not is_inside(folder, folder / name) or digest_of_file(folder / name) != digest:
        return None
    return read_packages((folder / name).read_text(encoding="utf-8"))


def remove_documents(folder: Path, files: Mapping[str, tuple[str, str | None]]) -> list[str]:
    """Remove the documents of images that are gone, but not changed ones; returns a line about these.

    A document without a digest goes whatever it holds.
    """
    left = []
    for path, (_, digest) in files.items():
        place = folder / path
        if is_inside(folder, place) and place.is_file():
            if digest is not None and digest_of_file(place) != digest:
                left.append(path)
                continue
            place.unlink()
            for empty in (place.parent, place.parent.parent):
                with suppress(OSError):
                    empty.rmdir()
    return [f"{folder}: {', '.join(left)} stay: they were changed since they were written; remove them"] if left else []


def is_inside(folder: Path, place: Path) -> bool:
    """Whether the place is in the releases folder, and not behind a link out of it, where nothing is ours to change."""
    return real_path(place).is_relative_to(real_path(folder))


def _is_newer(one: Path, other: Path) -> bool:
    try:
        return one.stat().st_mtime > other.stat().st_mtime
    except OSError:
        return False


def digest_of_file(path: Path) -> str | None:
    """`sha256:` and 64 hex digits; None if the file can't be read."""
    try:
        return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
