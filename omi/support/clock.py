"""The one place from which plans, updates and health take the date; simulated years put another in its place."""

from __future__ import annotations

from datetime import UTC, date, datetime


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def today() -> date:
    """The day in UTC."""
    return now().date()
