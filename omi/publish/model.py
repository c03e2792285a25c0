"""The published image, of which YAML, JSON, Atom, README, site and stack outputs are projections.

A field of an image's record or spec is published by declaring it here, under the same name.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from omi.profile.model import firmware_of
from omi.publish.documents.kinds import SUFFIXES, file_name
from omi.state.image import ImageRecord, ImageSpec
from omi.support.errors import few

_T = TypeVar("_T", dict[str, Any], tuple[str, ...])


class Projection(BaseModel):
    """A part of what is published; the JSON schemas say that every key is there."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True, defer_build=True)


class Identified(Projection):
    """The identity of an image."""

    name: str = Field(description="Name of its OMIs.")
    build: str = Field(description="The build of the profile that it is of.")
    version: str = Field(description="Alpine's branch: 3.23, or edge.")
    release: str = Field(description="Alpine's release: 3.23.6, or edge-20261124.")
    revision: str = Field(description="r0 is the first image of a release; later ones hold other content.")
    arch: str = Field(description="x86_64")
    created: AwareDatetime = Field(description="When its OMI was made, UTC.")
    end_of_life: Annotated[date | None, BeforeValidator(lambda day: day or None)] = Field(
        None, description="When Alpine stops to support its version."
    )


class Measured(Projection):
    """Measurements of an image; each is null where nobody knows."""

    used_bytes: int | None = Field(None, description="Bytes in its root filesystem after the build.")
    trimmed_bytes: int | None = Field(None, description="The most bytes that its snapshot holds.")
    installed_bytes: int | None = Field(None, description="Bytes of its packages, by their index.")
    packages: int | None = Field(None, description="Number of its packages.")
    boot_seconds: int | None = Field(None, description="From the VM's start to its SSH when it was verified.")


class Withdrawn(Projection):
    """How far an OMI is withdrawn."""

    stage: str = Field(description="deprecated (it still launches) or private.", pattern="^(deprecated|private)$")
    why: str | None = Field(None, description="superseded, end of life, removed or revoked.")
    reason: str | None = Field(None, description="Why it was revoked.")
    since: date | None = Field(None, description="The day on which it came to this stage or was revoked, UTC.")
    removal: date | None = Field(None, description="From this day on it may be deregistered, where that is known.")

    @property
    def is_revoked(self) -> bool:
        """Whether it must not be launched."""
        return self.why == "revoked"

    def __str__(self) -> str:
        state = f"revoked: {self.reason}" if self.is_revoked else self.stage
        return f"{state}, to be removed on {self.removal}" if self.removal else state


class MissingFix(Projection):
    """A source package that an image has in a version with a later fix."""

    origin: str = Field(description="The source package.")
    packages: tuple[str, ...] = Field(description="Those of it that are installed, sorted.")
    installed: str = Field(description="Their version.")
    fixed: str = Field(description="The first version in which all of it is fixed.")
    ids: tuple[str, ...] = Field(description="CVE ids and others that are fixed; empty where Alpine names none.")

    def __str__(self) -> str:
        ids = f" ({few(self.ids)})" if self.ids else ""
        return f"{self.origin} {self.installed} → {self.fixed}{ids}"


class MissingFixes(Projection):
    """The fixes that an image lacks."""

    day: date = Field(description="On which Alpine's security data said so, UTC.")
    count: int = Field(description="Number of ids, by source package; a fix without any counts as one.")
    fixes: tuple[MissingFix, ...] = Field(description="By source package.")


class Described(Measured, Identified):
    """All that the releases file and the feed have of an image alike."""

    description: str
    ids: dict[str, str] = Field(description="OMI id by Region.")
    boot_modes: tuple[str, ...] = Field(description="OUTSCALE's words for what starts VMs of it: legacy, uefi.")
    firmware: str | None = Field(None, description="The firmware that starts it: bios, uefi or hybrid (both).")
    bootstrap: str | None = Field(None, description="Sets up a new instance: tiny-cloud or cloud-init.")
    user: str | None = Field(None, description="The user who logs in to an instance, by SSH with its keypair.")
    digest: str | None = Field(None, description="Digest of all that decides its content; sha256: and 64 hex digits.")
    size_gib: int | None = Field(None, description="Size of its volume.")
    missing_fixes: MissingFixes | None = Field(
        None, description="The fixes that it lacks, if its profile asks for Alpine's security data and that is known."
    )
    verified: tuple[str, ...] = Field((), description="The Regions whose OMI was booted and checked by this program.")
    withdrawal: dict[str, Withdrawn] = Field({}, description="By Region, of those where it is not current.")

    @field_validator("ids", "verified", "withdrawal", "documents", check_fields=False)
    @classmethod
    def _by_region(cls, value: _T, info: ValidationInfo) -> _T:
        """Sorted by Region, and without Regions that have no OMI."""
        regions = sorted(each for each in value if each in info.data.get("ids", value))
        return {region: value[region] for region in regions} if isinstance(value, dict) else tuple(regions)

    def stage_in(self, region: str) -> str:
        """`current`, or how far its OMI in this Region is withdrawn."""
        return self.withdrawal[region].stage if region in self.withdrawal else "current"

    @property
    def is_revoked(self) -> bool:
        """Whether it must not be launched, in one of its Regions at least."""
        return any(each.is_revoked for each in self.withdrawal.values())


class PublishedImage(Described):
    """One image as the releases file has it: an OMI of one name in one or more Regions."""

    model_config = ConfigDict(extra="forbid")

    profile: str
    documents: dict[str, dict[str, Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]]] = {}
    """The digests of its documents (omi.publish.documents.kinds) by Region and kind."""

    def document_files(self, region: str) -> dict[str, tuple[str, str]]:
        """By kind: a document's path in the releases folder, PROFILE/REGION/IMAGE.ENDING, and its digest."""
        return {
            kind: (f"{self.profile}/{region}/{file_name(self.name, kind)}", digest)
            for kind, digest in self.documents.get(region, {}).items()
            if kind in SUFFIXES
        }

    def changed(self, **changes: object) -> PublishedImage:
        """The same image with these fields changed."""
        return PublishedImage.model_validate({**dict(self), **changes})


def same_named(model: type[BaseModel], spec: ImageSpec, record: ImageRecord) -> dict[str, Any]:
    """The model's fields that the record has under the same name, or else the spec."""
    sources = {key: record if hasattr(record, key) else spec for key in model.model_fields}
    return {key: getattr(source, key) for key, source in sources.items() if hasattr(source, key)}


def published(spec: ImageSpec, record: ImageRecord) -> PublishedImage:
    """One image as its command knows it."""
    region, known = record.region, record.is_of(spec)
    return PublishedImage.model_validate(
        {
            **same_named(PublishedImage, spec, record),
            "description": f"{spec.name}, made by {record.maker}" if record.adopted else spec.description or spec.name,
            "revision": f"r{spec.revision}",
            "created": record.created.replace(microsecond=0),
            "ids": {region: record.omi},
            "firmware": firmware_of(record.boot_modes) if known else None,
            "bootstrap": spec.bootstrap if known else None,
            "user": None if record.adopted else spec.user,
            "digest": record.digest_by(spec),
            "size_gib": record.volume_size,
            "verified": (region,) if record.verified else (),
            "withdrawal": {region: spec.withdrawal} if spec.withdrawal else {},
            "documents": {region: dict(sorted(record.documents.items()))} if record.documents else {},
        },
        from_attributes=True,
    )


def with_images(images: Iterable[PublishedImage], new: Iterable[PublishedImage]) -> list[PublishedImage]:
    """The images with the new ones among them; one of the same build and name keeps its OMIs in other Regions.

    An OMI never changes, so a known fact stays if the new image lacks it. Measurements may differ between Regions:
    those of the first Region by name count, so the image is the same whichever stack wrote last.
    """
    known = {(image.build, image.name): image for image in images}
    for image in new:
        old = known.pop((image.build, image.name), None)
        known[image.build, image.name] = _joined(old, image) if old else image
    return list(known.values())


def _joined(old: PublishedImage, new: PublishedImage) -> PublishedImage:
    elsewhere = old.ids.keys() - new.ids.keys()
    same = {region for region, omi in new.ids.items() if old.ids.get(region) == omi}
    stays = elsewhere | same
    if elsewhere and min(elsewhere) < min(new.ids):
        facts = old
    else:
        facts = new.changed(**{key: value for key, value in old if same and getattr(new, key) is None})
    return facts.changed(
        ids=old.ids | new.ids,
        documents={region: each for region, each in old.documents.items() if region in stays} | new.documents,
        withdrawal={region: each for region, each in old.withdrawal.items() if region in elsewhere} | new.withdrawal,
        verified=stays & set(old.verified) | set(new.verified),
    )


def without_omi(images: Iterable[PublishedImage], region: str, omi: str) -> list[PublishedImage]:
    """The images without this OMI of a Region; an image that has no OMI left goes, too."""
    left = [(image, {place: of for place, of in image.ids.items() if (place, of) != (region, omi)}) for image in images]
    return [image.changed(ids=ids) for image, ids in left if ids]
