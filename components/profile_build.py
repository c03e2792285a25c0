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
    """A build target as a component; its images are commands below it, each named as its OMI and perhaps its Region.

    What a plan prunes is simply not declared here: the engine then runs the delete command that state holds.
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
        stack_id: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the images of `steps`, which hold no prune; there is at least one.

        They come by Region, the home one first, and newest first. None is built before state holds the stack's id,
        which `stack_id` keeps.
        """
        super().__init__("alpine:omi:ProfileBuild", name, None, opts)
        self._owner, self._stack_id = owner, stack_id
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
            command = image_command(name, stored, self, [self._stack_id], protect=step.protected)
            if step.unprotects:
                self.unprotected.append(command)
            return details(step.image.spec, command, step.image.record)
        cloud, vm = settings.cloud_access(step.region), settings.vm_in(step.region)
        spec = step.image.to_spec(self._owner, cloud, vm, settings.releases_dir)
        # one that is copied waits for its source, if that is made in this update; at home it is declared first
        source = self._new.get(spec.name) if spec.copy_from else None
        after = [self._stack_id, *([source] if source else [])]
        command = image_command(spec.run, StoredCommand.of("build", spec), self, after, protect=step.protected)
        self._new.setdefault(spec.name, command)
        return details(spec, command)
