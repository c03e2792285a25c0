"""Counts the quotas that a plan's images need while they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omi.outscale.quotas import CloudQuota
from omi.plan import Action, Plan, PlannedImage
from omi.verify.boot import verify_size


def made_in(plan: Plan, region: str) -> list[PlannedImage]:
    """The images that the plan makes in a Region."""
    steps = plan.of(Action.BUILD)
    return [step.image for step in steps if isinstance(step.image, PlannedImage) and step.region == region]


def needs(made: Sequence[PlannedImage], at_once: int, source_size: int) -> Mapping[str, int]:
    """The need by the quota's name. `at_once` images are made side by side, from a source OMI of so many GiB.

    Each image has one VM at a time: one builds it on a second volume (not for a copy), then one verifies it.
    """
    sizes = sorted((_gib(image, source_size) for image in made), reverse=True)[:at_once]
    volumes = sorted((1 if image.copy_from else 2 for image in made), reverse=True)[:at_once]
    return {
        "vm_limit": len(sizes),
        "volume_limit": sum(volumes),
        "volume_size_limit": sum(sizes),
        "snapshot_limit": len(made),
        "image_limit": len(made),
        "keypair_limit": len(sizes),
        "sg_limit": len(sizes),
    }


def _gib(image: PlannedImage, source_size: int) -> int:
    size = image.target.volume_size
    return verify_size(size) if image.copy_from else max(verify_size(size), size + source_size)


def lacking(wanted: Mapping[str, int], quotas: Sequence[CloudQuota]) -> list[str]:
    """Words for each quota with too little room."""
    return [
        f"{quota} has room for {quota.left} more, {wanted[quota.name]} are needed"
        for quota in quotas
        if quota.left is not None and quota.left < wanted.get(quota.name, 0)
    ]
