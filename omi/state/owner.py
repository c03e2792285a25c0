"""Finds the stack that owns a thing in the account, by its random id; another stack may have the same name."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

STACK_ID = "stack-id"
"""The key of the tag with the stack's id, and the name of the resource that keeps the id in the stack's state."""

BUILD_ID = "build-id"
"""The key of the tag with the id of the build. On an OMI and its snapshots it follows from the stack's id and the OMI's
name."""

CLAIM = "claim"
"""The key of an OMI's tag with its claim, a random value that is also in the record that holds the OMI."""
VERIFIED = "verified"
"""The key of the tag of a verified OMI and its snapshots; its value is `yes`. No failure of a later run deletes that
OMI or narrows its access. A sweep leaves the snapshots, unless they bear GOING, too."""
VERIFIED_MARK = ", verified"
"""The same mark in the description, after the build id, of an OMI that was made here."""

STANDS_FOR = "stands-for"
"""The key of a tag of an OMI that was taken over: the digest of the content that it stands for, in place of
`digest`."""

GOING = "going"
"""The key of the tag of a snapshot or volume that is to be deleted after its OMI or VM. The value fits that thing
only."""


def taking_back(image: str) -> str:
    """The cure for a foreign claim, if this stack's record should hold the image again."""
    return f"if this stack shall hold it, run `python -m omi claim -s STACK '{image}'`"


def random_id() -> str:
    """A random value, for a new stack's id or for a claim."""
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Owner:
    """A stack as it appears in the account. `project` and `stack` are names for people; `stack_id` is the proof."""

    project: str
    stack: str
    stack_id: str = field(default_factory=random_id)

    @property
    def tags(self) -> dict[str, str]:
        """The tags of everything that the stack makes."""
        return {"project": self.project, "stack": self.stack, **self.proof}

    @property
    def proof(self) -> dict[str, str]:
        """The tag that proves that a thing is the stack's own."""
        return {STACK_ID: self.stack_id}

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether something with these tags was made by the stack. For an OMI, `owns_omi` is the proof."""
        return tags.get(STACK_ID) == self.stack_id

    def owns_omi(self, name: str, tags: Mapping[str, str]) -> bool:
        """Whether an OMI of this name is the stack's own. Tags that someone copied from another OMI prove nothing."""
        return self.owns(tags) and tags.get(BUILD_ID) == build_id_of(self, name)

    def has_taken_over(self, name: str, tags: Mapping[str, str]) -> bool:
        """Whether an OMI of this name was made elsewhere and became the stack's own."""
        return self.owns_omi(name, tags) and STANDS_FOR in tags

    def has_verified(self, name: str, tags: Mapping[str, str], description: str) -> bool:
        """Whether an OMI was verified once, by its tag or by the mark that the stack put into its description.

        For an OMI that was taken over only the tag counts, since its maker wrote the description.
        """
        is_tagged = tags.get(VERIFIED) == "yes"
        if is_tagged or STANDS_FOR in tags:
            return is_tagged
        mark = build_mark(build_id_of(self, name), verified=True)
        return description.endswith(mark) or f"{mark}; " in description


SOMEONE = "someone else"
"""The maker of an external OMI whose tags name none."""


ANOTHERS = f"take `own` out of its entry of `adopt`, or its tag {STACK_ID} off once no stack holds it"
"""The cure for an entry that would take over another stack's OMI."""


def maker_of(tags: Mapping[str, str]) -> str | None:
    """The maker in an external OMI's tags: `stack NAME (id ID)`; None if they name none."""
    return f"stack {tags.get('stack', '?')} (id {tags[STACK_ID]})" if STACK_ID in tags else None


def build_id_of(owner: Owner, name: str) -> str:
    """The id of the stack's build of an OMI of this name."""
    return "b-" + hashlib.sha256(f"{owner.stack_id}\0{name}".encode()).hexdigest()[:16]


def entry_name(owner: Owner, build_id: str) -> str:
    """The name of the security group of a build's VMs, and the beginning of the names of its keypairs."""
    return f"alpine-omi-{owner.stack_id}-{build_id}"


def build_mark(build_id: str, *, verified: bool) -> str:
    """The mark after the text in the description of an OMI that was made here."""
    return f" ({build_id}{VERIFIED_MARK if verified else ''})"


def working_name(name: str, build_id: str) -> str:
    """The name of an OMI until it gets its real one."""
    return f"{name[:100]}-{build_id}"


def going_mark(stack_id: str, thing: str) -> str:
    """The value of the tag GOING. On another thing, to which someone copied the tag, it proves nothing."""
    return "g-" + hashlib.sha256(f"{stack_id}\0{thing}".encode()).hexdigest()[:16]
