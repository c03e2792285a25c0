"""What must hold in each simulated week; each breach is a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from omi.config.settings import StageDays
from omi.plan import Action
from omi.plan.reasons import Because, Reason
from omi.state.ledger import LedgerImage
from omi.state.owner import CLAIM
from omi.support.version import edge_release, release_key
from tests.reliability.years.weather import A_WEEK
from tests.reliability.years.world import Run, World

PATIENCE = 5
"""Runs that go well, in which something may wait in a row: a shared image's last stage and its prune are apart."""
WAITING = {
    Because.STILL_PROTECTED,
    Because.AWAITS_FOUND,
    Because.AWAITS_CONNECTION,
    Because.AWAITS_IMAGE,
    Because.AWAITS_IMAGES,
    Because.TOO_MANY,
}


@dataclass
class Life:
    """One image's days."""

    image: LedgerImage
    was_shared: bool = False
    replaced: date | None = None
    """The day on which a newer verified one was there, or on which its version was past its end and the grace."""
    private: date | None = None


@dataclass
class Promises:
    """Kept over all weeks."""

    world: World
    broken: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """What the guard refused, by week: a person must decide."""
    stopped: list[str] = field(default_factory=list)
    recover: set[str] = field(default_factory=set)
    """Images that a run was about to take in when it was killed, after it wrote its claim: the plan names them."""
    lives: dict[str, Life] = field(default_factory=dict)
    """By OMI id."""
    unknown: set[str] = field(default_factory=set)
    """Images that were taken up, so that nobody knows their packages: the next good run builds them anew."""
    waits: dict[str, int] = field(default_factory=dict)
    """For how many good runs each image has waited."""
    builds: int = 0
    prunes: int = 0
    most: int = 0
    """Images in the account at once."""
    keeps: timedelta = timedelta()
    """How much longer retention keeps a replaced image."""
    max_age: int | None = None
    """No newest image is older, in days, once a good run is over: until the next good one it ages with the weeks."""
    days_behind: int = 0
    """How long a release was out, at most, when a run ended without it."""

    def __str__(self) -> str:
        """The figures."""
        return (
            f"{self.builds} builds, {self.prunes} prunes, at most {self.most} images, {self.days_behind} days behind, "
            f"{len(self.refused)} refused, {len(self.stopped)} stopped, {len(self.recover)} to recover"
        )

    def check(self, run: Run) -> None:
        """Check the world after a run."""
        for text in self._breaches(run):
            self.broken.append(f"week {run.number} ({run.day}): {text}")

    def _breaches(self, run: Run) -> Iterator[str]:
        world = self.world
        self.most = max(self.most, len(world.account))
        if run.stopped is not None:
            self.stopped.append(f"week {run.number}: {run.stopped}")
        if run.plan is not None:
            self.builds += len(run.plan.of(Action.BUILD))
            self.prunes += len(run.plan.of(Action.PRUNE))
            self.refused += [f"week {run.number}: {each}" for each in run.plan.refused]
        yield from self._fresh(run)
        yield from self._lives(run)
        yield from self._nothing_left(run)
        yield from self._nothing_waits(run)

    def newest(self) -> Mapping[str, LedgerImage]:
        """The newest verified image of each build that is in the account, by build."""
        found: dict[str, LedgerImage] = {}
        for image in sorted(self.world.ledger.values(), key=lambda image: image.order):
            if image.record.omi in self.world.account:
                found[image.build] = image
        return found

    def _fresh(self, run: Run) -> Iterator[str]:
        newest, world = self.newest(), self.world
        for version, line in self.world.calendar.branches.items():
            wanted = self.world.newest(version, run.day)
            if wanted is None or run.day > line.end_of_life or world.weather.lacks_key(version, run.number):
                continue
            found = newest.get(f"v{version.replace('.', '_')}-x86_64")
            if found is None or release_key(found.release) < release_key(wanted):
                self.days_behind = max(self.days_behind, (run.day - line.releases[wanted]).days)
                if run.week.is_good:
                    yield f"{version}: {wanted} is out, and {found.name if found else 'no image'} is the newest"
            elif run.week.is_good and found.record.installed != (f"openssl={self.world.fixed()}",):
                if found.record.installed or found.name in self.unknown:
                    yield f"{found.name} has {found.record.installed}, and {self.world.fixed()} is out"
                self.unknown.add(found.name)  # taken up in this very run
            elif run.week.is_good and self.max_age is not None and (found.age(run.day) or 0) > self.max_age:
                yield f"{found.name} is {found.age(run.day)} days old"
        edge = newest.get("edge-x86_64")
        if run.week.is_good and (edge is None or edge.release != edge_release(run.day)):
            yield f"edge: {edge.name if edge else 'no image'} is the newest"

    def _lives(self, run: Run) -> Iterator[str]:
        world, newest = self.world, self.newest()
        for image in world.ledger.values():
            if there := world.account.get(image.record.omi):
                life = self.lives.setdefault(image.record.omi, Life(image))
                life.was_shared |= there.access is not None and there.access.public
        for omi, life in list(self.lives.items()):
            stages = self._stages(life)
            if life.replaced is None and self._is_replaced(life.image, newest, run.day):
                life.replaced = run.day
            since = (run.day - life.replaced).days if life.replaced else 0
            there = world.account.get(omi)
            if there is None:
                if life.replaced is None:
                    yield f"lost: {life.image.name} is gone, and nothing replaces it"
                elif since < stages.deprecated_days + stages.private_days:
                    yield f"gone too soon: {life.image.name} was replaced {since} days ago"
                del self.lives[omi]
                continue
            is_private = there.access is not None and not there.access.public
            if life.was_shared and is_private and life.private is None:
                life.private = run.day
                if life.replaced is None or since < stages.deprecated_days:
                    yield f"private too soon: {life.image.name} was replaced {since} days ago"

    def _stages(self, life: Life) -> StageDays:
        stages = self.world.settings.retention.stages
        return stages.shared if life.was_shared else stages.private

    def _is_replaced(self, image: LedgerImage, newest: Mapping[str, LedgerImage], day: date) -> bool:
        other = newest.get(image.build)
        if other is not None and other.order > image.order:
            return True
        line, level = self.world.calendar.branches.get(image.version), self.world.settings.retention.end_of_life
        return line is not None and level is not None and day > line.end_of_life + timedelta(days=level.grace_days)

    def _nothing_left(self, run: Run) -> Iterator[str]:
        if not run.week.is_good:
            return
        world = self.world
        held = {image.record.omi for image in world.ledger.values()}
        listed = " ".join(run.plan.warnings) if run.plan else ""
        for image in world.account.values():
            if image.omi in held:
                continue
            if CLAIM in image.tags and f"{image.omi} ({image.name})" in listed:
                self.recover.add(image.name)
            else:
                yield f"left: {image.name}{' (half made)' if image.half_made else ', verified and in no state'}"
        for name in sorted(world.left):
            yield f"left: a VM or keypair of {name}"
        for life in self.lives.values():
            stages = self._stages(life)
            limit = timedelta(days=stages.deprecated_days + stages.private_days) + self.keeps
            if life.replaced and run.day - life.replaced > limit + 8 * A_WEEK:
                yield f"stays: {life.image.name} was replaced on {life.replaced}"

    def _nothing_waits(self, run: Run) -> Iterator[str]:
        if run.plan is None or not run.week.is_good:
            return
        waiting = {step.name: step.reason for step in run.plan.steps if _waits(step.why)}
        self.waits = {name: self.waits.get(name, 0) + 1 for name in waiting}
        for name, times in self.waits.items():
            if times == PATIENCE:
                yield f"stuck: {name} waits for {times} good runs: {waiting[name]}"


def _waits(why: Reason) -> bool:
    return any(part.because in WAITING for part in why.parts)
