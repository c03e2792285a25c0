"""Refusals: what a plan may not do, whoever asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from omi.errors import PlanError, ProfileError, SettingsError
from omi.plan.model import Action, ChangeKind, PlannedImage, Step
from omi.profile.resolve import OMI_NAME
from omi.settings import Retention


def check_mass_prune(steps: Sequence[Step], retention: Retention, images: int) -> None:
    """PlanError if more goes at once than the retention allows; `images` are those of the whole ledger.

    To be made private is the same to all who launch an image, so that has the same limit.
    """
    pruned = [step for step in steps if step.action is Action.PRUNE]
    gone = [step for step in pruned if step.level == "gone"]
    # One image that is gone is only taken note of, be it the only one; many may mean that something else is wrong.
    noted = gone if len(gone) == 1 else []
    _check_mass([step for step in pruned if step not in noted], "pruned", retention, images)
    private = [step for step in steps if any(change.kind is ChangeKind.MAKE_PRIVATE for change in step.changes)]
    _check_mass(private, "made private", retention, images)


def _check_mass(steps: Iterable[Step], done: str, retention: Retention, images: int) -> None:
    allowed = frozenset(retention.allow_mass_prune)
    counted = [step for step in steps if not {step.name, step.build, step.region} & allowed]
    if "all" in allowed or (len(counted) <= retention.max_prunes and 2 * len(counted) <= images):
        return
    too_many = len(counted) > retention.max_prunes
    limit = f"{retention.max_prunes} (retention.max_prunes)" if too_many else "half of them"
    listed = ", ".join(f"{step.name} ({step.reason})" for step in counted)
    command = "pulumi config set --path 'retention.allow_mass_prune[0]' NAME"
    raise PlanError(
        f"{len(counted)} of {images} images would be {done} at once, more than {limit}: {listed}; "
        f"if that is meant, allow it with `{command}`, NAME being an image, a build, a Region or `all`"
    )


def check_names(planned: Sequence[PlannedImage]) -> None:
    """ProfileError if a wanted name breaks OUTSCALE's rule."""
    for image in planned:
        if not OMI_NAME.fullmatch(image.name):
            raise ProfileError(
                f"profile {image.build.profile}, build {image.build.name}: the OMI name {image.name!r} is not allowed: "
                "3 to 128 letters, digits, spaces and _()/.- ; change prefix or suffix"
            )


def check_clash(wanted: Iterable[tuple[str, str]]) -> None:
    """PlanError if two builds want images of one name; given build and the name of the wanted release's r0."""
    by_name: dict[str, list[str]] = {}
    for build, name in wanted:
        by_name.setdefault(name, []).append(build)
    for name, builds in sorted(by_name.items()):
        if len(builds) > 1:
            raise PlanError(
                f"the builds {' and '.join(sorted(builds))} would make OMIs of the same name, {name}; "
                "give one of them another prefix or suffix"
            )


def check_twice(builds: Iterable[str]) -> None:
    """ProfileError if two builds have the same name."""
    twice = sorted(name for name, times in Counter(builds).items() if times > 1)
    if twice:
        raise ProfileError(f"two builds are named {twice[0]}; a build's name must be its own")


def check_only(only: Collection[str], known: Collection[str]) -> None:
    """SettingsError if the setting `builds` names what neither the profile nor the ledger has."""
    for name in sorted(only):
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(known)) or 'none'}"
            raise SettingsError(f"stack config: builds: {name!r} is not a build of the profile or the ledger; {hint}")
