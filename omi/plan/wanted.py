"""Finds the image that a live build should have: kept, built or adopted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from omi.plan.external import holding
from omi.plan.fresh import Freshness, freshness, waits
from omi.plan.input import PlanInput
from omi.plan.model import Action, PlannedImage, Step
from omi.plan.packages import countable, tried_next
from omi.plan.reasons import Because, Reason
from omi.profile.content import content
from omi.profile.model import Target
from omi.state.account import AccountImage, AccountView
from omi.state.ledger import LedgerImage
from omi.state.owner import STANDS_FOR
from omi.support.version import EDGE, release_key
from omi.upstream.offer import Offer

_NAMED_ITEMS = 4
"""A reason lists this many changes of a key; of more, nobody reads the list, and it names the key alone."""


@dataclass(frozen=True)
class Wish:
    """The outcome for one build: the current image, the step that makes the next one, and the reason."""

    current: LedgerImage | None = None
    step: Step | None = None
    why: Reason = field(default_factory=Because.CURRENT)
    """The reason why `current` stays, or why nothing is built."""


@dataclass(frozen=True)
class WishInput:
    """A build, its release, and its images in the ledger."""

    given: PlanInput
    build: Target
    release: str
    end_of_life: date | None
    images: Sequence[LedgerImage]
    """Images that the account still has, oldest first."""
    gone: Sequence[LedgerImage]
    """Images that the account no longer has."""

    @cached_property
    def digest(self) -> str:
        """The digest of the image's content, without its packages' versions."""
        return self.given.digests(self.build, self.release)

    @cached_property
    def before(self) -> LedgerImage | None:
        """The newest image of the build, even if it is gone."""
        return max((*self.images, *self.gone), key=lambda image: image.order, default=None)

    @property
    def account(self) -> AccountView:
        """The account's contents, as far as known."""
        return self.given.account or AccountView()

    @property
    def offer(self) -> Offer | None:
        """The offer of the build's repositories, if it is known and counts."""
        return countable(self.given.offers.get(self.build.name), self.build, self.release)

    @property
    def is_copy(self) -> bool:
        """Whether the image is copied from the home Region."""
        return self.build.name in self.given.copied

    @property
    def is_revoked(self) -> bool:
        """Whether a person has revoked an image of the content; a copy is of an image that nobody has revoked."""
        return self.digest in self.given.revoked_content and not self.is_copy

    @property
    def may_age(self) -> bool:
        """Whether the release can be rebuilt at all: mirrors have only the newest one."""
        mirror = self.given.upstream.mirror.get((self.build.version, self.build.arch))
        return self.build.release is None or (mirror is not None and mirror.release == self.build.release)

    def freshness(self, image: LedgerImage) -> Freshness:
        """The reasons for a successor of the release's newest image."""
        given, build = self.given, self.build
        found = freshness(image, build, self.offer, given.today, is_revoked=self.is_revoked, may_age=self.may_age)
        return found if given.revocation(image) is not None else found.held_back(image, build, given.today)

    def new_image(self, revision: int) -> PlannedImage:
        """The image to be built."""
        offered = tried_next(self.before, self.offer) if self.before else ()
        return PlannedImage(self.build, self.release, revision, self.digest, self.end_of_life, offered=offered)

    def adopted_image(self, revision: int, existing: AccountImage) -> PlannedImage:
        """The image to be adopted from the account; the offers at its making are unknown."""
        return PlannedImage(self.build, self.release, revision, self.digest, self.end_of_life, existing)


def wish(request: WishInput) -> Wish:
    """Keep the current image, else adopt one from the account, else build the next revision."""
    build, release = request.build, request.release
    if newer := _newer_release(request):
        return Wish(newer, None, Because.CURRENT_OLDER_UPSTREAM(release=release))
    same = [image for image in request.images if _is_of_release(image, request) and not _is_anothers(image, request)]
    if waiting := _young_edge(request):
        return waiting
    if build.revision is not None:
        return _pinned_revision(request, same, build.revision)
    newest = same[-1] if same else None
    fresh = request.freshness(newest) if newest else Freshness()
    if newest and newest.digest == request.digest and not fresh.due:
        current = Because.CURRENT_PINNED_RELEASE(release=release) if build.release else Because.CURRENT()
        return Wish(newest, None, fresh.waiting or current)
    revisions = tuple(_of_account(request))
    if found := _adoptable(request, same, revisions):
        return Wish(newest, _adopt(request, *found), Because.CURRENT_UNTIL_SUCCESSOR())
    if request.is_revoked and not fresh.packages:
        return Wish(newest, None, Because.CONTENT_REVOKED())
    if request.given.lacking.get(request.build.name):
        return Wish(newest, None, Because.PACKAGES_LACKING())
    number = _next_revision(request, same, revisions)
    step = Step(request.new_image(number), Action.BUILD, _why(request, newest, number))
    return Wish(newest, step, Because.CURRENT_UNTIL_SUCCESSOR())


def _newer_release(request: WishInput) -> LedgerImage | None:
    """The newest image, if its release is newer than upstream's: then nothing is built.

    A revoked one doesn't count once the build has other content: its users wait for a new image.
    """
    given, build = request.given, request.build
    newest = max(
        (image for image in request.images if image.version == build.version),
        key=lambda image: image.order,
        default=None,
    )
    if newest is None or build.release is not None or release_key(newest.release) <= release_key(request.release):
        return None
    is_unchanged = given.digests(build, newest.release) == newest.digest
    return newest if is_unchanged or given.revocation(newest) is None else None


def _young_edge(request: WishInput) -> Wish | None:
    """Keep an image of edge with the same content until min_interval or max_age is over: edge changes each day."""
    build, newest = request.build, request.before
    if build.version != EDGE or build.release is not None or newest not in request.images or newest is None:
        return None
    if build.revision not in (None, newest.revision):
        return None
    if newest.release == request.release or request.given.digests(build, newest.release) != newest.digest:
        return None
    change = Because.NEW_RELEASE(release=request.release, before=newest.release)
    urgent = request.given.revocation(newest) is not None or request.freshness(newest).age
    why = None if urgent else waits(newest, build, request.given.today, change)
    return Wish(newest, None, why) if why else None


def _pinned_revision(request: WishInput, same: Sequence[LedgerImage], revision: int) -> Wish:
    build, release = request.build, request.release
    name = build.image_name(release, revision)
    if held := next((image for image in same if image.revision == revision), None):
        if request.is_copy and not held.record.adopted and held.digest != request.digest:
            return Wish(held, None, Because.COPY_TAKEN(name=name, build=build.name))
        return Wish(held, None, Because.CURRENT_PINNED_REVISION(revision=revision))
    before = same[-1] if same else None
    if name in request.given.names:
        return Wish(before, None, _taken_name(request, name, revision))
    existing = request.account.by_name.get(name)
    if request.is_revoked and (existing is None or existing.managed):
        return Wish(before, None, Because.CONTENT_REVOKED())
    is_bad = existing is not None and (existing.omi in request.given.revoked or existing.is_revoked_elsewhere)
    if name in request.given.revoked or is_bad:
        return Wish(before, None, Because.NAME_REVOKED(revision=revision, name=name))
    if existing and (_is_external(existing) or _is_made(existing, request)):
        return Wish(before, _adopt(request, revision, existing), Because.CURRENT_UNTIL_SUCCESSOR())
    if existing and not existing.unchecked:
        other = Because.PINNED_OTHER(revision=revision, omi=existing.omi, name=existing.name)
        return Wish(before, None, Because.COPY_TAKEN(name=name, build=build.name) if request.is_copy else other)
    if request.given.lacking.get(request.build.name):
        return Wish(before, None, Because.PACKAGES_LACKING())
    step = Step(request.new_image(revision), Action.BUILD, Because.PINNED_REVISION(revision=revision))
    return Wish(before, step, Because.CURRENT_UNTIL_SUCCESSOR())


def _taken_name(request: WishInput, name: str, revision: int) -> Reason:
    """Why an image of the ledger keeps its name from being used; if it is missing, only until the next update."""
    build, given = request.build, request.given
    image = next(image for image in given.ledger.images if image.name == name)
    if given.is_missing(image) or image.build == build.name:
        return Because.CURRENT_NAME_TAKEN(revision=revision)
    if request.is_copy:
        return Because.COPY_TAKEN(name=name, build=build.name)
    return Because.NAME_HELD(revision=revision, name=name, build=image.build)


def _of_account(request: WishInput) -> Iterator[tuple[int, AccountImage]]:
    """The release's images in the account that the ledger doesn't hold, oldest revision first."""
    held = {image.record.omi for image in request.images}
    for revision, image in request.account.revisions(request.build.name_parts(request.release)):
        if image.omi not in held:
            yield revision, image


def _adoptable(
    request: WishInput, same: Sequence[LedgerImage], found: Sequence[tuple[int, AccountImage]]
) -> tuple[int, AccountImage] | None:
    """The newest own image of the same content (of an interrupted run); else, for a first image, the newest of all.

    Someone else's image doesn't follow changes of the content, so it is ignored once the ledger holds the release. A
    revoked one is never adopted, and none of revoked content.
    """
    beyond = same[-1].revision if same else -1
    free = [item for item in found if item[0] > beyond and item[1].name not in request.given.names]
    free = [item for item in free if item[1].names.isdisjoint(request.given.revoked)]
    own = [item for item in free if _is_made(item[1], request)] if not request.is_revoked else []
    others = [item for item in free if _is_external(item[1]) and not item[1].is_revoked_elsewhere]
    foreign = others if not same else []
    return next(reversed(own or foreign), None)


def _is_external(image: AccountImage) -> bool:
    """Whether nothing in its tags or description says that this stack made it."""
    return not image.managed and not image.stray


def _is_made(image: AccountImage, request: WishInput) -> bool:
    """Whether the stack made it with the wanted content."""
    return image.managed and STANDS_FOR not in image.tags and image.digest == request.digest


def _adopt(request: WishInput, revision: int, existing: AccountImage) -> Step:
    if existing.managed:
        why = Because.FOUND_INTERRUPTED(omi=existing.omi)
    else:
        found = Because.FOUND_EXTERNAL(omi=existing.omi, maker=existing.maker)
        why = found.also(holding(existing.digest, request.digest))
    return Step(request.adopted_image(revision, existing), Action.ADOPT, why)


def _next_revision(request: WishInput, same: Sequence[LedgerImage], found: Sequence[tuple[int, AccountImage]]) -> int:
    used = [image.revision for image in (*same, *_gone_of_release(request))] + [revision for revision, _ in found]
    number = max(used, default=-1) + 1
    while request.build.image_name(request.release, number) in {*request.given.names, *request.given.revoked}:
        number += 1
    return number


def _gone_of_release(request: WishInput) -> list[LedgerImage]:
    return [image for image in request.gone if _is_of_release(image, request)]


def _is_of_release(image: LedgerImage, request: WishInput) -> bool:
    return image.release == request.release and image.version == request.build.version


def _is_anothers(image: LedgerImage, request: WishInput) -> bool:
    """Whether it is an external OMI that its maker has revoked, or one with a name that the build no longer uses, since
    it wants an image of its own.
    """
    build, seen = request.build, request.given.seen(image)
    if image.record.adopted and seen is not None and seen.is_revoked_elsewhere:
        return True
    if image.spec.recipe is None or not image.record.adopted:
        return False
    return image.spec.recipe.build.name_parts(image.release) != build.name_parts(image.release)


def _why(request: WishInput, newest: LedgerImage | None, number: int) -> Reason:
    build, release = request.build, request.release
    missing = _gone_of_release(request)
    if missing and (newest is None or missing[-1].revision > newest.revision):
        gone = Because.IS_MISSING(omi=missing[-1].record.omi, revision=missing[-1].revision)
        return Because.NEXT_REVISION(revision=number, changes=gone)
    if newest is not None:
        return Because.NEXT_REVISION(revision=number, changes=_changes(request, newest))
    before = request.before
    if before is None:
        return Because.FIRST_IMAGE(build=build.name)
    if _is_of_release(before, request):
        return Because.OWN_INSTEAD(name=before.name)
    because = Because.PINNED_RELEASE if build.release else Because.NEW_RELEASE
    return because(release=release, before=before.release)


def _changes(request: WishInput, newest: LedgerImage) -> Reason:
    recipe, same = newest.spec.recipe, newest.digest == request.digest
    due = request.freshness(newest).due
    if same and due:
        return due[0].also(*due[1:])
    changed = changed_content(recipe.build, request.build) if recipe else (Because.OTHER_CONTENT(),)
    return Because.CONTENT(changes=changed).also(*due)


def changed_content(before: Target, after: Target) -> tuple[Reason, ...]:
    """The changes of the profile, and its keys that upstream has deprecated since.

    If there are none, the files that all builds share must have changed.
    """
    old, new = content(before), content(after)
    given_up = {name: day for name, day in after.dropped_keys.items() if name in before.keys}
    old["keys"] = {name: text for name, text in before.keys.items() if name not in given_up}
    again = old.pop("again") != new.pop("again")
    differing = [key for key in new if key not in before.unread and old[key] != new[key]]
    keys = tuple(_difference(key, old[key], new[key], after) for key in differing)
    changes = [Because.KEYS_CHANGED(keys=keys)] if keys else []
    changes += [Because.KEYS_UNREAD(keys=tuple(before.unread))] if before.unread else []
    changes += [Because.KEY_DEPRECATED(name=name, day=day) for name, day in given_up.items()]
    changes += [Because.ASKED_AGAIN(number=after.again)] if again else []
    return tuple(changes) or (Because.FILES_CHANGED(),)


def _difference(key: str, old: object, new: object, after: Target) -> str:
    """The key, with its added (+), removed (-) and changed entries if they are few."""
    if key == "setup_script":
        entries = [after.setup_script] if after.setup_script else []
    elif isinstance(old, dict) and isinstance(new, dict):
        entries = [entry for name in sorted({*old, *new}) for entry in _entries(name, old.get(name), new.get(name))]
    else:
        entries = _signed(old, new)
    return f"{key} ({' '.join(entries)})" if 0 < len(entries) <= _NAMED_ITEMS else key


def _entries(name: str, old: object, new: object) -> list[str]:
    """A map's entry in words: each of its items if it is a list, else its name."""
    if old == new:
        return []
    if isinstance(old, list) or isinstance(new, list):
        return [f"{name}: {item}" for item in _signed(old or [], new or [])]
    return [f"+{name}" if old is None else f"-{name}" if new is None else name]


def _signed(old: object, new: object) -> list[str]:
    if not isinstance(old, list) or not isinstance(new, list):
        return []
    return [f"+{item}" for item in new if item not in old] + [f"-{item}" for item in old if item not in new]
