"""An image's withdrawal, kept in stack state: its stage, and days that must not move from run to run."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

Why = Literal["superseded", "end of life", "removed", "revoked"]
"""Superseded by a newer image; past its version's end; its build removed from the profile; revoked by a person."""


class Stage(StrEnum):
    """An image's stage for its users; after the last one it is deregistered."""

    CURRENT = "current"
    DEPRECATED = "deprecated"
    """It can be launched, but its removal is announced."""
    PRIVATE = "private"
    """Nobody else can launch it, so that people who need it notice while it can still be brought back."""


class Withdrawal(BaseModel):
    """Part of an image's standard input (omi.state.image) while it is not current; all days are in UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: Why
    shared: bool
    """Whether others could launch it when it was first withdrawn: then the days of shared images hold for it."""
    deprecated: date | None = None
    """The day when it was deprecated; None if that stage was left out."""
    due: date | None = None
    """The day when retention first wanted it gone; None if it is only not the newest."""
    private: date | None = None
    """The day when it was made private."""
    reason: str | None = None
    """Why a person has revoked it."""
    removal: date | None = None
    """The announced first day when it may be deregistered."""

    @property
    def stage(self) -> Stage:
        """Its stage."""
        return Stage.DEPRECATED if self.private is None else Stage.PRIVATE

    @property
    def since(self) -> date | None:
        """The day when it reached this stage."""
        return self.private or self.deprecated

    def __str__(self) -> str:
        since = f"deprecated since {self.deprecated}" if self.private is None else f"private since {self.private}"
        removal = f", to be removed on {self.removal}" if self.removal else ""
        why = f"{self.why}: {self.reason}" if self.reason else self.why
        return f"{since} ({why}){removal}"
