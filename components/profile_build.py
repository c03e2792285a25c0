"""One build of a profile with all of its images, the kept ones and the new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from components.image_command import details, image_command
from omi.config.settings import Settings
from omi.plan import Step
from omi.publish.outputs import by_release, newest
from omi.state.ledger import LedgerImage, StoredCommand
from omi.state.owner import Owner


class ProfileBuild(pulumi.ComponentResource):
    """A build of the profile as a component. Its images are commands below it, named after OMI and perhaps Region.

    Images that the plan prunes are not declared here, so the engine runs the delete command saved in state.
    """

    images: pulumi.Output[dict[str, dict[str, Any]]]
    """Release to OMI name to the image (omi.publish.outputs.ImageOutput)."""
    latest: pulumi.Output[dict[str, Any] | None]
    """The newest image (omi.publish.outputs.LatestOutput); None if its first build failed."""
    unprotected: list[pulumi.Resource]
    """The commands of images whose protection this update takes off."""

    def __init__(
        self,
        name: str,
        steps: Sequence[Step],
        settings: Settings,
        owner: Owner,
        first: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the images of `steps`, which hold no prune; there is at least one.

        They are sorted by Region, the home one first, then newest first. None is built before the resources `first`
        have put the stack's id and its Regions into state: by these the leftovers of a killed build are found.
        """
        super().__init__("alpine:omi:ProfileBuild", name, None, opts)
        self._owner, self._first = owner, tuple(first)
        self.unprotected = []
        self._new: dict[str, pulumi.Resource] = {}
        declared = pulumi.Output.all(*(self._declare(step, settings) for step in steps))
        told = declared.apply(lambda images: [image for image in images if image is not None])
        several = any(region != settings.region for step in steps if (region := step.region)) or bool(settings.regions)
        self.images = told.apply(lambda images: by_release(images, several=several))
        self.latest = told.apply(lambda images: newest(images, several=several))
        self.register_outputs({})  # the stack exports what others read

    def _declare(self, step: Step, settings: Settings) -> pulumi.Output[dict[str, Any] | None]:
        if isinstance(step.image, LedgerImage):
            name, stored = step.image.resource, step.image.command
            command = image_command(name, stored, self, self._first, protect=step.protected)
            if step.unprotects:
                self.unprotected.append(command)
            return details(step.image.spec, command, step.image.record)
        cloud, vm = settings.cloud_access(step.region), settings.vm_in(step.region)
        spec = step.image.to_spec(self._owner, cloud, vm, settings.releases_dir)
        # a copy waits for its source if this update makes that; the home Region is declared first
        source = self._new.get(spec.name) if spec.copy_from else None
        after = [*self._first, *([source] if source else [])]
        command = image_command(spec.run, StoredCommand.of("build", spec), self, after, protect=step.protected)
        self._new.setdefault(spec.name, command)
        return details(spec, command)
