"""The limits of every plan: it refuses or puts off steps beyond them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from omi.config.settings import Retention
from omi.plan.model import Action, ChangeKind, PlannedImage, Step
from omi.plan.reasons import Because, Reason
from omi.profile.resolve import OMI_NAME
from omi.state.ledger import LedgerImage
from omi.state.withdrawal import Stage
from omi.support.errors import PlanError, ProfileError

_HALF_FROM = 4
"""With fewer images there is no limit of half: a single one would soon break it."""

Live = Mapping[tuple[str, str], bool]
"""Profile and name of each of the profile's builds, and whether new images of it are wanted."""
ALLOW = "pulumi config set --path 'retention.allow_mass_prune[0]' NAME"


def too_many_losses(
    steps: Sequence[Step],
    retention: Retention,
    held: int,
    proved: Callable[[LedgerImage], bool],
    ended: Callable[[LedgerImage], bool],
    *,
    has_left: bool = False,
    awaiting: Collection[str] = (),
) -> tuple[dict[str, Reason], tuple[str, ...]]:
    """Find more losses than the retention allows: why each waits, by name, and the refusals.

    A loss is an image that is pruned or made private while no newer `proved` image of its build stays. Any number of
    superseded images may go. Images of a version that has `ended` are never refused, since the day was known: as many
    as allowed go in each update, the oldest first. All images are of one Region, whose ledger has `held` images. If the
    Region `has_left` the config, a person allows each loss by name, however few there are. Images named in `awaiting`
    wait for another reason, so they take nobody's turn.
    """
    losses = _losses(steps, proved)
    waiting: dict[str, Reason] = {}
    refused = []
    private = [step for step in losses if _goes_private(step)]
    for done, found in (("pruned", _pruned(losses)), ("made private", private)):
        named = [step for step in found if not _is_allowed(step, retention)]
        most = _most(retention, held)
        over = [step for step in named if most and isinstance(step.image, LedgerImage) and ended(step.image)]
        due = [step for step in over if step.name not in awaiting]
        named = [step for step in named if step not in over]
        if refusal := _refusal(named, done, retention, held, has_left):
            refused.append(refusal)
            waiting |= {step.name: Because.TOO_MANY(then=step.why) for step in named}
            named = []
        due.reverse()  # the steps have the newest image first
        waiting |= {step.name: Because.IN_TURN(most=most, then=step.why) for step in due[max(0, most - len(named)) :]}
    return waiting, tuple(refused)


def unreplaced(
    steps: Sequence[Step],
    live: Live,
    retention: Retention,
    good: Callable[[LedgerImage], bool],
) -> dict[str, Reason]:
    """Find images of removed builds that must wait, since a build of the profile has no good image yet: why, by name.

    The two may be one renamed build, whose new image may fail in this very update or is refused. `good` decides whether
    an image can be relied on. Images that the retention allows by name don't wait.
    """
    have = {_build_of(step.image) for step in steps if isinstance(step.image, LedgerImage) and good(step.image)}
    first = tuple(sorted(name for (profile, name), wants in live.items() if wants and (profile, name) not in have))
    if not first:
        return {}
    awaits = Because.AWAITS_IMAGE if len(first) == 1 else Because.AWAITS_IMAGES
    going = [step for step in steps if _goes(step) and step.level != "gone" and _build_of(step.image) not in live]
    return {step.name: awaits(builds=first, then=step.why) for step in going if not _is_allowed(step, retention)}


def _build_of(image: PlannedImage | LedgerImage) -> tuple[str, str]:
    return image.profile, image.build


def _losses(steps: Sequence[Step], proved: Callable[[LedgerImage], bool]) -> list[Step]:
    """The steps of images that no newer one replaces; each that goes is a loss."""
    stays: dict[tuple[str, str], LedgerImage] = {}
    for step in steps:
        image = step.image
        if step.action is not Action.KEEP or not isinstance(image, LedgerImage) or step.stage is Stage.PRIVATE:
            continue
        of = _build_of(image)
        if proved(image) and (of not in stays or image.order > stays[of].order):
            stays[of] = image
    return [step for step in steps if not _is_replaced(step.image, stays)]


def _pruned(losses: Sequence[Step]) -> list[Step]:
    """The losses that are prunes, as far as they count."""
    pruned = [step for step in losses if step.action is Action.PRUNE]
    gone = [step for step in pruned if step.level == "gone"]
    # A single missing image is only forgotten, even if it is the last one. Many may mean that something else is wrong.
    return [step for step in pruned if len(gone) > 1 or step not in gone]


def _is_replaced(image: PlannedImage | LedgerImage, stays: Mapping[tuple[str, str], LedgerImage]) -> bool:
    if not isinstance(image, LedgerImage):
        return True
    newest = stays.get(_build_of(image))
    return newest is not None and newest.order > image.order


def _goes(step: Step) -> bool:
    return step.action is Action.PRUNE or _goes_private(step)


def _goes_private(step: Step) -> bool:
    """Whether retention makes it private. A revoked image doesn't count: a person named it, and it stays."""
    if isinstance(step.image, LedgerImage) and step.image.is_revoked:
        return False
    return any(change.kind is ChangeKind.MAKE_PRIVATE for change in step.changes)


def _is_allowed(step: Step, retention: Retention) -> bool:
    return not _allowing(step).isdisjoint(retention.allow_mass_prune)


def _allowing(step: Step) -> set[str]:
    """The names in `allow_mass_prune` that allow its loss."""
    return {"all", step.name, step.build, step.region or "all"}


def _refusal(counted: Sequence[Step], done: str, retention: Retention, held: int, has_left: bool) -> str | None:
    limit = too_many(len(counted), retention, held)
    leaves = has_left and any(step.level != "gone" for step in counted)
    if limit is None and not leaves:
        return None
    why = "since their Region left the config" if limit is None else f"more than {limit}"
    listed = ", ".join(f"{step.name} ({step.reason})" for step in counted)
    return (
        f"{len(counted)} of {held} images would be {done} at once without a newer verified image in their place, "
        f"{why}: {listed}; they wait; if that is meant, allow it with `{ALLOW}`, NAME being an image, "
        "a build, a Region or `all`"
    )


def too_many(going: int, retention: Retention, held: int) -> str | None:
    """The limit that `going` of `held` images break. The limit of half applies from four images up."""
    if going > retention.max_prunes:
        return f"{retention.max_prunes} (retention.max_prunes)"
    return "half of them" if held >= _HALF_FROM and 2 * going > held else None


def _most(retention: Retention, held: int) -> int:
    """The number of losses that breaks no limit."""
    return min(retention.max_prunes, held // 2 if held >= _HALF_FROM else held)


def guarded_names(
    steps: Sequence[Step],
    live: Live,
    retention: Retention,
    proved: Callable[[LedgerImage], bool],
    good: Callable[[LedgerImage], bool],
) -> frozenset[str]:
    """The names that `allow_mass_prune` may have a use for: of losses, and of images of removed builds that must wait.

    An image whose stages lead to a loss counts from the first stage on. The other values are as above.
    """
    losses = _losses(steps, lambda image: proved(image) and not _is_due(image))
    of = {step.name for step in _pruned(losses)}
    of |= {step.name for step in losses if step.action is Action.KEEP and (_goes_private(step) or _is_due(step.image))}
    of |= unreplaced(steps, live, retention.model_copy(update={"allow_mass_prune": ()}), good).keys()
    return frozenset(name for step in steps if step.name in of for name in _allowing(step))


def _is_due(image: PlannedImage | LedgerImage) -> bool:
    """Whether its stages end with its prune."""
    withdrawal = image.spec.withdrawal if isinstance(image, LedgerImage) else None
    return withdrawal is not None and withdrawal.due is not None


def needless_names(steps: Sequence[Step], retention: Retention, guarded: Collection[str]) -> Iterator[str]:
    """Warn of names in `protect` that match nothing, and of those in `allow_mass_prune` without a use.

    `steps` and `guarded` are of all Regions.
    """
    images = [step.image for step in steps if isinstance(step.image, LedgerImage)]
    known = {name for image in images for name in image.names}
    for name in sorted(set(retention.protect) - known):
        yield f"retention.protect names {name}, which is not an image of the stack: take it out"
    for name in sorted(set(retention.allow_mass_prune).difference(guarded)):
        yield f"retention.allow_mass_prune names {name}, but the guard holds back nothing of it: take it out"


def check_names(planned: Sequence[PlannedImage]) -> None:
    """ProfileError if a wanted name breaks OUTSCALE's rule."""
    for image in planned:
        if not OMI_NAME.fullmatch(image.name):
            raise ProfileError(
                f"profile {image.profile}, build {image.build}: the OMI name {image.name!r} is not allowed: "
                "3 to 128 letters, digits, spaces and _()/.- ; change prefix, suffix or name_template"
            )


def check_clash(wanted: Iterable[tuple[str, str]]) -> None:
    """PlanError if two builds want images of one name. Each build comes with the name of its release's r0."""
    by_name: dict[str, list[str]] = {}
    for build, name in wanted:
        by_name.setdefault(name, []).append(build)
    for name, builds in sorted(by_name.items()):
        if len(builds) > 1:
            raise PlanError(
                f"the builds {' and '.join(sorted(builds))} would make OMIs of the same name, {name}; "
                "give one of them another prefix, suffix or name_template"
            )


def check_twice(builds: Iterable[str]) -> None:
    """ProfileError if two builds have the same name."""
    twice = sorted(name for name, times in Counter(builds).items() if times > 1)
    if twice:
        raise ProfileError(f"two builds are named {twice[0]}; a build's name must be its own")
