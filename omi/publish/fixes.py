"""The document of the fixes that an image lacks: unlike its other documents it is written anew as the data moves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from omi.publish.beside import is_inside
from omi.publish.documents.kinds import FIXES
from omi.publish.model import Identified, MissingFixes, Projection, PublishedImage
from omi.support.places import file_name_of

FIXES_SCHEMA = "fixes.schema.json"
"""The schema's file, here and beside the feeds."""


class _Placed(Projection):
    """The OMI that a document is about."""

    schema_file: str = Field(
        f"../../{FIXES_SCHEMA}", alias="$schema", description="URL of this schema, relative to the document's."
    )
    format: Literal[1] = 1
    region: str
    omi: str = Field(description="Id of its OMI in this Region.")


class FixesDocument(MissingFixes, Identified, _Placed):
    """The fixes that an OMI lacks."""

    model_config = ConfigDict(validate_by_name=True, title="Fixes that an Alpine Linux OMI lacks")


def published_files(image: PublishedImage, region: str) -> dict[str, tuple[str, str]]:
    """Kind to path in the releases folder and digest of an OMI's documents, the one of fixes included."""
    files = image.document_files(region)
    if text := _text(image, region):
        files[FIXES] = (_path(image, region), f"sha256:{hashlib.sha256(text.encode()).hexdigest()}")
    return files


def all_files(images: Iterable[PublishedImage]) -> dict[str, tuple[str, str | None]]:
    """Path in the releases folder to the image's name and the file's digest, of all documents.

    The document of fixes has None: it is written anew at any time, so its content proves nothing.
    """
    return {
        path: (image.name, None if kind == FIXES else digest)
        for image in images
        for region in image.ids
        for kind, (path, digest) in published_files(image, region).items()
    }


def fixes_texts(images: Iterable[PublishedImage], folder: Path) -> dict[str, str]:
    """Path in the releases folder to the document's text, without paths behind a link out of the folder."""
    return {
        path: text
        for image in images
        for region in image.ids
        if (text := _text(image, region)) and is_inside(folder, folder / (path := _path(image, region)))
    }


def _path(image: PublishedImage, region: str) -> str:
    return f"{image.profile}/{region}/{file_name_of(image.name)}.fixes.json"


def _text(image: PublishedImage, region: str) -> str | None:
    """JSON; the same image and day give the same bytes. None if its missing fixes aren't known."""
    if image.missing_fixes is None:
        return None
    facts = {**dict(image), **dict(image.missing_fixes), "region": region, "omi": image.ids[region]}
    document = FixesDocument.model_validate({key: facts[key] for key in FixesDocument.model_fields if key in facts})
    return json.dumps(document.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False) + "\n"
