"""`profile`: shows what is wrong with a profile, what it merges to, and what it changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated

import typer

from omi.cli.stack import Stack, read_stack
from omi.config.settings import Settings
from omi.plan.packages import countable, newer_packages
from omi.profile.difference import differences
from omi.profile.discover import expand_discovered
from omi.profile.load import Profile, load_profile, profile_names
from omi.profile.model import RebuildOn, Target
from omi.profile.origins import origins
from omi.profile.problems import Problems
from omi.state.ledger import LedgerImage
from omi.state.show import render_columns
from omi.support.clock import today
from omi.support.errors import InputError, ProfileError
from omi.support.places import PROFILES, cache_folder
from omi.upstream.packages import read_offered

Build = Annotated[str, typer.Argument(metavar="BUILD", help="a build's name, such as v3_23-x86_64")]


_BY_PACKAGES: dict[RebuildOn, str] = {"content": "no", "packages": "yes", "security": "if it fixes something"}
"""Whether a newer package makes a new revision."""


def check_profiles(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="profiles, by name (default: all)")] = None,
) -> None:
    """Show all that is wrong with profiles: a line with file, line and key for each; exit code 1 if there is any."""
    problems, good = Problems(), []
    for name in names or profile_names(PROFILES):
        with problems.collected():
            _whole(name)
            good.append(name)
    for line in sorted(dict.fromkeys(problems.lines), key=_place):
        print(line)
    if problems.lines:
        raise typer.Exit(1)
    print(f"nothing is wrong with {', '.join(good)}" if good else "there is no profile yet")


def show_build(
    build: Build,
    profile: Annotated[str | None, typer.Option(help="its profile, where several have one of that name")] = None,
) -> None:
    """Show what a build merges to: each value, and the file and line that it comes from."""
    whole, target = _find(build, profile)
    print(render_columns([("KEY", "FROM", "VALUE"), *origins(whole, target)]))


def diff_build(build: Build, stack: Stack) -> None:
    """Show what the profile of today changes in the newest image of a build, and which packages are newer now."""
    settings, held = read_stack(stack)
    images = [each for each in held.ledger.images if (each.profile, each.region) == (settings.profile, settings.region)]
    _, target = _find(build, settings.profile, {image.version for image in images})
    target = target.model_copy(update={"again": settings.again.get(build, 0)})
    newest = max((image for image in images if image.build == build), key=lambda image: image.order, default=None)
    if newest is None:
        raise InputError(f"stack {stack!r}: its state has no image of {build} yet; `pulumi up -s {stack}` builds one")
    rows = [*_changed_keys(newest, target), *_changed_packages(newest, target, settings)]
    if rows:
        print(render_columns([("KEY", newest.name, "NOW", "NEW REVISION"), *rows]))
    else:
        print(f"nothing differs from {newest.name}")


def _changed_keys(image: LedgerImage, target: Target) -> Iterator[tuple[str, ...]]:
    if image.spec.recipe is None:
        print(f"{image.name} was made elsewhere, so nobody knows of what profile")
        return
    for key, before, now, decides in differences(image.spec.recipe.build, target):
        yield key, before, now, "yes" if decides else "no"


def _changed_packages(image: LedgerImage, target: Target, settings: Settings) -> Iterator[tuple[str, ...]]:
    if image.record.installed is None:
        return
    offered = read_offered([target], settings.upstream.mirror, settings.vm.trusted_keys, cache_folder() / "upstream")
    for why in (*offered.untrusted.values(), *(f"{url}: {why}" for url, why in offered.unreached.items())):
        print(f"which packages are newer is not known: {why}")
    offer = countable(offered.offers.get(target.name), target, image.release)
    for package in newer_packages(image, offer, today()):
        yield f"package {package.name}", package.installed, package.offered, _BY_PACKAGES[target.rebuild_on]


def _place(problem: str) -> tuple[str, int]:
    """The file and line that a problem begins with, to sort by."""
    file, line, *_ = *problem.split(":", 2), ""
    return file, int(line) if line.isdecimal() else 0


def _whole(name: str, further: Collection[str] = ()) -> Profile:
    """A profile, with the builds that `discover` adds for `further` versions and those that have a file here."""
    profile = load_profile(name)
    return expand_discovered(profile, {*further, *(profile.layers.branches if profile.layers else ())})


def _find(build: str, profile: str | None, further: Collection[str] = ()) -> tuple[Profile, Target]:
    """A build and its profile; profiles that can't be read are passed over unless they are named."""
    found, known = [], set()
    for name in [profile] if profile else profile_names(PROFILES):
        try:
            whole = _whole(name, further)
        except ProfileError:
            if profile:
                raise
            continue
        found += [(whole, target) for target in whole.builds if target.name == build]
        known |= {target.name for target in whole.builds}
    if len(found) > 1:
        names = ", ".join(whole.name for whole, _ in found)
        raise InputError(f"build {build!r}: profiles {names} have one; name one of them by --profile")
    if not found:
        where = f"is not in profile {profile}; it has" if profile else "is in no profile; there are"
        raise InputError(f"build {build!r}: {where}: {', '.join(sorted(known)) or 'none'}")
    return found[0]
