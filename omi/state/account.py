"""The account's contents that a plan needs, as values; no calls to the cloud."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from omi.profile.model import Access
from omi.state.owner import SOMEONE, Owner, maker_of
from omi.state.withdrawal import Stage

_REVISION = re.compile(r"r(?=(\d{1,9})(?!\d))")


@dataclass(frozen=True)
class AccountImage:
    """One OMI that this account owns."""

    name: str
    omi: str
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    managed: bool = False
    """Whether it is this stack's own by its tags and its name."""
    stray: bool = False
    """Whether it bears this stack's id or its mark, but not all tags of an own image: a person must see to it."""
    half_made: bool = False
    """Whether an interrupted run of this stack left it unfinished. The next build of its name removes it first."""
    digest: str | None = None
    """The digest of its content, from its tags."""
    unchecked: bool = False
    """Whether this stack made it whole, but never verified, held or shared it: the next build of its name verifies it,
    or removes it first if that makes other content."""
    access: Access | None = None
    """Its launch permissions now; None if nobody asked."""
    used_by: tuple[str, ...] = ()
    """Ids of the account's VMs that run from it."""
    open_snapshots: tuple[str, ...] = ()
    """The ids of its snapshots that others may make volumes of, as far as they were read."""

    def verified_by(self, owner: Owner) -> bool:
        """Whether this stack verified it once."""
        return owner.has_verified(self.name, self.tags, self.description)

    @property
    def names(self) -> frozenset[str]:
        """Its name and id; a setting may use either."""
        return frozenset((self.name, self.omi))

    @property
    def is_private(self) -> bool:
        """Whether its tags name the last stage of a withdrawal."""
        return self.tags.get("stage") == Stage.PRIVATE

    @property
    def is_revoked_elsewhere(self) -> bool:
        """Whether another stack, which made it, has revoked it."""
        return not self.managed and self.tags.get("why") == "revoked"

    @property
    def maker(self) -> str:
        """The maker that its tags name, or `someone else`."""
        return maker_of(self.tags) or SOMEONE


@dataclass(frozen=True)
class AccountView:
    """All OMIs that the account owns in the stack's Region; names are unique in an account."""

    images: tuple[AccountImage, ...] = ()
    account: str | None = None
    """The account's id."""
    missing: frozenset[str] = frozenset()
    """The ids of expected OMIs that are in neither the list of images nor the list of tags."""

    @classmethod
    def of(cls, images: Iterable[AccountImage], account: str | None = None, missing: Iterable[str] = ()) -> AccountView:
        """Make the view. It sorts by name, so the order of the cloud's answer doesn't matter."""
        return cls(tuple(sorted(images, key=lambda image: (image.name, image.omi))), account, frozenset(missing))

    @cached_property
    def by_omi(self) -> Mapping[str, AccountImage]:
        """The images by OMI id."""
        return {image.omi: image for image in self.images}

    @cached_property
    def by_name(self) -> Mapping[str, AccountImage]:
        """The images by name. A half-made one doesn't count."""
        return {image.name: image for image in self.images if not image.half_made}

    def revisions(self, parts: tuple[str, str]) -> Iterator[tuple[int, AccountImage]]:
        """The revisions of one release, oldest first, given the texts around the number in their names."""
        yield from sorted(self._revisions.get(parts, ()), key=lambda found: found[0])

    @cached_property
    def _revisions(self) -> Mapping[tuple[str, str], list[tuple[int, AccountImage]]]:
        found: dict[tuple[str, str], list[tuple[int, AccountImage]]] = {}
        for image in self.by_name.values():
            for match in _REVISION.finditer(image.name):
                number = match[1]
                if number == str(int(number)):  # this program never writes r01
                    key = (image.name[: match.end()], image.name[match.end() + len(number) :])
                    found.setdefault(key, []).append((int(number), image))
        return found
