"""The JSON feed of a profile's images, for programs: as values, as a pure function of the releases' entries, as text.

Its form is a promise (`feed.schema.json`, printed by `python -m omi.publish`): within a format keys are only
added. What isn't known is null, so that every image has every key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omi.publish.documents.kinds import SUFFIXES, file_name
from omi.publish.entry import Entry
from omi.publish.latest import Latest, latest_of
from omi.support.errors import InputError, StateError, first_problem

_STAGES = ("current", "deprecated", "private")
SCHEMA_FILE = "feed.schema.json"
"""The schema's file, here and beside the feeds."""


class Document(BaseModel):
    """A file about an image's content."""

    model_config = ConfigDict(frozen=True)

    href: str = Field(description="URL of the file, relative to this feed's own.")
    sha256: str = Field(description="SHA-256 of the file, 64 hex digits.", pattern="^[0-9a-f]{64}$")


class FeedWithdrawal(BaseModel):
    """How far an OMI is withdrawn."""

    model_config = ConfigDict(frozen=True)

    stage: str = Field(description="deprecated (it still launches) or private.")
    why: str | None = Field(None, description="superseded, end of life, removed or revoked.")
    reason: str | None = Field(None, description="Why it was revoked.")
    removal: date | None = Field(None, description="From this day on it may be deregistered, where that is known.")


class FeedImage(BaseModel):
    """One image, which has an OMI in each of the Regions that `ids` names."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Name of its OMIs.")
    description: str
    ids: dict[str, str] = Field(description="OMI id by Region.")
    build: str = Field(description="The build of the profile that it is of.")
    version: str = Field(description="Alpine's branch: 3.23, or edge.")
    release: str = Field(description="Alpine's release: 3.23.6, or edge-20261124.")
    revision: str = Field(description="r0 is the first image of a release; later ones hold other content.")
    arch: str = Field(description="x86_64")
    firmware: str | None = Field(description="What starts its boot loader: bios, uefi or hybrid (both).")
    bootstrap: str | None = Field(description="What sets up a new instance: tiny-cloud or cloud-init.")
    boot_modes: tuple[str, ...] = Field(description="OUTSCALE's words for what starts VMs of it: legacy, uefi.")
    created: datetime = Field(description="When its OMI was made, UTC.")
    end_of_life: date | None = Field(description="When Alpine stops to support its version.")
    state: str = Field(description="current, deprecated or private: where it is best off.")
    withdrawal: dict[str, FeedWithdrawal] = Field(description="By Region, of those where it is not current.")
    verified: tuple[str, ...] = Field(description="The Regions whose OMI was booted and checked by this program.")
    size_gib: int | None = Field(description="Size of its volume.")
    used_bytes: int | None = Field(description="What its root filesystem holds after the build.")
    trimmed_bytes: int | None = Field(description="What its snapshot holds at most.")
    installed_bytes: int | None = Field(description="What its packages say that they take.")
    packages: int | None = Field(description="How many packages it has.")
    boot_seconds: int | None = Field(description="From the VM's start to its SSH when it was verified.")
    digest: str | None = Field(description="Of all that decides its content; sha256: and 64 hex digits.")
    documents: dict[str, dict[str, Document]] = Field(
        description="By Region and kind: sbom (CycloneDX), packages and files (columns by tabs), provenance."
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
        cure = "write it again by `python -m omi releases -s STACK`"
        try:
            feed = cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', 'not text')}); {cure}") from error
        except ValidationError as error:
            raise InputError(f"{path}: {first_problem(error, 'the whole file')}; {cure}") from error
        if feed.profile != path.stem:  # it names files beside it
            raise InputError(f"{path}: profile: {feed.profile!r} is not its file's name; {cure}")
        return feed


def feed_of(profile: str, entries: Iterable[Entry]) -> Feed:
    """The feed of a profile's entries; StateError if one holds what no image has (a date that is none)."""
    made = newest_made(entries)
    try:
        images, latest = tuple(_image(entry) for entry in made), latest_of(made)
    except ValueError as error:
        what = str(error).splitlines()[0]
        cure = "move the file away and run `python -m omi releases -s STACK`"
        raise StateError(f"{profile}.yaml: holds what no image has ({what}); {cure}") from error
    return Feed(profile=profile, updated=images[0].created if images else None, latest=latest, images=images)


def newest_made(entries: Iterable[Entry]) -> list[Entry]:
    """By the time of their making, newest first; of the same second by name."""
    return sorted(sorted(entries, key=lambda e: (e.name, e.profile_build)), key=lambda e: e.build_time, reverse=True)


def _image(entry: Entry) -> FeedImage:
    return FeedImage(
        name=entry.name,
        description=entry.description,
        ids=dict(entry.artifacts),
        build=entry.profile_build,
        version=entry.version,
        release=entry.release,
        revision=entry.revision,
        arch=entry.arch,
        firmware=entry.firmware,
        bootstrap=entry.bootstrap,
        boot_modes=entry.boot_modes,
        created=datetime.fromisoformat(entry.creation_date),
        end_of_life=date.fromisoformat(entry.end_of_life) if entry.end_of_life else None,
        state=min((entry.stage_in(region) for region, _ in entry.artifacts), key=_STAGES.index, default="current"),
        withdrawal={region: FeedWithdrawal.model_validate(dict(each)) for region, each in entry.withdrawal},
        verified=entry.verified,
        size_gib=entry.volume_size,
        used_bytes=entry.used_bytes,
        trimmed_bytes=entry.trimmed_bytes,
        installed_bytes=entry.installed_bytes,
        packages=entry.packages,
        boot_seconds=entry.boot_seconds,
        digest=entry.digest,
        documents={region: _documents(entry, region, digests) for region, digests in entry.documents},
    )


def _documents(entry: Entry, region: str, digests: Sequence[tuple[str, str]]) -> dict[str, Document]:
    folder = f"{entry.profile}/{region}"
    return {
        kind: Document(href=quote(f"{folder}/{file_name(entry.name, kind)}"), sha256=digest.removeprefix("sha256:"))
        for kind, digest in digests
        if kind in SUFFIXES
    }
