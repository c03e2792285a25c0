"""The Regions of one stack: those that its config names, and those that only its state still knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel, ConfigDict

from omi.config.settings import Settings
from omi.state.image import BuildVm, CloudAccess
from omi.state.ledger import Ledger
from omi.support.errors import OmiError
from omi.support.places import in_region


class KnownRegion(BaseModel):
    """A Region in which an update made or held something, as the stack's state remembers it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cloud: CloudAccess
    """The last connection by which it was reached."""
    account: str | None = None
    """The account that it was reached as; None if unknown."""
    left: date | None = None
    """The day (UTC) of the first update that found it neither in the config nor among the images; None before that."""
    copied: date | None = None
    """The last day (UTC) on which an update copied images from it, through buckets in its object store."""


@dataclass(frozen=True)
class Region:
    """One of them, with the part of the ledger that lies in it."""

    name: str
    access: CloudAccess
    vm: BuildVm
    ledger: Ledger
    is_home: bool = False
    is_wanted: bool = True
    """Whether the config names it; if not, its images are on their way out."""
    taken: frozenset[str] = frozenset()
    """Logical names of the resources of all other Regions' images."""

    def resource_of(self, image: str) -> str | None:
        """The logical name of a new image's command; None means the OMI's name, as in the home Region.

        If another Region was the home Region before and has that name already, the Region is added here, too.
        """
        return None if self.is_home and image not in self.taken else in_region(image, self.name)


def regions_of(
    settings: Settings, ledger: Ledger, known: Mapping[str, KnownRegion] | None = None
) -> tuple[Region, ...]:
    """The home Region, then the further ones by name, then those that are no longer in the config.

    The last are those that state still has images in, reached as these say, and the `known` ones, where nothing but
    leftovers can be.
    """
    parts, known = ledger.by_region(), known or {}
    gone = sorted((parts.keys() | known.keys()) - set(settings.all_regions))
    found = []
    for name in (*settings.all_regions, *gone):
        part = parts.get(name, Ledger())
        taken = frozenset(image.resource for other, rest in parts.items() if other != name for image in rest.images)
        if name in gone:
            access = part.images[-1].spec.cloud if part.images else known[name].cloud
            found.append(Region(name, access, settings.vm, part, is_wanted=False, taken=taken))
        else:
            access, vm = settings.cloud_access(name), settings.vm_in(name)
            found.append(Region(name, access, vm, part, is_home=name == settings.region, taken=taken))
    return tuple(found)


@contextmanager
def errors_naming(region: Region, regions: Sequence[Region]) -> Iterator[None]:
    """Name the Region in an error if the stack has several, and the key to keep if the config has dropped it."""
    try:
        yield
    except OmiError as error:
        if len(regions) > 1:
            count = len(region.ledger.images)
            left = f"{count} images there are to be pruned with its key" if count else "leftovers there need its key"
            more = f"; it is no longer in the stack's config, but {left}"
            error.name_place(f"Region {region.name}", "" if region.is_wanted else more)
        raise
