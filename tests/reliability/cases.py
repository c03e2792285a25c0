"""The adversary's cases: a person's command, the state in which it is done, and what strikes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.reliability.edits import ONE, ONE_OLD, TWO, TWO_OLD

ALL = (ONE, TWO, ONE_OLD, TWO_OLD)
PRUNED: dict[str, tuple[str, ...]] = {
    "destroy": ALL,
    "keep: 1, up": (TWO_OLD,),
    "remove a build, up": (TWO, TWO_OLD),
    "allow_mass_prune, remove a build, up": (TWO, TWO_OLD),
    "protect, unprotect, up": (TWO_OLD,),
    "claim, keep: 1, up": (TWO_OLD,),
    "adopt, no longer adopt, keep: 1, up": (TWO_OLD,),
    "own another's, keep: 1, up": (TWO_OLD,),
    "deregister one by hand, up": (TWO_OLD,),
    "rename a build, up": (TWO, TWO_OLD),
    "recover --yes, destroy": ALL,
    "protect, destroy": (ONE, ONE_OLD, TWO_OLD),
    "take its tags off, destroy": (ONE, ONE_OLD, TWO_OLD),
    "protect, state unprotect, destroy": ALL,
    "protect, destroy --exclude-protected": (ONE, ONE_OLD, TWO_OLD),
    "export, keep: 1, up, import, up": (TWO_OLD,),
    "export, up --replace, import, destroy": ALL,
    "destroy --target": (ONE_OLD,),
    "keep: 1, up --target one": (TWO_OLD,),
    "keep: 1, up --target the old image": (TWO_OLD,),
    "another account's key, destroy": ALL,
    "another key in OSC_*, keep: 1, up": (TWO_OLD,),
    "remove all builds, up": (TWO, TWO_OLD),
    "rename the profile's file, up": (TWO, TWO_OLD),
    "revoke, no longer revoke, keep: 1, up": (TWO_OLD,),
    "a second stack, up, keep: 1, up in both": (TWO_OLD,),
}
"""What a person means to go, whatever the state."""
REVOKED: dict[str, tuple[str, ...]] = {
    "revoke, keep: 1, up": (TWO,),
    "revoke, up --replace": (ONE,),
    "revoke, up --replace '**'": (ONE,),
    "revoke, state taint, up": (ONE,),
    "revoke, state delete, up": (ONE,),
    "revoke, lose the state, recover --yes, up": (ONE,),
}
"""What a person means to be launched by nobody in the end, whatever the state."""
DESTROYS = (
    "destroy",
    "protect, destroy",
    "take its tags off, destroy",
    "fork --yes, releases_dir, up, destroy",
    "recover --yes, destroy",
    "protect, state unprotect, destroy",
    "protect, destroy --exclude-protected",
    "export, up --replace, import, destroy",
    "another account's key, destroy",
)
"""After these the next command is a destroy, too."""


@dataclass(frozen=True)
class Case:
    """One of them; `spares` are images that stay although the person meant them to go, `ends` the exit code."""

    person: str
    state: str = "whole"
    struck: str = "-"
    spares: tuple[str, ...] = ()
    refused: str | None = None
    """What the last command says where it fails as it should; None where it succeeds or is struck."""

    @property
    def id(self) -> str:
        return f"{self.person} / {self.state} / {self.struck}"

    @property
    def recovers(self) -> bool:
        """Whether state holds every image as the stack's own in the end."""
        return "recover --yes, up" in self.person and self.refused is None and self.struck not in _LIES

    @property
    def revoked(self) -> tuple[str, ...]:
        return REVOKED.get(self.person, ())

    @property
    def prunes(self) -> set[str]:
        gone = {TWO_OLD} if self.state == "an image is missing" else set()
        return {*PRUNED.get(self.person, ()), *gone} - {*self.spares}


def _of(person: str, *states: str, **values: str | None) -> Iterator[Case]:
    yield from (Case(person, state, **values) for state in states)  # type: ignore[arg-type]


def _struck(person: str, *strikes: str, state: str = "whole") -> Iterator[Case]:
    yield from (Case(person, state, struck) for struck in strikes)


_LIES = ("one list lacks an image", "one list lacks the newest", "one list lacks all", "no list has an image")
_DELETES = (
    "DeleteImage refused",
    "DeleteSnapshot refused",
    "500 after DeleteImage",
    "SIGINT while it deletes",
    "SIGKILL while it deletes",
    "SIGKILL between image and snapshot",
)
_CLAIMS = ("CreateTags refused", "SIGINT while it claims", "SIGKILL while it claims")
_STATES = ("whole", "empty backend", "copied", "shrunken", "stack renamed", "foreign claim", "an image is missing")
_ACCOUNT = "of account"

CASES = (
    *_of("preview", *_STATES),
    *_struck("preview", "one list lacks all", "503 at reads"),
    *_of("up", *_STATES),
    *_struck("up", *_LIES, "503 at reads"),
    *_of("up --target", "whole", "shrunken", "an image is missing"),
    *_of("up --replace", "whole", "foreign claim", "copied", "stack renamed"),
    *_struck("up --replace", "one list lacks all", "CreateTags refused", "503 at reads"),
    Case("destroy"),
    Case("destroy", "shrunken", spares=(TWO,)),
    Case("destroy", "foreign claim", spares=(TWO_OLD,)),
    Case("destroy", "an image is missing"),
    Case("destroy", "stack renamed"),
    Case("destroy", "empty backend", spares=ALL),
    *_struck("destroy", "one list lacks an image", *_DELETES),
    *_of("refresh", "whole", "an image is missing", "foreign claim"),
    *_struck("refresh", "one list lacks all"),
    *_of("state delete, up", "whole", "an image is missing"),
    *_of("stack rename, up", "whole", "an image is missing"),
    Case("export, import elsewhere, up in both"),
    *_of("fork --yes, up", "whole", "copied", "shrunken", "stack renamed", "foreign claim", "an image is missing"),
    *_struck("fork --yes, up", "one list lacks all", "503 at reads", state="copied"),
    *_of("fork --yes, keep: 1, up", "copied"),
    *_of("fork --yes, up, sweep --yes", "copied", "half-made build"),
    *_of("fork --yes, releases_dir, up, destroy", "copied"),
    *_of("fork --yes, recover --yes, up", "whole"),
    *_of("claim, keep: 1, up", "whole", "foreign claim", "copied"),
    *_struck("claim, keep: 1, up", "503 at reads", state="foreign claim"),
    Case("claim, keep: 1, up", "foreign claim", "CreateTags refused", spares=(TWO_OLD,)),
    Case("claim of an image that is missing", "an image is missing", refused="is not in the account"),
    *_of("recover --yes, up", "empty backend", "shrunken"),
    *_of("recover --yes, up", "whole", "copied", refused="holds no verified image"),
    *_struck("recover --yes, up", *_LIES, *_CLAIMS, "503 at reads", state="empty backend"),
    *_of("recover --yes, destroy", "empty backend"),
    *_of("lose the state, recover --yes, up", "stack renamed", "foreign claim", "an image is missing"),
    Case("recover --yes without an id", "empty backend", refused="give --stack-id"),
    Case("recover elsewhere, keep: 1, up"),
    Case("keep: 1, up"),
    Case("keep: 1, up", "foreign claim", spares=(TWO_OLD,)),
    *_struck(
        "keep: 1, up",
        "DeleteImage refused",
        "SIGKILL while it deletes",
        "SIGKILL between image and snapshot",
    ),
    Case("remove a build, up"),
    Case("allow_mass_prune, remove a build, up"),
    Case("max_prunes: 1, remove a build, up", refused="retention.max_prunes"),
    Case("rename a build, up"),
    Case("change a suffix, up"),
    *_of("change packages, up", "half-made build"),
    *_struck("change packages, up", "UpdateImage refused", "SIGINT while it builds", "SIGKILL while it builds"),
    Case("Alpine's new release, up"),
    Case("protect, keep: 1, up"),
    Case("protect, unprotect, up"),
    Case("protect, destroy", refused="protect"),
    *_of("sweep --yes", "whole", "shrunken", "half-made build"),
    Case("deregister one by hand, up"),
    Case("copy its tags, sweep --yes, up"),
    *_of("take its tags off, up", "whole", "shrunken"),
    Case("take its claim off, up"),
    *_of("take stack id and verified off, up", "shrunken"),
    Case("take its tags off, destroy", refused="has lost its tag claim"),
    Case("adopt, no longer adopt, keep: 1, up"),
    Case("own another's, keep: 1, up"),
    Case("import, up"),
    Case("another account's key, up", refused=_ACCOUNT),
    Case("another account's key, sweep --yes", refused=_ACCOUNT),
    Case("releases"),
    Case("destroy", "copied"),
    *_of("up --refresh", "whole", "an image is missing"),
    Case("up --replace '**'"),
    *_struck("up --replace '**'", "one list lacks all", "SIGKILL while it claims"),
    Case("state taint, up"),
    Case("state rename, up"),
    Case("protect, state unprotect, keep: 1, up"),
    Case("protect, state unprotect, destroy"),
    Case("protect, destroy --exclude-protected"),
    Case("state delete stack-id, up"),
    Case("protect, state delete memory, keep: 1, up", refused="protected"),
    Case("export, keep: 1, up, import, up"),
    Case("export, up --replace, import, destroy", spares=(ONE,)),
    Case("stack rm --force, init, up"),
    Case("stack rm --force, init, recover --yes, up"),
    Case("destroy --target"),
    *_struck("destroy --target", "DeleteSnapshot refused", "SIGKILL between image and snapshot"),
    Case("keep: 1, up --target one"),
    Case("keep: 1, up --target the old image"),
    Case("another account's key, destroy"),
    Case("another key in OSC_*, destroy", refused=_ACCOUNT),
    Case("another key in OSC_*, keep: 1, up", refused=_ACCOUNT),
    Case("change the Region, up", refused="since their Region left the config"),
    Case("remove all builds, up"),
    Case("a second stack of one releases_dir, up", refused="releases_dir"),
    Case("a second stack, up, destroy"),
    *_of("a second stack, up, sweep --yes in both", "whole", "half-made build"),
    Case("a second stack, up, keep: 1, up in both"),
    Case("rename the profile's file, up"),
    *_of("delete the releases, up", "whole", "shrunken"),
    Case("revoke, keep: 1, up"),
    Case("revoke, no longer revoke, keep: 1, up"),
    Case("revoke, up --replace"),
    Case("revoke, up --replace '**'"),
    Case("revoke, state taint, up"),
    Case("revoke, state delete, up"),
    Case("revoke, lose the state, recover --yes, up"),
    Case("pin a revision, state delete, change packages, up", refused="of other content is this stack's own"),
    Case("pin a revision, state delete, change packages, recover --yes, up"),
)

QUICK = (
    "up --replace / whole / -",
    "up / empty backend / -",
    "up / shrunken / -",
    "up / whole / one list lacks all",
    "keep: 1, up / whole / SIGKILL while it deletes",
    "keep: 1, up / foreign claim / -",
    "remove a build, up / whole / -",
    "state delete, up / whole / -",
    "recover --yes, up / empty backend / -",
    "sweep --yes / shrunken / -",
    "copy its tags, sweep --yes, up / whole / -",
    "take its tags off, up / shrunken / -",
    "change packages, up / half-made build / -",
)
"""What `make test` tries."""
