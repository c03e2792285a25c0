"""The plan's memory of earlier updates, kept in the stack's state beside the images."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict

from omi.config.regions import KnownRegion, Region
from omi.upstream.model import Upstream

PATIENCE = timedelta(days=30)
"""How long upstream must announce an earlier end of life before it counts: a typing error is mended sooner. The answers
of two runs so far apart must agree; a run that can't ask upstream confirms nothing."""
REMEMBERED = timedelta(days=365)
"""How long a pruned OMI is remembered, and a Region that the stack has left."""


class AnnouncedEnd(BaseModel):
    """A version's end of life as upstream announces it, and the day when it was first announced; both in UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date
    since: date
    later: date | None = None
    """The later day that counted when this one was first announced."""
    confirmed: date | None = None
    """The day when upstream had announced it for PATIENCE."""

    def last_day(self, recorded: Iterable[date | None]) -> date:
        """The last day that counts: `day` once it is confirmed, until then the latest one known."""
        if self.confirmed is not None:
            return self.day
        return max(day for day in (self.day, self.later, *recorded) if day is not None)


class Memory(BaseModel):
    """Facts that one update leaves for the next."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protected: tuple[str, ...] = ()
    """The names and ids in `retention.protect` at the last update. The engine refuses to delete these images until an
    update has run without them."""
    end_of_life: dict[str, AnnouncedEnd] = {}
    """By version."""
    pruned: dict[str, date] = {}
    """OMIs that updates let go, each with its day (UTC). If a run was lost before it published the releases files, the
    next one takes these OMIs out of them."""

    revoked: dict[str, tuple[str, ...]] | None = None
    """The digests of revoked content, by the image's name or id in `revoked`, for as long as it is there: the content
    isn't built, even if the image is gone. None if there is none."""

    def today(self, upstream: Upstream, versions: Collection[str], today: date) -> Memory:
        """The memory with upstream's answers of today; earlier answers stay if it can't be asked."""
        said = {version: self.end_of_life[version] for version in versions if version in self.end_of_life}
        for branch in upstream.branches:
            if branch.version in versions and branch.end_of_life is not None and not upstream.stale:
                before = said.get(branch.version)
                if before is None or before.day != branch.end_of_life:
                    counted = before.last_day(()) if before is not None else branch.end_of_life
                    later = counted if counted > branch.end_of_life else None
                    said[branch.version] = AnnouncedEnd(day=branch.end_of_life, since=today, later=later)
                elif before.confirmed is None and today - before.since >= PATIENCE:
                    said[branch.version] = before.model_copy(update={"confirmed": today})
        return self.model_copy(update={"end_of_life": dict(sorted(said.items()))})

    def let_go(self, omis: Collection[str], kept: Collection[str], today: date) -> Memory:
        """The memory with these pruned OMIs added, except those that the state still holds."""
        before = {omi: day for omi, day in self.pruned.items() if omi not in kept and today - day < REMEMBERED}
        return self.model_copy(update={"pruned": dict(sorted({**dict.fromkeys(omis, today), **before}.items()))})

    def last_day(self, version: str, recorded: Iterable[date | None], upstream: Upstream, today: date) -> date | None:
        """The last day of support that counts: the latest of the recorded ones and those that upstream announced.

        An earlier day of upstream's counts only once it is confirmed.
        """
        said, branch = self.end_of_life.get(version), upstream.branch(version)
        if said is None and branch is not None and branch.end_of_life is not None:
            said = AnnouncedEnd(day=branch.end_of_life, since=today)
        if said is None:
            return max((day for day in recorded if day is not None), default=None)
        return said.last_day(recorded)


def known_regions(
    known: Mapping[str, KnownRegion],
    regions: Iterable[Region],
    used: Mapping[str, str | None],
    copied_from: Collection[str],
    today: date,
) -> dict[str, KnownRegion]:
    """The Regions to remember, by name: the `known` ones, and those of `regions` that are `used`, with their connection
    of today. `used` has each one's account.

    A Region that is no longer among `regions` is forgotten after REMEMBERED: until then its leftovers can be seen.
    """
    found = {
        each.name: KnownRegion(cloud=each.access, account=used[each.name]) if each.name in used else known[each.name]
        for each in regions
        if each.name in used or each.name in known
    }
    for name, before in known.items():
        if name in found:
            found[name] = found[name].model_copy(update={"left": None, "copied": _while_counting(before.copied, today)})
        elif today - (left := before.left or today) < REMEMBERED:
            found[name] = before.model_copy(update={"left": left})
    for name in copied_from:
        found[name] = found[name].model_copy(update={"copied": today})
    return dict(sorted(found.items()))


def _while_counting(day: date | None, today: date) -> date | None:
    return day if day is not None and today - day < REMEMBERED else None
