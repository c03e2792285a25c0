"""The last word on a step about an image of the ledger: doubt, protection and a changed connection hold it back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from omi.plan.model import Action, Change, ChangeKind, Step
from omi.state.account import AccountView
from omi.state.image import CloudAccess
from omi.state.ledger import LedgerImage
from omi.state.owner import CLAIM, taking_back


@dataclass(frozen=True)
class Settler:
    """What holds steps back in one Region; `account` and `connection` as for make_plan."""

    held: Mapping[str, LedgerImage]
    """The Region's images as state holds them, by name."""
    account: AccountView | None
    protected: Collection[str]
    """Names and ids in `retention.protect`."""
    before: Collection[str]
    """Those that the last update protected."""
    connection: CloudAccess | None
    only: Collection[str]

    def settle(self, step: Step) -> Step:
        """The step as it may be done in this update."""
        image = self.held.get(step.name)
        if image is None or not isinstance(step.image, LedgerImage):
            return replace(step, protected=step.name in self.protected)
        protected = not _names(image).isdisjoint(self.protected)
        if self._is_doubtful(image):
            reason = f"left as it is: the account's answers differ on whether {image.record.omi} is there"
            return Step(image, Action.KEEP, reason, protected=protected)
        if step.action is Action.KEEP and (claim := self._foreign_claim(image)) is not None:
            omi, own = image.record.omi, image.record.claim
            reason = f"left as it is: another record holds {omi} (claim {claim} instead of {own})"
            return Step(image, Action.KEEP, f"{reason}; {taking_back(image.name)}", protected=protected)
        held_back = self._held_back(step, image)
        if held_back is not None:
            step = Step(image, Action.KEEP, f"{held_back}; then: {step.reason}")
        unprotects = not protected and not _names(image).isdisjoint(self.before)
        step = self._found(self._connected(step, image), image)
        return replace(step, protected=protected, unprotects=unprotects)

    def _is_doubtful(self, image: LedgerImage) -> bool:
        omi, account = image.record.omi, self.account
        return account is not None and omi not in account.by_omi and omi not in account.missing

    def _foreign_claim(self, image: LedgerImage) -> str | None:
        """The claim in the OMI's tag, if it is another record's."""
        seen = self.account.by_omi.get(image.record.omi) if self.account is not None else None
        found = seen.tags.get(CLAIM) if seen is not None else None
        return None if image.record.adopted or found == image.record.claim else found

    def _held_back(self, step: Step, image: LedgerImage) -> str | None:
        if step.action is not Action.PRUNE:
            return None
        if not _names(image).isdisjoint(self.before):
            return "protected until this update has run"
        if self._differing(image) and not step.forgets:
            return "waits for one update by the new connection"
        return None

    def _found(self, step: Step, image: LedgerImage) -> Step:
        """The kept image that an earlier update marked as missing and that the account holds again."""
        is_back = self.account is not None and image.record.omi in self.account.by_omi
        if step.action is not Action.KEEP or image.record.missing is None or not is_back:
            return step
        kept = image.touched() if step.image is image else step.image
        change = Change(ChangeKind.FOUND, f"{image.record.omi} is in the account again")
        return replace(step, image=kept, changes=(*step.changes, change))

    def _connected(self, step: Step, image: LedgerImage) -> Step:
        """The kept image by the connection that the config says now."""
        kept, differing = step.image, self._differing(image)
        if self.connection is None or not differing or not isinstance(kept, LedgerImage):
            return step
        if step.action is not Action.KEEP or (self.only and step.build not in self.only):
            return step
        keys = ", ".join(f"cloud.{key}" for key in differing)
        change = Change(ChangeKind.CONNECT, f"the account is reached by other settings now: {keys}")
        return replace(step, image=kept.reached_by(self.connection), changes=(*step.changes, change))

    def _differing(self, image: LedgerImage) -> list[str]:
        """The settings of the connection that differ from what state holds."""
        if self.connection is None:
            return []
        return [key for key, value in self.connection if getattr(image.spec.cloud, key) != value]


def _names(image: LedgerImage) -> set[str]:
    return {image.name, image.record.omi}
