"""One build of a profile with all of its images, the kept ones and the new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from components.image_command import details, kept_image, new_image
from omi.ledger import LedgerImage
from omi.plan import Step
from omi.settings import Settings


class ProfileBuild(pulumi.ComponentResource):
    """A build target as a component; its images are commands below it, each named as its OMI.

    What a plan prunes is simply not declared here: the engine then runs the delete command that state holds.
    """

    images: pulumi.Output[dict[str, dict[str, Any]]]
    """Release to OMI name to what is told of it (omi.outputs.ImageOutput)."""
    latest: pulumi.Output[dict[str, Any]]
    """The newest image (omi.outputs.LatestOutput)."""

    def __init__(
        self, name: str, steps: Sequence[Step], settings: Settings, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the images of `steps`, which come newest first and hold no prune; there is at least one."""
        super().__init__("alpine:omi:ProfileBuild", name, None, opts)
        told = pulumi.Output.all(*(self._declare(step, settings) for step in steps))
        self.images = told.apply(_by_release)
        self.latest = told.apply(lambda images: dict(images[0]))
        self.register_outputs({"images": self.images, "latest": self.latest})

    def _declare(self, step: Step, settings: Settings) -> pulumi.Output[dict[str, Any]]:
        if isinstance(step.image, LedgerImage):
            return details(step.image.spec, kept_image(step.image.resource, step.image.command, self))
        spec = step.image.to_spec(
            pulumi.get_project(), pulumi.get_stack(), settings.cloud_access(), settings.vm, settings.releases_dir
        )
        return details(spec, new_image(spec, self))


def _by_release(images: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = {}
    for image in images:
        facts = {key: value for key, value in image.items() if key not in ("name", "release")}
        told.setdefault(image["release"], {})[image["name"]] = facts
    return told
