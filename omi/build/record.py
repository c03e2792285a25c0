"""Makes the record of an OMI, which state holds."""

from __future__ import annotations

from typing import Any

from omi.build.job import Job
from omi.build.maker import Product
from omi.outscale.client import Cloud
from omi.outscale.shapes import Omi
from omi.state.identity import COPIED_FROM, DISK
from omi.state.image import ImageRecord
from omi.state.owner import maker_of
from omi.verify.boot import Verified


def verified_record(job: Job, product: Product, verified: Verified, claim: str, **known: Any) -> ImageRecord:
    """The record of an OMI that this run verified; `known` are further fields."""
    measured = product.output.result
    packed = {"trimmed_bytes": measured.trimmed_bytes, "packages": measured.packages} if product.packed else {}
    return own_record(
        job,
        product.omi,
        claim,
        **packed,
        used_bytes=measured.used_bytes if product.packed else verified.used_bytes,
        installed_bytes=verified.installed_bytes,
        installed=verified.installed,
        boot_seconds=verified.boot_seconds,
        **known,
    )


def own_record(job: Job, omi: Omi, claim: str, **known: Any) -> ImageRecord:
    """The record of a verified OMI of this stack."""
    return record_of(job.cloud, omi, verified=True, adopted=False, claim=claim, **copy_facts(omi), **known)


def external_record(cloud: Cloud, omi: Omi) -> ImageRecord:
    """The record of an OMI that someone else made."""
    return record_of(cloud, omi, adopted=True, digest=omi.tags.get("digest"), made_by=maker_of(omi.tags))


def copy_facts(omi: Omi) -> dict[str, str | None]:
    """Fields about the disk of an OMI that is a copy, or has copies."""
    return {"disk": omi.tags.get(DISK), "copied_from": omi.tags.get(COPIED_FROM)}


def record_of(cloud: Cloud, omi: Omi, **known: Any) -> ImageRecord:
    """The record of an OMI in this Region; `known` are further fields."""
    return ImageRecord.found(
        omi.name,
        omi.omi_id,
        cloud.account,
        cloud.access.region,
        snapshots=omi.snapshots,
        created=omi.created,
        volume_size=omi.volume_size,
        boot_modes=omi.boot_modes,
        **known,
    )
