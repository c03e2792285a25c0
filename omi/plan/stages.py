"""The stages of an image's withdrawal: current, deprecated, private, deregistered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from omi.config.settings import StageDays
from omi.plan.reasons import Because, Reason
from omi.state.ledger import LedgerImage
from omi.state.withdrawal import Stage, Why, Withdrawal


@dataclass(frozen=True)
class Progress:
    """An image's withdrawal as of today."""

    withdrawal: Withdrawal | None = None
    """None if it is current."""
    over: bool = False
    """Whether the last stage is over, so that it may be deregistered."""


def withdraw(
    old: Withdrawal | None, why: Why | None, due: bool, shared: bool, days: StageDays, today: date
) -> Progress:
    """The stage of an image that was at `old`.

    `why` is None if there is no reason against the image. `due` is whether retention wants it gone; otherwise it is
    deprecated at most. A stage's day is the day when it was first reached, so later runs don't move it. While the image
    is due, it only moves forward, even if `days` change; once it no longer is, it goes back.
    """
    if why is None:
        return Progress()
    deprecated = (old.deprecated if old else None) or (today if days.deprecated_days else None)
    told = Withdrawal(why=why, shared=shared, deprecated=deprecated)
    if not due:
        return Progress(told if days.deprecated_days else None)
    since = (old.due if old else None) or today
    ends, stays = since + timedelta(days=days.deprecated_days), timedelta(days=days.private_days)
    private = old.private if old else None
    if private is None and today >= ends and stays:
        private = today
    if private is None:
        told = told.model_copy(update={"due": since, "removal": ends + stays})
        return Progress(told if deprecated else None, over=today >= ends)
    removal = private + stays
    told = told.model_copy(update={"due": since, "private": private, "removal": removal})
    return Progress(told, over=today >= removal)


def revoke(old: Withdrawal | None, shared: bool, reason: str, today: date) -> Withdrawal:
    """Withdraw a revoked image: it is private from the day when a person first revoked it."""
    private = old.private if old and old.why == "revoked" else today
    return Withdrawal(why="revoked", shared=shared, private=private, reason=reason)


def as_revoked(image: LedgerImage, revoked: Mapping[str, str], today: date) -> LedgerImage:
    """The image as state is to hold it if `revoked` names it: withdrawn; otherwise unchanged."""
    reason = revoked.get(image.name) or revoked.get(image.record.omi)
    return image if reason is None else image.published(image.spec.access, revocation(image, reason, today))


def revocation(image: LedgerImage, reason: str, today: date) -> Withdrawal:
    """The withdrawal of an image that a person has revoked."""
    old = image.spec.withdrawal
    shared = old.shared if old is not None else bool(image.spec.access.launchers(image.record.account))
    return revoke(old, shared, reason, today)


def stage_reason(withdrawal: Withdrawal, days: StageDays) -> Reason:
    """Words for its present stage and the next ones, each with its day."""
    removal = withdrawal.removal
    if withdrawal.stage is Stage.PRIVATE:
        return Because.PRIVATE(since=withdrawal.private, removal=removal)
    since = withdrawal.deprecated
    if withdrawal.due is None:
        return Because.DEPRECATED(since=since)
    if not days.private_days:
        return Because.DEPRECATED_THEN_GONE(since=since, removal=removal)
    private = withdrawal.due + timedelta(days=days.deprecated_days)
    return Because.DEPRECATED_THEN_PRIVATE(since=since, private=private, removal=removal)
