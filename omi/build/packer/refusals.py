"""The cloud's refusals while Packer ran. Plugin 1.0.2 prints the HTTP status alone; the gateway sees the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from omi.outscale.cures import cure_of
from omi.outscale.faults import first_error
from omi.support.errors import one_line
from omi.support.safe_json import read_json

_SHOWN = 300
"""Characters of a server's words that are shown."""


@dataclass(frozen=True)
class Refusal:
    """One call that was refused, with the code, type and details that OUTSCALE's API gave."""

    action: str
    status: int
    code: str = ""
    kind: str = ""
    details: str = ""

    @property
    def cure(self) -> str:
        """The remedy; empty if none is known."""
        return cure_of(self.code, self.kind)

    @property
    def phrase(self) -> str:
        """The HTTP status in words, as Go's http package has them: `400 Bad Request`."""
        return f"{self.status} {HTTPStatus(self.status).phrase}" if self.status in set(HTTPStatus) else str(self.status)

    def __str__(self) -> str:
        what = f"{self.kind} ({self.code})" if self.code else self.kind or self.phrase
        return one_line(f"{self.action}: {what}" + (f": {self.details}" if self.details else ""), _SHOWN)


def refusal_of(action: str, status: int, body: bytes) -> Refusal | None:
    """The refusal in an answer of the API; None if there is none."""
    if status < HTTPStatus.BAD_REQUEST:
        return None
    try:
        return Refusal(action, status, *first_error(read_json(body)))
    except ValueError:
        return Refusal(action, status)


def cause_of(reason: str, refusals: Sequence[Refusal]) -> Refusal | None:
    """The refusal that made Packer fail, by its own words. Refusals while it cleans up don't count."""
    fitting = [each for each in refusals if each.phrase in reason or (each.code and each.code in reason.split())]
    fitting = fitting or [each for each in refusals if each.status == HTTPStatus.UNAUTHORIZED and "auth" in reason]
    return next((each for each in fitting if not each.action.startswith("Delete")), fitting[0] if fitting else None)
