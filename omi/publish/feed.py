"""The JSON feed of a profile's images, for programs: its values, which follow from the images alone, and its text.

Its form is a promise (`feed.schema.json`): within a format keys are only added. What isn't known is null, so that
every image has every key. Fields that the YAML file has, too, are declared in omi/publish/model.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omi.publish.fixes import FIXES_SCHEMA, published_files
from omi.publish.latest import Latest, latest_of
from omi.publish.model import Described, Projection, PublishedImage
from omi.support.errors import InputError, first_problem
from omi.support.reading import require_file

_STAGES = ("current", "deprecated", "private")
SCHEMA_FILE = "feed.schema.json"
"""The schema's file, here and beside the feeds."""
SCHEMA_FILES = (SCHEMA_FILE, FIXES_SCHEMA)
"""The schemas beside the feeds."""


class Document(Projection):
    """A file about an image's content."""

    href: str = Field(description="URL of the file, relative to this feed's own.")
    sha256: str = Field(description="SHA-256 of the file, 64 hex digits.", pattern="^[0-9a-f]{64}$")


class FeedImage(Described):
    """One image, which has an OMI in each of the Regions that `ids` names."""

    state: str = Field(description="current, deprecated or private: where it is best off.")
    documents: dict[str, dict[str, Document]] = Field(
        description="By Region and kind: sbom (CycloneDX), packages and files (columns by tabs), provenance, and fixes "
        "(those that it lacks, where they are known)."
    )


class Feed(BaseModel):
    """All images of a profile that there are now."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, title="Alpine Linux OMIs on OUTSCALE")

    schema_file: str = Field(SCHEMA_FILE, alias="$schema", description="URL of this schema, relative to the feed's.")
    format: Literal[1] = 1
    profile: str
    updated: datetime | None = Field(description="When the newest image was made, UTC; null where there is none.")
    latest: Latest
    images: tuple[FeedImage, ...] = Field(description="Newest first, by the time of their making.")

    def to_json(self) -> str:
        """Indented JSON; the same feed gives the same bytes."""
        value = self.model_dump(mode="json", by_alias=True)
        return json.dumps(value, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Feed:
        """Read a feed's file; InputError names it if it isn't one."""
        cure = "write it again by `python -m omi publish -s STACK`"
        try:
            require_file(path)
            feed = cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', 'not text')}); {cure}") from error
        except ValidationError as error:
            raise InputError(f"{path}: {first_problem(error, 'the whole file')}; {cure}") from error
        if feed.profile != path.stem:  # it names files beside it
            raise InputError(f"{path}: profile: {feed.profile!r} is not its file's name; {cure}")
        return feed


def feed_of(profile: str, published: Iterable[PublishedImage]) -> Feed:
    """The feed of a profile's images."""
    images = newest_made(published)
    updated = images[0].created if images else None
    return Feed(profile=profile, updated=updated, latest=latest_of(images), images=tuple(map(_image, images)))


def newest_made(images: Iterable[PublishedImage]) -> list[PublishedImage]:
    """Sort by creation time, newest first; images of the same second by name."""
    return sorted(sorted(images, key=lambda e: (e.name, e.build)), key=lambda e: e.created, reverse=True)


def _image(image: PublishedImage) -> FeedImage:
    state = min(map(image.stage_in, image.ids), key=_STAGES.index, default="current")
    documents = {
        region: {
            kind: Document(href=quote(path), sha256=digest.removeprefix("sha256:"))
            for kind, (path, digest) in files.items()
        }
        for region in image.ids
        if (files := published_files(image, region))
    }
    return FeedImage.model_validate({**dict(image), "state": state, "documents": documents})
