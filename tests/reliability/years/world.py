"""A stack, its account and Alpine as values: each week the real planner plans, and the engine's part is played."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from random import Random
from unittest.mock import Mock, patch

import yaml

from omi.config.regions import Region, regions_of
from omi.config.settings import Settings
from omi.plan import Action, Plan, PlannedImage, Step, planning
from omi.plan.keys import trust_keys
from omi.plan.memory import Memory
from omi.plan.model import ChangeKind
from omi.plan.survey import Survey, expand_profile
from omi.profile.content import content
from omi.profile.digest import digest_of
from omi.profile.layers import VersionLayer
from omi.profile.load import Profile, load_profile
from omi.profile.model import Access, Target
from omi.state.account import AccountImage, AccountView
from omi.state.identity import Identity
from omi.state.image import BuildVm
from omi.state.ledger import Ledger, LedgerImage, StoredCommand
from omi.state.owner import CLAIM, VERIFIED
from omi.support.errors import OmiError
from omi.support.places import PROFILES
from omi.support.version import EDGE, release_key
from omi.upstream.index import Index
from omi.upstream.model import MirrorRelease, Upstream
from omi.upstream.offer import Offer
from omi.upstream.record import detected_in
from tests.omi.specs import OWNER, make_record
from tests.reliability.years.calendar import ARCH, Calendar
from tests.reliability.years.weather import A_WEEK, Kill, Weather, Week

REGION = "eu-west-2"
ACCOUNT = "123456789012"
SETTINGS = Settings.model_validate(
    {
        "region": REGION,
        "access": "public",
        "retention": {"revision": {}, "release": {}, "end_of_life": {"grace_days": 30}},
    }
)


def write_profiles(folder: Path, first: str, keys: Mapping[str, object]) -> Profile:
    """The profile of the years: all supported branches and edge, by these keys; no release is recorded yet."""
    for name in ("arch", "base", "keys"):
        shutil.copytree(PROFILES / name, folder / name)
    (folder / "version").mkdir()
    for version in (first, EDGE):
        (folder / "version" / f"{version}.yaml").write_text("base: base/1\n", encoding="utf-8")
    target = {"discover": {"versions": "supported", "edge": 2}, **keys}
    (folder / "alpine.yaml").write_text(yaml.safe_dump(target), encoding="utf-8")
    return load_profile("alpine", folder)


def quick_digest(build: Target, release: str, _: object) -> str:
    """The content's digest, without the guest's files."""
    return _digest(build, release)


@lru_cache(maxsize=1024)
def _of_text(release: str, text: str) -> str:
    return digest_of({"release": release, "content": text})


def _digest(build: Target, release: str) -> str:
    return _of_text(release, repr(content(build)))


@dataclass(frozen=True)
class Run:
    """What one week's run did."""

    number: int
    day: date
    week: Week
    plan: Plan | None = None
    """None where there was no run, or where it stopped."""
    stopped: str | None = None
    """The error that it stopped with."""
    profile: Profile | None = None


@dataclass
class World:
    """Everything there is."""

    calendar: Calendar
    weather: Weather
    start: date
    profile: Profile
    seed: int = 0
    settings: Settings = SETTINGS
    ledger: dict[str, LedgerImage] = field(default_factory=dict)
    """By name."""
    account: dict[str, AccountImage] = field(default_factory=dict)
    """By OMI id."""
    left: set[str] = field(default_factory=set)
    """Names of images of whose builds VM, volume, keypair or group is left."""
    memory: Memory = field(default_factory=Memory)
    known: Upstream = field(default_factory=Upstream)
    """The last good answers."""
    fixes: int = 0

    def __post_init__(self) -> None:
        self._random = Random(self.seed)  # noqa: S311 - the same draws by the same seed
        self._made = 0

    def runs(self) -> Iterator[Run]:
        """Each week in its turn, after its run."""
        for number, week in enumerate(self.weather.weeks):
            self.fixes += week.fixes
            yield self._run(number, self.start + number * A_WEEK, week)

    def newest(self, version: str, day: date) -> str | None:
        """The newest release of a version on a day; of edge, the day's."""
        line = self.calendar.branches.get(version)
        out = [name for name, since in line.releases.items() if since <= day] if line else []
        return max(out, key=release_key, default=None)

    def fixed(self) -> str:
        """The version of the package that is fixed now and then."""
        return f"3.5.{self.fixes}-r0"

    def _run(self, number: int, day: date, week: Week) -> Run:
        if week.idle:
            return Run(number, day, week)
        try:
            survey = self._survey(number, day, week)
            with patch.multiple(planning, image_digest=quick_digest, common_files=Mock(return_value={})):
                plan = planning.plan_stack(self.settings, survey)
        except OmiError as error:
            return Run(number, day, week, stopped=str(error))
        region = survey.regions[0]
        if _Engine(self, region, day, week, self._random).carry_out(plan):
            self.memory = plan.memory
            self._record(survey)
            self._sweep()
        return Run(number, day, week, plan, profile=survey.profile)

    def _survey(self, number: int, day: date, week: Week) -> Survey:
        upstream = self._upstream(number, day, week)
        ledger = Ledger.of(self.ledger.values())
        expanded = expand_profile(self.profile, self.settings, ledger, self.memory, day, upstream)
        trusted = trust_keys(expanded.builds, upstream, ledger, day)
        held = {image.record.omi for image in ledger.images}
        account = AccountView.of(self.account.values(), ACCOUNT, held - self.account.keys())
        offers = (
            {} if week.away or week.broken_index else {build.name: self._offer(build, day) for build in trusted.builds}
        )
        return Survey(
            replace(expanded, builds=trusted.builds),
            upstream,
            regions_of(self.settings, ledger),
            {REGION: account},
            day,
            OWNER,
            offers,
            self.memory,
            warnings=trusted.warnings,
        )

    def _upstream(self, number: int, day: date, week: Week) -> Upstream:
        if week.away and week.is_fresh:
            return Upstream()
        if week.away:
            mirror = {key: replace(each, stale=True) for key, each in self.known.mirror.items()}
            return replace(self.known, mirror=mirror, stale=True)
        branches = list(self.calendar.on(day))
        if number in self.weather.key_gone:
            gone = {ARCH: {min(self._keys()): self.start + self.weather.key_gone.start * A_WEEK}}
            branches = [replace(branch, deprecated_keys=gone) for branch in branches]
        every = {ARCH: dict.fromkeys(self._keys(), self.start)}
        branches = [
            replace(each, deprecated_keys=every) if self.weather.lacks_key(each.version, number) else each
            for each in branches
        ]
        if week.wrong_end:
            year = timedelta(days=365)
            branches = [
                replace(each, end_of_life=each.end_of_life - year)
                if each.version == week.wrong_end and each.end_of_life
                else each
                for each in branches
            ]
        branches = [
            replace(each, end_of_life=self.calendar.branches[each.version].first_end)
            if each.version == week.taken_back
            else each
            for each in branches
        ]
        there = {each.version: self.newest(each.version, day - week.lag * A_WEEK) for each in branches}
        mirror = {(version, ARCH): MirrorRelease(release) for version, release in there.items()}
        self.known = Upstream(tuple(branches), mirror)
        return self.known

    def _keys(self) -> list[str]:
        layers = self.profile.layers
        return sorted(layers.keys) if layers else []

    def _offer(self, build: Target, day: date) -> Offer:
        release = self.newest(build.version, day)
        index = {"openssl": (self.fixed(),)} | ({"alpine-base": (f"{release}-r0",)} if release else {})
        fixes = {f"3.5.{number}-r0": (f"CVE-2030-{number}",) for number in range(1, self.fixes + 1)}
        return Offer([(None, Index(index, fixes={"openssl": fixes}))])

    def _record(self, survey: Survey) -> None:
        """What is written into the core profiles and committed."""
        layers = self.profile.layers
        if layers is None:
            return
        branches = dict(layers.branches)
        for version, new, last_day in detected_in(survey.profile, survey.upstream):
            old = layers.branch(version)
            release = max(filter(None, (old.release, new)), key=release_key, default=None)
            end = max(filter(None, (old.end_of_life, last_day)), default=None)
            branches[version] = VersionLayer(old.base, old.tree, release, end)
        self.profile = replace(self.profile, layers=replace(layers, branches=branches))

    def _sweep(self) -> None:
        self.left.clear()
        for image in [image for image in self.account.values() if image.half_made]:
            del self.account[image.omi]

    def next_number(self) -> int:
        """A new one each time."""
        self._made += 1
        return self._made


class _Killed(Exception):  # noqa: N818 - it is not an error
    """The runner is lost."""


@dataclass(frozen=True)
class _Engine:
    """Runs a plan as Pulumi and the commands would, as far as the week lets it."""

    world: World
    region: Region
    day: date
    week: Week
    random: Random

    def carry_out(self, plan: Plan) -> bool:
        """Whether the run came to its end."""
        first = [
            step
            for step in plan.steps
            if step.action is not Action.PRUNE and (step.updates or step.action is not Action.KEEP)
        ]
        self.random.shuffle(first)
        steps = [*first, *plan.of(Action.PRUNE)]
        killed = None if self.week.killed_at is None or not steps else int(self.week.killed_at * len(steps))
        try:
            for number, step in enumerate(steps):
                self._do(step, killed=number == killed)
        except _Killed:
            return False
        return True

    def _do(self, step: Step, *, killed: bool) -> None:
        image = step.image
        if isinstance(image, PlannedImage):
            self._make(step, image, killed=killed)
        elif step.action is Action.RECOVER:
            self._recover(image, killed=killed)
        elif step.action is Action.PRUNE:
            self._prune(step, image, killed=killed)
        else:
            self._update(step, image, killed=killed)

    def _make(self, step: Step, image: PlannedImage, *, killed: bool) -> None:
        world = self.world
        if self.random.random() < self.week.busy:
            if self.random.random() < self.week.leaves:
                world.left.add(image.name)
            return
        for half in [each for each in world.account.values() if each.name == image.name and each.half_made]:
            del world.account[half.omi]
        world.left.discard(image.name)
        if killed and self.week.kill is not Kill.DONE:
            world.left.add(image.name)
            if self.week.kill is Kill.HALF:
                omi = f"ami-{world.next_number():08x}"
                world.account[omi] = AccountImage(image.name, omi, half_made=True)
            raise _Killed
        assert image.existing or not [each for each in world.account.values() if each.name == image.name], image.name
        made = self._made(image)
        seen = self._seen(made)
        if killed:
            bare = {key: value for key, value in seen.tags.items() if key != CLAIM}
            world.account[seen.omi] = replace(seen, tags=bare, access=Access())
            raise _Killed
        world.account[seen.omi] = seen
        world.ledger[made.name] = made

    def _made(self, image: PlannedImage) -> LedgerImage:
        number = self.world.next_number()
        omi = image.existing.omi if image.existing else f"ami-{number:08x}"
        spec = image.to_spec(OWNER, self.region.access, BuildVm(), "releases")
        record = make_record(
            name=image.name,
            omi=omi,
            snapshots=(omi.replace("ami", "snap"),),
            account=ACCOUNT,
            created=datetime.combine(self.day, time(6), UTC),
            installed=None if image.existing else (f"openssl={self.world.fixed()}",),
            build_seconds=None if image.existing else 600,
            claim=f"{number:016x}",
        )
        return LedgerImage(image.name, spec, record, StoredCommand.of("build", spec))

    def _seen(self, image: LedgerImage) -> AccountImage:
        tags = {**Identity(image.spec).tags, VERIFIED: "yes", CLAIM: image.record.claim or ""}
        return AccountImage(
            image.name, image.record.omi, tags, managed=True, digest=image.spec.digest, access=image.spec.launch_access
        )

    def _update(self, step: Step, image: LedgerImage, *, killed: bool) -> None:
        world = self.world
        if self.week.busy < 1 and self.random.random() < self.week.busy:
            return
        there = world.account.get(image.record.omi)
        if there is not None:
            world.account[there.omi] = replace(there, access=image.spec.launch_access)
        if killed:
            raise _Killed
        missing = image.record.missing or self.day if there is None else None
        assert (there is None) == any(change.kind is ChangeKind.MARK_MISSING for change in step.changes), step
        world.ledger[image.name] = replace(image, record=image.record.model_copy(update={"missing": missing}))

    def _recover(self, image: LedgerImage, *, killed: bool) -> None:
        claim = f"{self.world.next_number():016x}"
        there = self.world.account[image.record.omi]
        self.world.account[there.omi] = replace(there, tags={**there.tags, CLAIM: claim})
        if killed:
            raise _Killed
        record = image.record.model_copy(update={"claim": claim, "installed": None})
        self.world.ledger[image.name] = replace(image, record=record)

    def _prune(self, step: Step, image: LedgerImage, *, killed: bool) -> None:
        world = self.world
        if not step.forgets:
            if self.week.busy < 1 and self.random.random() < self.week.busy:
                return
            world.account.pop(image.record.omi, None)
        if killed:
            raise _Killed
        del world.ledger[image.name]
