"""The reasons of a plan as data, and their sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, unique
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Reason:
    """A reason with its values, which may be reasons themselves, and with further reasons."""

    because: Because
    values: tuple[tuple[str, object], ...] = ()
    """By name, as in the sentence. A tuple is written as a list."""
    more: tuple[Reason, ...] = ()

    def __str__(self) -> str:
        """The reason in words."""
        values = {name: _listed(value) for name, value in self.values}
        return "; ".join([self.because.value.format(**values), *map(str, self.more)])

    @property
    def parts(self) -> tuple[Reason, ...]:
        """This reason and each further one on its own."""
        return (replace(self, more=()), *self.more)

    def values_of(self, kind: type[T]) -> Iterator[T]:
        """Its values of this kind, and those of the reasons in it."""
        for _, value in self.values:
            if isinstance(value, kind):
                yield value
            elif isinstance(value, Reason):
                yield from value.values_of(kind)
        for part in self.more:
            yield from part.values_of(kind)

    def also(self, *others: Reason) -> Reason:
        """With further reasons."""
        return replace(self, more=(*self.more, *(part for other in others for part in other.parts)))

    def replacing(self, because: Because, other: Reason) -> Reason:
        """With each reason of this kind replaced by `other`."""
        more = tuple(part.replacing(because, other) for part in self.more)
        if self.because is because:
            return replace(other, more=(*other.more, *more))
        values = tuple(
            (name, value.replacing(because, other) if isinstance(value, Reason) else value)
            for name, value in self.values
        )
        return replace(self, values=values, more=more)


def _listed(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value


@unique
class Because(Enum):
    """The kinds of reasons with their sentences. A member called with the sentence's values makes a Reason."""

    CURRENT = "current"
    CURRENT_OLDER_UPSTREAM = "current: upstream offers only {release}, which is older"
    CURRENT_PINNED_RELEASE = "current, pinned to release {release}"
    CURRENT_PINNED_REVISION = "current, pinned to revision r{revision}"
    CURRENT_AS_IN = "current, as in {region}"
    CURRENT_UNTIL_SUCCESSOR = "current until its successor is there"
    CURRENT_NAME_TAKEN = "the next update can make r{revision}, once its name is free"
    CURRENT_WAITS = "current until {day}, by min_interval; then: {change}"
    NEWEST_VERIFIED = "the newest verified image of its build"
    NO_NEW_IMAGES = "version {version} is past its end of life ({day}): no new images"
    SUPERSEDED = "superseded; no retention level prunes it"
    MADE_BY_KEPT = "made by {maker}, so never changed"

    FIRST_IMAGE = "first image of {build}"
    OWN_INSTEAD = "an image of one's own instead of {name}, which someone else made"
    NEW_RELEASE = "new release {release} (was {before})"
    PINNED_RELEASE = "pinned to release {release} (was {before})"
    PINNED_REVISION = "pinned to revision r{revision}"
    NEXT_REVISION = "revision r{revision}: {changes}"
    IS_MISSING = "{omi} (r{revision}) is missing"
    CONTENT = "{changes}"
    KEYS_CHANGED = "{keys} changed in the profile"
    KEYS_UNREAD = "{keys} can't be read as its record has it"
    KEY_DEPRECATED = "the key {name} is deprecated by Alpine since {day}"
    ASKED_AGAIN = "asked for again ({number})"
    FILES_CHANGED = "guest files or template changed"
    OTHER_CONTENT = "other content than the profile's"
    NEWER_PACKAGES = "{packages}"
    UNKNOWN_PACKAGES = "its packages are not known, since it was taken up"
    TOO_OLD = "{days} days old, max_age is {most}"
    COPIED = "revision r{revision} of {home} is copied to {region}"

    FOUND_INTERRUPTED = "{omi} of that name is in the account, this stack's own, from an interrupted run"
    FOUND_EXTERNAL = "{omi} of that name is in the account, made by {maker}, and stays external"
    HOLDS_UNKNOWN = "its tags don't name its content"
    HOLDS_SAME = "it holds this very content"
    HOLDS_OTHER = "it holds other content ({digest})"
    NAMED_IN_ADOPT = "{omi} is named in `adopt`: {then}"
    OWN_ONCE_CHECKED = "{omi}, made by {maker}, becomes this stack's own, once {login} could log in to it"
    OWN_UNVERIFIED = "{omi}, made by {maker}, becomes this stack's own, unverified, as `adopt` says"
    OWN_ALREADY = "{omi} was taken over by this stack, as its tag stands-for shows, and stays what it is"
    LOST = "{omi} is this stack's own and verified, by its tags, but not in its state"

    NOT_IN_RUN = "not in this run, which is about the {action} of {builds}"
    UNREACHED = "not in this run: {region} can't be reached"

    REMOVED_FROM_PROFILE = "removed from profile"
    REGION_REMOVED = "Region {region} was removed from the stack's config"
    PAST_END_OF_LIFE = "version {version} is past its end of life ({day})"
    LEVEL_END_OF_LIFE = "end-of-life: version {version} is past {day}"
    LEVEL_END_OF_LIFE_GRACE = "end-of-life: version {version} is past {day} and the grace of {days} days"
    LEVEL_RELEASE = "release: the newest release of version {of} is kept"
    LEVEL_RELEASES = "release: the newest {keep} releases of version {of} are kept"
    LEVEL_EDGE = "edge: the newest image is kept"
    LEVEL_EDGES = "edge: the newest {keep} images are kept"
    LEVEL_REVISION = "revision: the newest revision of release {of} is kept"
    LEVEL_REVISIONS = "revision: the newest {keep} revisions of release {of} are kept"
    MADE_BY_FORGOTTEN = "made by {maker}, so only forgotten"
    CLAIMED_ELSEWHERE = "another record holds {omi}, which stays as it is, so only forgotten: {then}; {cure}"
    FORGOTTEN = "{omi} is missing since {since}: forgotten, and nothing is deleted"

    PROTECTED = "protected by retention.protect"
    IN_USE = "in use by {vms}"
    SPARED = "{spared} ({removed})"
    REMOVED_BUT_SPARED = "{removed}, but {spared}"

    MISSING_BUT_PROTECTED = "{omi} is missing from the account; retention.protect names it: take it out"
    STILL_PROTECTED = "protected until this update has run; then: {then}"
    AWAITS_FOUND = "waits for one update that takes the mark of missing off; then: {then}"
    AWAITS_CONNECTION = "waits for one update with the new settings; then: {then}"
    AWAITS_RECOVERED = "waits for those that are recovered: {then}"
    AWAITS_IMAGE = "waits until {builds} has a verified image: {then}"
    AWAITS_IMAGES = "waits until {builds} have verified images: {then}"
    IN_TURN = "waits for its turn, since at most {most} go in one update: {then}"
    TOO_MANY = "waits, since too many would go at once: {then}"
    DOUBTFUL = "left as it is: the account's answers differ on whether {omi} is there"
    FOREIGN_CLAIM = "left as it is: another record holds {omi} (claim {claim} instead of {own}); {cure}"

    DEPRECATED = "deprecated since {since}"
    DEPRECATED_THEN_GONE = "deprecated since {since}, is deregistered from {removal} on"
    DEPRECATED_THEN_PRIVATE = (
        "deprecated since {since}, becomes private on {private}, is deregistered from {removal} on"
    )
    PACKAGES_LACKING = "nothing is built of it, since it asks for packages or a repository that don't exist"
    CONTENT_REVOKED = "its content is that of a revoked image, so nothing is built of it; change it, or build it again"
    PINNED_OTHER = (
        "nothing is built as r{revision}, since {omi} ({name}) of other content is this stack's own: raise or take out "
        "`revision` in the profile, or take that image in by `python -m omi recover -s STACK {name}`"
    )
    NAME_HELD = (
        "nothing is built as r{revision}, since {name} is an image of the build {build}: raise or take out `revision` "
        "in the profile, or let that image go by retention.allow_mass_prune"
    )
    NAME_REVOKED = (
        "nothing is built as r{revision}, since {name} is revoked: raise or take out `revision` in the profile"
    )
    COPY_TAKEN = (
        "nothing is copied, since another image there is named {name}: make the next revision by "
        "`python -m omi build -s STACK {build} --again --yes`"
    )
    REVOKED = "revoked: {reason}"
    PRIVATE = "private since {since}, is deregistered from {removal} on"

    SHARED_ONCE_VERIFIED = "{who} may launch it once it is verified: {set_by}"
    SHARED = "{who} may launch it: {set_by}"
    SHARED_AGAIN = "{who} may launch it again"
    UNSHARED = "{who} may no longer launch it: {set_by}"
    PUT_BACK_ACCESS = "launch permissions were changed outside and are put back ({signs})"
    PUT_BACK_SNAPSHOTS = "others may use {snapshots}, which is put back: snapshots stay private"
    MISSING = "{omi} is missing from the account: the next update forgets it"
    THERE_AGAIN = "{omi} is in the account again"
    CONNECTED_ANEW = "the config has other settings for it now: {keys}"

    @property
    def is_current(self) -> bool:
        """Whether the image is the one that its build wants, or the one until that is there."""
        return self.name.startswith("CURRENT")

    def __call__(self, **values: object) -> Reason:
        """A reason of this kind."""
        return Reason(self, tuple(values.items()))
