"""The check of an OMI made elsewhere, before the stack takes it over."""

from __future__ import annotations

from dataclasses import dataclass

from omi.verify.boot import Boot, Guest
from omi.verify.checks.system import wrong_release
from omi.verify.facts import Facts, probe_script


@dataclass(frozen=True)
class AdoptionCheck(Boot):
    """Checks that it boots, lets its user in by a key, and is the Alpine release in the stack's config."""

    login: str

    fate = "it is left as it is, and not taken over; `verify: false` in its entry of `adopt` takes it over unverified"

    @property
    def user(self) -> str:
        """The user in the stack's config."""
        return self.login

    def examine(self, guest: Guest) -> tuple[Facts, list[str]]:
        """Check its release alone: its making is unknown, so nothing else is expected."""
        facts, spec = self.probe(guest.door, probe_script()), self.identity.spec
        return facts, [] if guest.is_stub else list(wrong_release(facts, spec.release, spec.version))
