"""The interface of makers: a maker makes an OMI, and the lifecycle does the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from omi.build.packer.progress import PackerOutput
from omi.outscale.shapes import Omi


@dataclass(frozen=True)
class Product:
    """An OMI that is not verified yet."""

    omi: Omi
    output: PackerOutput
    """The output of the Packer run that made it; empty if that isn't known here."""
    packed: bool = False
    """Whether Packer made it in this very run."""


class Maker(Protocol):
    """Makes the OMI of one job."""

    def prepare(self) -> Callable[[str], Product]:
        """Check what is needed before anything is made. Returns the function from the VMs' security group to the
        OMI."""

    def document(self, product: Product) -> dict[str, str] | None:
        """Write the image's documents; returns their digests by kind, None if there are none to write."""

    def clean(self) -> bool:
        """Remove what the maker used besides the job's own resources. Returns whether that went well."""
