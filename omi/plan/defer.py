"""Defers steps about images that are in doubt or protected, or whose connection or releases folder has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from omi.plan.input import PlanInput
from omi.plan.model import Action, Change, ChangeKind, Step
from omi.plan.reasons import Because, Reason
from omi.state.ledger import LedgerImage
from omi.state.owner import taking_back


@dataclass(frozen=True)
class Deferral:
    """Defers the steps of one Region that aren't safe yet."""

    given: PlanInput
    stays: Callable[[LedgerImage, Reason], Step]
    """The step that keeps an image as state holds it and undoes changes made by others."""

    @cached_property
    def _held(self) -> Mapping[str, LedgerImage]:
        """The Region's images as state holds them, by name."""
        return {image.name: image for image in self.given.ledger.images}

    def safe(self, step: Step) -> Step:
        """The step if it is safe in this update, else one that keeps the image."""
        if not isinstance(step.image, LedgerImage):
            return replace(step, protected=step.name in self.given.retention.protect)
        image = self._held[step.name]
        protected = self.given.is_protected(image)
        if self._is_doubtful(image):
            return Step(image, Action.KEEP, Because.DOUBTFUL(omi=image.record.omi), protected=protected)
        unprotects = not protected and self._was_protected(image)
        if (claim := self.given.foreign_claim(image)) is not None:
            return replace(self._claimed(step, image, claim), protected=protected, unprotects=unprotects)
        held_back = self._held_back(step, image)
        if held_back is not None:
            step = self.stays(image, held_back(then=step.why))
        step = self._found(self._connected(step, image), image)
        return replace(step, protected=protected, unprotects=unprotects)

    def _claimed(self, step: Step, image: LedgerImage, claim: str) -> Step:
        """The step of an image whose OMI another record holds: its command neither updates nor deletes it."""
        record, cure = image.record, taking_back(image.name)
        if step.action is Action.PRUNE and not self._was_protected(image):
            why = Because.CLAIMED_ELSEWHERE(omi=record.omi, then=step.why, cure=cure)
            return replace(step, why=why, claimed_elsewhere=True)
        why = Because.FOREIGN_CLAIM(omi=record.omi, claim=claim, own=record.claim, cure=cure)
        return Step(image, Action.KEEP, why)

    def deferred(self, steps: Iterable[Step], why: Mapping[str, Reason]) -> tuple[Step, ...]:
        """The steps, with each one that `why` names put off: its image stays for now."""
        return tuple(
            self.safe(self.stays(self._held[step.name], why[step.name])) if step.name in why else step for step in steps
        )

    def _is_doubtful(self, image: LedgerImage) -> bool:
        given = self.given
        return given.account is not None and given.seen(image) is None and not given.is_missing(image)

    def _was_protected(self, image: LedgerImage) -> bool:
        """Whether the last update protected it."""
        return not image.names.isdisjoint(self.given.memory.protected)

    def _held_back(self, step: Step, image: LedgerImage) -> Because | None:
        if step.action is not Action.PRUNE:
            return None
        if self._was_protected(image):
            return Because.STILL_PROTECTED
        if image.record.missing is not None and self.given.seen(image) is not None:
            return Because.AWAITS_FOUND
        differing = self._differing(image)
        if "releases_dir" in differing or (differing and not step.forgets):
            return Because.AWAITS_CONNECTION
        return None

    def _found(self, step: Step, image: LedgerImage) -> Step:
        """The step for a kept image that was marked as missing and is in the account again."""
        if image.record.missing is None or self.given.seen(image) is None:
            return step
        kept = image.touched() if step.image is image else step.image
        change = Change(ChangeKind.FOUND, Because.THERE_AGAIN(omi=image.record.omi))
        return replace(step, image=kept, changes=(*step.changes, change))

    def _connected(self, step: Step, image: LedgerImage) -> Step:
        """The step that gives a kept image the connection and the releases folder of today's config."""
        kept, differing = step.image, self._differing(image)
        if not differing or not isinstance(kept, LedgerImage) or step.action is not Action.KEEP:
            return step
        change = Change(ChangeKind.CONNECT, Because.CONNECTED_ANEW(keys=tuple(differing)))
        cloud, folder = self.given.connection or kept.spec.cloud, self.given.releases_dir or kept.spec.releases_dir
        return replace(step, image=kept.reached_by(cloud, folder), changes=(*step.changes, change))

    def _differing(self, image: LedgerImage) -> list[str]:
        """The settings of its connection and its releases folder that differ from those in state."""
        given, spec = self.given, image.spec
        differing = [f"cloud.{key}" for key, value in given.connection or () if getattr(spec.cloud, key) != value]
        return [*differing, *(["releases_dir"] if given.releases_dir not in (None, spec.releases_dir) else [])]
