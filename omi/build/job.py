"""One image that is being made: its spec, its account, its folder and its log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from omi.build.packer.inputs import RunFolder
from omi.outscale.client import Cloud
from omi.outscale.entry import open_group, ssh_source
from omi.outscale.images import Ours
from omi.outscale.subnets import find_subnet
from omi.state.identity import Identity
from omi.state.image import ImageSpec
from omi.state.owner import working_name
from omi.support.narration import Narrator

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout."""


@dataclass(frozen=True)
class Job:
    """The work on one image. `stop` is set to end it early."""

    identity: Identity
    cloud: Cloud
    folder: RunFolder
    narrator: Narrator
    stop: threading.Event
    environ: Mapping[str, str]
    project: Path = PROJECT
    """The folder of the guest's scripts and the profiles."""

    @property
    def spec(self) -> ImageSpec:
        """The image to build."""
        return self.identity.spec

    def prepare_entry(self) -> Callable[[], str]:
        """Check the VMs' Subnet and SSH source; returns the function that makes their security group.

        Raises BuildError or CloudError; nothing is made yet.
        """
        vm = self.spec.vm
        subnet = find_subnet(self.cloud, vm)
        source = ssh_source(vm.ssh_source, self.spec.cloud.api, subnet)
        return partial(open_group, self.cloud, self.identity.group, vm.ssh_port, source, subnet)

    @property
    def ours(self) -> Ours:
        """The proof by which this build's own OMIs are recognised."""
        return Ours(self.spec.owner.proof, self.identity.build_id)

    @property
    def working_name(self) -> str:
        """The OMI's name until it gets its real one, for a Packer plugin that needs that."""
        return working_name(self.spec.name, self.identity.build_id)
