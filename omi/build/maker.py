"""How an OMI comes to be: a maker makes it, and the lifecycle does the rest."""

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
    """Packer's, of the run that made it; empty where that isn't known here."""
    packed: bool = False
    """Whether Packer made it in this very run."""


class Maker(Protocol):
    """Makes the OMI of one job."""

    def prepare(self) -> Callable[[str], Product]:
        """Find what is missing before anything is made; returns what makes the OMI, given the VMs' security group."""

    def document(self, product: Product) -> dict[str, str] | None:
        """Write the image's documents; returns their digests by kind, None where there are none to write."""

    def clean(self) -> bool:
        """Remove what the making needed besides the job's own resources. Returns whether that went well."""
