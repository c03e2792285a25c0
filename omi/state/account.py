"""The account's contents as far as a plan needs them: values only, without the cloud's calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from omi.profile.model import Access
from omi.state.owner import SOMEONE, Owner, maker_of

_REVISION = re.compile(r"r(?=(\d{1,9})(?!\d))")


@dataclass(frozen=True)
class AccountImage:
    """One OMI that this account owns."""

    name: str
    omi: str
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    managed: bool = False
    """Its tags name this project and stack."""
    half_made: bool = False
    """An interrupted run of this stack left it unfinished; the next build of its name removes it first."""
    digest: str | None = None
    """The digest of its content, by its tags."""
    access: Access | None = None
    """Its launch permissions now; None if nobody asked."""
    used_by: tuple[str, ...] = ()
    """Ids of the account's VMs that run from it."""
    open_snapshots: tuple[str, ...] = ()
    """Ids of those of its snapshots, as far as they were asked for, that others may make volumes of."""

    def verified_by(self, owner: Owner) -> bool:
        """Whether this stack verified it once."""
        return owner.has_verified(self.name, self.tags, self.description)

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
    """Ids of OMIs that were expected and that no read shows, neither those of images nor that of tags."""

    @classmethod
    def of(cls, images: Iterable[AccountImage], account: str | None = None, missing: Iterable[str] = ()) -> AccountView:
        """Sorted by name, so that the order of the cloud's answer doesn't matter."""
        return cls(tuple(sorted(images, key=lambda image: (image.name, image.omi))), account, frozenset(missing))

    @cached_property
    def by_omi(self) -> Mapping[str, AccountImage]:
        """By OMI id."""
        return {image.omi: image for image in self.images}

    @cached_property
    def by_name(self) -> Mapping[str, AccountImage]:
        """By name; a half-made one doesn't hold its name."""
        return {image.name: image for image in self.images if not image.half_made}

    def revisions(self, parts: tuple[str, str]) -> Iterator[tuple[int, AccountImage]]:
        """The revisions of one release, given the texts around the number in their names; oldest first."""
        yield from sorted(self._revisions.get(parts, ()), key=lambda found: found[0])

    @cached_property
    def _revisions(self) -> Mapping[tuple[str, str], list[tuple[int, AccountImage]]]:
        found: dict[tuple[str, str], list[tuple[int, AccountImage]]] = {}
        for image in self.by_name.values():
            for match in _REVISION.finditer(image.name):
                number = match[1]
                if number == str(int(number)):  # r01 isn't a name of ours
                    key = (image.name[: match.end()], image.name[match.end() + len(number) :])
                    found.setdefault(key, []).append((int(number), image))
        return found
