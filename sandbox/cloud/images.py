"""The background work on images: pending → available."""

from __future__ import annotations

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.model import Image, Snapshot


def complete_image(cloud: LocalCloud, image_id: str) -> None:
    """Wait until its snapshots are completed; then it is available, or failed."""
    cloud.pause(cloud.timing.image_create)
    image = cloud.store.get(Image, image_id)
    if image is None or cloud.fault_of(image, "image", "pending", stuck=lambda: complete_image(cloud, image_id)):
        return
    fault = cloud.fault_of(image, "image", "failed")
    while True:
        image = cloud.store.get(Image, image_id)
        if image is None or image.state != "pending":
            return
        found = [cloud.store.get(Snapshot, each.snapshot_id) for each in image.mappings]
        states = {"error" if each is None else each.state for each in found}
        if fault or "error" in states:
            reason = "a fault that was asked for" if fault else "a snapshot is in error"
            cloud.change(Image, image_id, {"pending"}, state="failed", state_message=reason)
            return
        if states <= {"completed"}:
            cloud.change(Image, image_id, {"pending"}, state="available")
            return
        cloud.pause(0.05)
