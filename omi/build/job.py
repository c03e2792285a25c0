"""One image that is being made: what it is, where it is made, and who follows it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omi.build.packer.inputs import RunFolder
from omi.outscale.cloud import Cloud
from omi.outscale.images import Ours
from omi.state.identity import Identity
from omi.state.image import ImageSpec
from omi.state.owner import working_name
from omi.support.narration import Narrator

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout."""


@dataclass(frozen=True)
class Job:
    """The work on one image; `stop` is set when it shall end early."""

    identity: Identity
    cloud: Cloud
    folder: RunFolder
    narrator: Narrator
    stop: threading.Event
    environ: Mapping[str, str]
    project: Path = PROJECT
    """Where the guest's scripts and the profiles lie."""

    @property
    def spec(self) -> ImageSpec:
        """The image to build."""
        return self.identity.spec

    @property
    def ours(self) -> Ours:
        """How this build's own OMIs are recognised."""
        return Ours(self.spec.owner.proof, self.identity.build_id)

    @property
    def working_name(self) -> str:
        """The OMI's name until it can be registered under its real one, where a Packer plugin needs that."""
        return working_name(self.spec.name, self.identity.build_id)
