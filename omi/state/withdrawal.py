"""How far an image's withdrawal has come, with the days that must not move from run to run; it lives in stack state."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

Why = Literal["superseded", "end of life", "removed", "revoked"]
"""By a newer image of its build; of its version; its build from the profile; by a person, for good or not."""


class Stage(StrEnum):
    """An image's stage for those who launch it; after the last it is deregistered."""

    CURRENT = "current"
    DEPRECATED = "deprecated"
    """Still to be launched, and said to be on its way out."""
    PRIVATE = "private"
    """Launch permissions are withdrawn, so that what needs it is noticed while it can still be brought back."""


class Withdrawal(BaseModel):
    """Part of an image's standard input (omi.state.image) while it is not current; all days are in UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: Why
    shared: bool
    """Others could launch it when it was first withdrawn, so the days of shared images hold for it."""
    deprecated: date | None = None
    """The day on which it was called deprecated; None where that stage was left out."""
    due: date | None = None
    """The day on which retention first wanted it gone; None where it is merely not the newest."""
    private: date | None = None
    """The day on which it was made private."""
    reason: str | None = None
    """Why a person has revoked it."""
    removal: date | None = None
    """The first day on which it may be deregistered, as it was announced."""

    @property
    def stage(self) -> Stage:
        """How far it has come."""
        return Stage.DEPRECATED if self.private is None else Stage.PRIVATE

    @property
    def since(self) -> date | None:
        """The day on which it came to this stage."""
        return self.private or self.deprecated

    def __str__(self) -> str:
        since = f"deprecated since {self.deprecated}" if self.private is None else f"private since {self.private}"
        removal = f", to be removed on {self.removal}" if self.removal else ""
        why = f"{self.why}: {self.reason}" if self.reason else self.why
        return f"{since} ({why}){removal}"
