"""The stack's outputs as types: what others read by `pulumi stack output` or a StackReference.

Their form is a promise: outputs and fields are only added. docs/outputs.schema.json has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pydantic import ConfigDict, Field

from omi.publish.model import Projection, same_named
from omi.state.image import ImageRecord, ImageSpec
from omi.state.withdrawal import Stage

_BY_REGION = ("disk", "copied_from")


class LaunchAccess(Projection):
    """The accounts that may launch an image besides its owner."""

    public: bool = Field(description="Whether every account of the Region may.")
    accounts: tuple[str, ...] = Field(description="Account ids, sorted.")


class _InRegion(Projection):
    """An image in one Region."""

    omi: str = Field(description="The OMI's id.")
    snapshots: tuple[str, ...] = Field(description="Ids of the snapshots that it is made of.")
    revision: str = Field(description="r0 is the first image of a release; later ones hold other content.")
    created: datetime = Field(description="UTC.")
    digest: str | None = Field(
        description="Digest of all that decides its content; for one made elsewhere, the one in its own tags."
    )
    stage: Stage = Field(description="current, or how far its withdrawal is: deprecated, private.")
    access: LaunchAccess | None = Field(description="As of this stage; null for an external OMI, whose maker decides.")
    removal: date | None = Field(description="The first day on which it may be deregistered, where that is known.")


class _Named(Projection):
    name: str = Field(description="The OMI's name.")
    release: str = Field(description="Alpine's release: 3.23.6, or edge-20261124.")


class RegionOutput(_InRegion, _Named):
    """An image in one Region; the fields are those of the same names beside `regions`."""

    disk: str | None = Field(description="Digest of its disk's raw content, where images are copied.")


class ImageOutput(_InRegion):
    """One image; its release and its OMI's name are the keys above it."""

    region: str = Field(description="The stack's home Region, or the first other one where the image isn't there.")
    user: str | None = Field(description="The user who logs in to an instance; null for an external OMI.")
    volume_size: int = Field(description="GiB.")
    used_bytes: int | None = Field(description="Bytes in its root filesystem after the build.")
    revoked: str | None = Field(description="Why it must not be launched; null if it may. It is never the latest.")
    made_by: str | None = Field(
        description="The stack that made an OMI which this one has adopted, by its tags, or `unknown`; else null.",
    )
    regions: dict[str, RegionOutput] | None = Field(
        None, description="By Region, the one above included; null where the stack has one alone."
    )


class LatestOutput(ImageOutput, _Named):
    """The newest image of a build."""


class Outputs(Projection):
    """All outputs of a stack."""

    model_config = ConfigDict(title="Outputs of an alpine-omi stack")

    images: dict[str, dict[str, dict[str, ImageOutput]]] = Field(description="By build, release and OMI name.")
    latest: dict[str, LatestOutput | None] = Field(description="By build; null where none could be built yet.")


def output_of(spec: ImageSpec, record: ImageRecord) -> dict[str, Any]:
    """One image in its Region as JSON: the fields of LatestOutput (`regions` is null), and the record's known ones that
    outputs have only by Region (_BY_REGION).
    """
    withdrawal = spec.withdrawal
    output = LatestOutput.model_validate(
        {
            **same_named(LatestOutput, spec, record),
            "revision": f"r{spec.revision}",
            "digest": record.digest_by(spec),
            "user": None if record.adopted else spec.user,
            "access": None if record.adopted else dict(spec.launch_access),
            "made_by": (record.made_by or "unknown") if record.adopted or spec.take_over else None,
            "removal": withdrawal.removal if withdrawal else None,
            "revoked": withdrawal.reason if withdrawal else None,
        }
    )
    more = {key: value for key in _BY_REGION if (value := getattr(record, key)) is not None}
    return output.model_dump(mode="json") | more


def by_release(images: Sequence[Mapping[str, Any]], *, several: bool) -> dict[str, dict[str, Any]]:
    """Release to OMI name to the image (ImageOutput), from the values that output_of returns for a build's images.

    The first image of a name gives the facts beside `regions`, so those of the home Region must come first. `several`
    is whether the stack has several Regions.
    """
    found: dict[str, dict[str, Any]] = {}
    for image in images:
        facts = {key: value for key, value in image.items() if key not in ("name", "release", *_BY_REGION)}
        named = found.setdefault(image["release"], {}).setdefault(image["name"], facts)
        if several:
            named["regions"] = {**(named["regions"] or {}), image["region"]: _in_region(image, images)}
    return found


def newest(images: Sequence[Mapping[str, Any]], *, several: bool) -> dict[str, Any] | None:
    """The newest image (LatestOutput) of a build; None if all are revoked.

    The images come by Region, the home one first, and in each newest first.
    """
    images = [image for image in images if image["revoked"] is None]
    if not images:
        return None
    latest = {key: value for key, value in images[0].items() if key not in _BY_REGION}
    if several:
        latest["regions"] = {image["region"]: _in_region(image, images) for image in reversed(images)}
    return latest


def _in_region(image: Mapping[str, Any], images: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Its facts in its Region; if it lacks the digest of its disk, that of a copy."""
    named = f"{image['region']}:{image['omi']}"
    copied = [each.get("disk") for each in images if each.get("copied_from") == named]
    facts = {key: image[key] for key in RegionOutput.model_fields if key not in _BY_REGION}
    return facts | {"disk": image.get("disk") or next(iter(copied), None)}
