"""The record of an OMI: what state holds of it."""

from __future__ import annotations

from typing import Any

from omi.build.job import Job
from omi.build.maker import Product
from omi.outscale.shapes import Omi
from omi.state.identity import COPIED_FROM, DISK
from omi.state.image import ImageRecord
from omi.state.owner import maker_of
from omi.verify.boot import Verified


def verified_record(job: Job, product: Product, verified: Verified, claim: str, **known: Any) -> ImageRecord:
    """The record of an OMI that this run verified; `known` are further fields."""
    measured, size = product.output.result, verified.size
    packed = {"trimmed_bytes": measured.trimmed_bytes, "packages": measured.packages} if product.packed else {}
    return own_record(
        job,
        product.omi,
        claim,
        **packed,
        used_bytes=measured.used_bytes if product.packed else size.used,
        installed_bytes=size.installed,
        installed=verified.installed,
        boot_seconds=verified.boot_seconds,
        **known,
    )


def own_record(job: Job, omi: Omi, claim: str, **known: Any) -> ImageRecord:
    """The record of a verified OMI of this stack."""
    own = {"disk": omi.tags.get(DISK), "copied_from": omi.tags.get(COPIED_FROM)}
    return _record(job, omi, verified=True, adopted=False, claim=claim, **own, **known)


def taken_over_record(job: Job, omi: Omi, claim: str, **known: Any) -> ImageRecord:
    """The record of an OMI of this stack that was made elsewhere."""
    return _record(job, omi, adopted=False, claim=claim, digest=omi.tags.get("digest"), **known)


def external_record(job: Job, omi: Omi) -> ImageRecord:
    """The record of an OMI that someone else made."""
    return _record(job, omi, adopted=True, digest=omi.tags.get("digest"), made_by=maker_of(omi.tags))


def _record(job: Job, omi: Omi, **known: Any) -> ImageRecord:
    return ImageRecord.found(
        omi.name,
        omi.omi_id,
        job.cloud.account,
        job.spec.cloud.region,
        snapshots=omi.snapshots,
        created=omi.created,
        volume_size=omi.volume_size,
        boot_modes=omi.boot_modes,
        **known,
    )
