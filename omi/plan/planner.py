"""The planner: gives one step to every image in the ledger and every image that a build wants."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property

from omi.config.settings import Retention
from omi.plan.defer import Deferral
from omi.plan.external import differing
from omi.plan.guard import Live, check_clash, check_names, check_twice, guarded_names, too_many_losses, unreplaced
from omi.plan.input import PlanInput
from omi.plan.keys import keyless
from omi.plan.model import Action, Change, ChangeKind, Plan, PlannedImage, Step
from omi.plan.publishing import changes_of, share_of_new
from omi.plan.reasons import Because, Reason
from omi.plan.retention import Prune, prunes
from omi.plan.stages import revocation, stage_reason, withdraw
from omi.plan.wanted import Wish, WishInput, wish
from omi.profile.model import Access, Target
from omi.state.ledger import LedgerImage
from omi.state.withdrawal import Why, Withdrawal
from omi.support.errors import ProfileError, UpstreamError
from omi.support.version import release_key
from omi.upstream.current import current_release


def make_plan(given: PlanInput) -> Plan:
    """One step for every image of the Region.

    Raises ProfileError (for example, a build that was asked for has no key left), SettingsError, UpstreamError (a build
    has no known release) and PlanError (two builds have one image name).
    """
    check_twice(build.name for build in given.builds)
    given = given.prepared()
    ledger, retention = given.ledger, given.retention
    live = sorted(given.builds, key=lambda build: (release_key(build.version), build.name))
    planner = _Planner(given)
    outcomes = [planner.live(build) for build in live] if given.left is None else []
    check_clash((outcome.build, outcome.first_name) for outcome in outcomes if outcome.first_name is not None)
    made = [step for outcome in outcomes for step in outcome.steps]
    left = {image.name for image in ledger.images} - {step.name for step in made}
    rest = [planner.rest(image) for image in ledger.images if image.name in left]
    names = [build.name for build in live]
    names += sorted(given.known - set(names))
    deferral = Deferral(given, planner.stays)
    steps = _in_order(map(deferral.safe, [*made, *rest]), names)
    check_clash((step.build, step.name) for step in steps)
    check_names([step.image for step in steps if isinstance(step.image, PlannedImage)])
    refused = [line for outcome in outcomes for line in outcome.refused]
    over = {outcome.build for outcome in outcomes if outcome.is_over}
    of_profile = {(each.profile, each.name): given.left is None and each.name not in over for each in live}
    guarded = guarded_names(steps, of_profile, retention, given.is_proved, given.is_reliable)
    waiting, losses = _held_back(given, steps, of_profile)
    steps, refused = deferral.deferred(steps, waiting), [*refused, *losses]
    warnings = [*given.upstream.warnings, *_unknown_levels(retention, names), *_needless(given), *differing(steps)]
    warnings += [warning for outcome in outcomes for warning in outcome.warnings]
    warned = tuple(dict.fromkeys(warnings))
    return Plan(steps, tuple(names), warned, refused=tuple(refused), memory=given.memory, guarded=guarded)


def _held_back(given: PlanInput, steps: Sequence[Step], live: Live) -> tuple[dict[str, Reason], tuple[str, ...]]:
    """The images that must wait and why, by name, and the guard's refusals."""
    awaiting = unreplaced(steps, live, given.retention, given.is_reliable)
    if given.is_one_off:
        return awaiting, ()
    waiting, refused = too_many_losses(
        steps,
        given.retention,
        len(given.ledger.images),
        given.is_proved,
        given.has_ended,
        has_left=given.left is not None,
        awaiting=awaiting,
    )
    return awaiting | waiting, refused


_REFUSING = (Because.PINNED_OTHER, Because.NAME_HELD, Because.NAME_REVOKED, Because.COPY_TAKEN)
"""Reasons against a build that only a person can take away."""


@dataclass(frozen=True)
class _Outcome:
    build: str
    first_name: str | None = None
    """The name of the wanted release's r0; None if no release is wanted."""
    is_over: bool = False
    """Whether its version is past its end of life and the grace, so that no image has to wait for its first one."""
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    """Why it can't be built."""


@dataclass(frozen=True)
class _Planner:
    """Makes the steps of all builds of one plan."""

    given: PlanInput

    @cached_property
    def _held(self) -> Mapping[tuple[str, str], list[LedgerImage]]:
        held: dict[tuple[str, str], list[LedgerImage]] = {}
        for image in self.given.ledger.images:
            held.setdefault((image.profile, image.build), []).append(image)
        return held

    def live(self, build: Target) -> _Outcome:
        """The steps of a build that the profile names."""
        given = self.given
        held = self._held.get((build.profile, build.name), [])
        images = [image for image in held if not given.is_missing(image)]
        missing = [image for image in held if given.is_missing(image)]
        recorded = [image.spec.end_of_life for image in held if image.version == build.version]
        last_day = given.last_day(build.version, [build.end_of_life, *recorded])
        level = given.retention.end_of_life
        grace = timedelta(days=level.grace_days if level is not None else 0)
        is_over = last_day is not None and given.today > last_day + grace
        release, notes = self._wanted_release(build, last_day, bool(held))
        outcome, refused = Wish(), self._distrusted(build) if release is not None else ()
        if refused and build.name in (given.asked or ()):
            raise ProfileError(*refused)
        if release is not None and not refused:
            outcome = wish(WishInput(given, build, release, last_day, images, missing))
            if outcome.why.because in (Because.CONTENT_REVOKED, Because.CURRENT_NAME_TAKEN):
                notes = (*notes, f"{build.name}: {outcome.why}")
            if outcome.why.because is Because.PACKAGES_LACKING:
                refused = tuple(given.lacking[build.name])
            if outcome.why.because in _REFUSING:
                refused = (f"{build.name}: {outcome.why}",)
        if given.is_one_off:  # a run that a person asks for goes on
            notes, refused = (*notes, *refused), ()
        steps = [self._new(outcome.step)] if outcome.step else []
        steps += self._kept_or_pruned(build, images, outcome, last_day)
        first = build.image_name(release, 0) if release is not None else None
        return _Outcome(build.name, first, is_over, tuple(steps), notes, refused)

    def rest(self, image: LedgerImage) -> Step:
        """The step of an image whose build is not in the profile or not wanted here."""
        given = self.given
        if given.is_missing(image):
            return self._without(image)
        day = given.last_day_of(image)
        past = day is not None and given.today > day
        prune = Prune("profile", Because.REMOVED_FROM_PROFILE())
        if given.left is not None:
            prune = Prune("region", Because.REGION_REMOVED(region=given.left))
        if past:
            prune = prune.also(Because.PAST_END_OF_LIFE(version=image.version, day=day))
        return self._withdrawn(image, self._access(image), prune.why, "end of life" if past else "removed", prune)

    def _distrusted(self, build: Target) -> tuple[str, ...]:
        why = self.given.untrusted.get(build.name)
        lines = keyless(build) or ((f"{build.name}: {why}",) if why else ())
        return tuple(self.given.keys_at.get(build.name, "") + line for line in lines)

    def _wanted_release(
        self, build: Target, last_day: date | None, has_images: bool
    ) -> tuple[str | None, tuple[str, ...]]:
        if last_day is not None and self.given.today > last_day:
            note = f"{build.name}: version {build.version} is past its end of life ({last_day}): no new images"
            return None, () if has_images else (note,)
        try:
            current = current_release(build, self.given.upstream, self.given.today)
        except UpstreamError as error:
            if not has_images:
                raise
            return None, (str(error),)
        return current.release, (current.warning,) if current.warning else ()

    def _kept_or_pruned(
        self, build: Target, images: Sequence[LedgerImage], outcome: Wish, last_day: date | None
    ) -> Iterator[Step]:
        found = prunes(
            images,
            self.given.retention,
            self.given.today,
            end_of_life=self._support_of(build, last_day),
            proved=self.given.is_proved,
            edge_keep=self.given.edge_keep,
        )
        newest = next((image for image in reversed(images) if self.given.is_proved(image)), None)
        for image in images:
            if image is outcome.current:
                yield self._keep(image, build.access, outcome.why)
                continue
            # no level in a stack's config may prune the newest; `omi prune` may, by a level that keeps none
            prune = found.get(image.name) if image is not newest or self._keeps_none else None
            why, cause = self._idle_reason(image, newest, last_day), self._cause(image, newest, build, last_day)
            yield self._withdrawn(image, build.access, why, cause, prune)

    @property
    def _keeps_none(self) -> bool:
        level = self.given.retention.end_of_life
        return level is not None and level.keep == 0

    def _cause(
        self, image: LedgerImage, newest: LedgerImage | None, build: Target, last_day: date | None
    ) -> Why | None:
        """The reason against an image that isn't current; None if it stays."""
        day = self._support_of(build, last_day)(image)
        if day is not None and self.given.today > day:
            return "end of life"
        return "superseded" if newest is not None and image.order < newest.order else None

    def _withdrawn(
        self, image: LedgerImage, access: Access, why: Reason, cause: Why | None, prune: Prune | None
    ) -> Step:
        """The step of an image that isn't current: kept in its stage, or pruned after the last stage.

        `why` is the reason to keep it if nothing lets it go; `cause` is the reason against it.
        """
        if self.given.revocation(image) is not None:
            return self._keep(image, access, why)
        spared = self._spared(image)
        if prune is not None:
            why = _spared_reason(prune, spared) if spared else prune.why
        if image.record.adopted:
            return self._keep(image, access, why) if prune is None or spared else _prune(image, prune)
        old, owner, stages = image.spec.withdrawal, image.record.account, self.given.retention.stages
        if image.is_revoked:  # its withdrawal was taken back
            old = None
        stays = access if prune is None or spared else Access()
        shared = (old is not None and old.shared) or image.spec.access.launchers(owner) or stays.launchers(owner)
        days = stages.shared if shared else stages.private
        due = prune is not None and not self.given.is_protected(image)
        progress = withdraw(old, cause, due, bool(shared), days, self.given.today)
        if prune is not None and progress.over and not spared:
            return _prune(image, prune.also(stage_reason(old, days)) if old else prune)
        if progress.withdrawal is not None:
            why = why.also(stage_reason(progress.withdrawal, days))
        return self._keep(image, access if shared else Access(), why, progress.withdrawal)

    def _idle_reason(self, image: LedgerImage, newest: LedgerImage | None, last_day: date | None) -> Reason:
        if image is newest and last_day is not None and self.given.today > last_day:
            return Because.NO_NEW_IMAGES(version=image.version, day=last_day)
        return Because.NEWEST_VERIFIED() if image is newest else Because.SUPERSEDED()

    def _keep(self, image: LedgerImage, access: Access, why: Reason, withdrawal: Withdrawal | None = None) -> Step:
        if image.record.adopted:
            return Step(image, Action.KEEP, why.also(Because.MADE_BY_KEPT(maker=image.record.maker)))
        if (reason := self.given.revocation(image)) is not None:
            why, withdrawal = Because.REVOKED(reason=reason), revocation(image, reason, self.given.today)
        kept = image.published(access, withdrawal)
        changes = tuple(changes_of(image, kept, self.given.seen(image), why, self.given.set_by))
        if changes and kept is image:
            kept = image.touched()
        news = [part for change in changes for part in change.why.parts if part not in why.parts]
        return Step(kept, Action.KEEP, why.also(*news), changes=changes)

    def stays(self, image: LedgerImage, why: Reason) -> Step:
        """The step that keeps an image that would go, and undoes changes made by others. It is not newly shared."""
        withdrawal = None if image.is_revoked else image.spec.withdrawal
        access = self._access(image) if image.spec.access.launchers(image.record.account) else image.spec.access
        return self._keep(image, access, why, withdrawal)

    def _access(self, image: LedgerImage) -> Access:
        """The access of an image whose build may be gone: the stack's, if its config sets one, else the image's own."""
        return image.spec.access if self.given.access is None else self.given.access

    def _new(self, step: Step) -> Step:
        """The step of a new image, with the share after its verify. An external image is never changed."""
        image = step.image
        if not isinstance(image, PlannedImage) or image.is_external:
            return step
        return replace(step, changes=share_of_new(image.target.access, self.given.owner, self.given.set_by))

    def _support_of(self, build: Target, last_day: date | None) -> Callable[[LedgerImage], date | None]:
        def of_image(image: LedgerImage) -> date | None:
            if image.version == build.version and last_day is not None:
                return last_day
            return self.given.last_day_of(image)

        return of_image

    def _without(self, image: LedgerImage) -> Step:
        """The step of an image that the account lacks: one update marks it, a later one forgets it."""
        omi, since = image.record.omi, image.record.missing
        if since is not None and self.given.is_protected(image):
            return Step(image, Action.KEEP, Because.MISSING_BUT_PROTECTED(omi=omi))
        if since is not None:
            return _prune(image, Prune("gone", Because.FORGOTTEN(omi=omi, since=since)))
        change = Change(ChangeKind.MARK_MISSING, Because.MISSING(omi=omi))
        return Step(image.touched(), Action.KEEP, change.why, changes=(change,))

    def _spared(self, image: LedgerImage) -> Reason | None:
        if self.given.is_protected(image):
            return Because.PROTECTED()
        seen = self.given.seen(image)
        return Because.IN_USE(vms=tuple(seen.used_by)) if seen is not None and seen.used_by else None


def _prune(image: LedgerImage, prune: Prune) -> Step:
    if image.record.adopted:
        prune = prune.also(Because.MADE_BY_FORGOTTEN(maker=image.record.maker))
    return Step(image, Action.PRUNE, prune.why, level=prune.level)


def _spared_reason(prune: Prune, spared: Reason) -> Reason:
    removed = prune.level in ("profile", "region")
    return (Because.REMOVED_BUT_SPARED if removed else Because.SPARED)(removed=prune.why, spared=spared)


def _in_order(steps: Iterable[Step], names: Sequence[str]) -> tuple[Step, ...]:
    """The steps by build: the new image first, then the ledger's, newest first."""
    place = {name: index for index, name in enumerate(names)}
    newest_first = sorted(steps, key=_age, reverse=True)
    return tuple(sorted(newest_first, key=lambda step: place[step.build]))


def _age(step: Step) -> tuple[object, ...]:
    image = step.image
    return (True, image.name) if isinstance(image, PlannedImage) else (False, *image.order)


def _needless(given: PlanInput) -> Iterator[str]:
    """Warn if the own account is named: it needs no permission. A profile may serve several accounts, so it's no
    error."""
    if any(given.owner in build.access.accounts for build in given.builds):
        yield f"{given.set_by} names {given.owner}, which is this account itself: it may launch its images anyway"


def _unknown_levels(retention: Retention, names: Sequence[str]) -> Iterator[str]:
    """Warn of a level that names an unknown build; the build may have been removed since."""
    levels: Mapping[str, Collection[str]] = {
        key: level.builds
        for key in ("revision", "release", "end_of_life")
        if (level := getattr(retention, key)) is not None
    }
    for key, builds in levels.items():
        for name in sorted(set(builds) - set(names)):
            yield f"retention.{key}.builds names {name}, which is not a build of the profile or the ledger"
