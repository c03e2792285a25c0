"""The stack's outputs as types: what others read by `pulumi stack output` or a StackReference.

Their form is a promise: outputs and fields are only added. docs/outputs.schema.json tells it; `python -m omi.outputs`
prints that.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from omi.image import ImageRecord, ImageSpec
from omi.json_schema import schema_text
from omi.withdrawal import Stage


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class LaunchAccess(_Told):
    """Who may launch an image besides its owner."""

    public: bool = Field(description="Whether every account of the Region may.")
    accounts: tuple[str, ...] = Field(description="Account ids, sorted.")


class ImageOutput(_Told):
    """One image, told under its release and its OMI's name."""

    omi: str = Field(description="The OMI's id.")
    snapshots: tuple[str, ...] = Field(description="Ids of the snapshots that it is made of.")
    region: str
    revision: str = Field(description="r0 is the first image of a release; later ones hold other content.")
    created: datetime = Field(description="UTC.")
    volume_size: int = Field(description="GiB.")
    used_bytes: int | None = Field(description="What its root filesystem holds after the build.")
    digest: str = Field(description="Of all that decides its content.")
    stage: Stage = Field(description="current, or how far its withdrawal is: deprecated, private.")
    access: LaunchAccess = Field(description="As of this stage.")
    removal: date | None = Field(description="The first day on which it may be deregistered, where that is known.")


class LatestOutput(ImageOutput):
    """The newest image of a build."""

    name: str = Field(description="The OMI's name.")
    release: str = Field(description="Alpine's release: 3.23.6, or edge-20261124.")


class Outputs(_Told):
    """All outputs of a stack."""

    model_config = ConfigDict(title="Outputs of an alpine-omi stack")

    images: dict[str, dict[str, dict[str, ImageOutput]]] = Field(description="By build, release and OMI name.")
    latest: dict[str, LatestOutput] = Field(description="By build.")


def output_of(spec: ImageSpec, record: ImageRecord) -> dict[str, Any]:
    """What is told of one image, as JSON has it: the fields of LatestOutput."""
    access, withdrawal = spec.launch_access, spec.withdrawal
    told = LatestOutput(
        name=spec.name,
        release=spec.release,
        omi=record.omi,
        snapshots=record.snapshots,
        region=record.region,
        revision=f"r{spec.revision}",
        created=record.created,
        volume_size=record.volume_size,
        used_bytes=record.used_bytes,
        digest=spec.digest,
        stage=spec.stage,
        access=LaunchAccess(public=access.public, accounts=access.accounts),
        removal=withdrawal.removal if withdrawal else None,
    )
    return told.model_dump(mode="json")


if __name__ == "__main__":
    print(schema_text(Outputs), end="")
