"""`import`: puts the OMIs of an old releases file on the stack's list `adopt`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from omi.cli.stack import Stack, Yes, read_stack
from omi.config.settings import Adoption, Settings
from omi.config.stack import configure
from omi.plan.survey import Survey, survey_stack
from omi.profile.model import Target
from omi.publish.old import OldImage, read_old_releases
from omi.state.account import AccountImage
from omi.state.ledger import Ledger
from omi.state.owner import SOMEONE
from omi.state.show import render_columns
from omi.support.errors import CloudError
from omi.support.version import version_of


@dataclass(frozen=True)
class Row:
    """One image of the file, with the decision on it and the reason."""

    image: OldImage
    omi: str
    build: str
    what: str
    adoption: Adoption | None = None


def import_old(
    stack: Stack,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a releases YAML of the old tool, of either layout")],
    own: Annotated[
        bool, typer.Option("--own", help="make the stack their owner, once each has booted: it prunes them, too")
    ] = False,
    yes: Yes = False,
) -> None:
    """Show which OMIs of an old releases file would be adopted; with --yes, write them into the stack's config."""
    old = read_old_releases(file)
    settings, held = read_stack(stack)
    seen, ledger = survey_stack(settings, held), held.ledger
    if seen.unreached:
        raise CloudError(next(iter(seen.unreached.values())))
    rows = [row for region in settings.all_regions for row in judge(old, settings, region, ledger, seen, own=own)]
    cells = [(row.image.name, row.omi or "-", row.build or "-", row.what) for row in rows]
    print(render_columns([("NAME", "OMI", "BUILD", "WHAT"), *cells]))
    wanted = [row.adoption for row in rows if row.adoption is not None]
    if not wanted:
        print("There is nothing to adopt.")
    elif yes:
        given = [one.model_dump(exclude_none=True, exclude_unset=True) for one in wanted]
        listed = enumerate(given, len(settings.adopt))
        configure(stack, "adopt", {f"[{index}].{key}": value for index, one in listed for key, value in one.items()})
        print(f"{len(wanted)} to adopt are in the stack's config now: `pulumi up -s {stack}` takes them in.")
    else:
        print(f"{len(wanted)} would be adopted: --yes puts them on the stack's list.")


def judge(
    old: Sequence[OldImage], settings: Settings, region: str, ledger: Ledger, seen: Survey, *, own: bool = False
) -> Iterator[Row]:
    """Decide on each image of the file in one Region of the stack. `own` is whether the stack shall own them.

    With it, the stack also takes over images that it holds or lists as someone else's.
    """
    images = [image for image in ledger.images if image.region == region and not (own and image.record.adopted)]
    held = {image.name for image in images} | {image.record.omi for image in images}
    entries = [entry for entry in settings.adopt if (entry.region or settings.region) == region]
    listed = {entry.name for entry in entries if entry.own or not own}
    further = None if region == settings.region else region
    for image in old:
        omi = image.artifacts.get(region, "")
        build = _build_for(image, seen.profile.builds)
        there = seen.accounts[region].by_omi.get(omi)
        name = build.name if build else ""
        if not omi:
            yield Row(image, omi, name, f"left: has no OMI in {region}")
        elif {image.name, omi} & held:
            yield Row(image, omi, name, "left: the stack holds it already")
        elif image.name in listed:
            yield Row(image, omi, name, "left: it is on the stack's list already")
        elif there is None or there.name != image.name:
            named = f" under that name, but named {there.name}" if there else ""
            yield Row(image, omi, name, f"left: is not in the account{named}")
        elif build is None:
            yield Row(image, omi, name, f"left: the profile has no build for {image.build} ({image.arch})")
        else:
            listed.add(image.name)
            what = {"build": build.name, "release": image.release, "revision": image.revision}
            takes = own and not there.managed
            what |= {"own": True} if takes else {}
            words = f"take over: made by {there.maker}" if takes else f"adopt: {_whose(there, seen)}"
            yield Row(image, omi, name, words, Adoption(name=image.name, omi=omi, region=further, **what))


def _build_for(image: OldImage, builds: Sequence[Target]) -> Target | None:
    """The build of the same name, else the only one of the image's version and arch."""
    fitting = [build for build in builds if (build.version, build.arch) == (version_of(image.release), image.arch)]
    by_name = [build for build in fitting if build.name == image.build]
    found = by_name or fitting
    return found[0] if len(found) == 1 else None


def _whose(image: AccountImage, seen: Survey) -> str:
    """The image's maker, and the consequence."""
    if image.managed:
        return "this stack's own by its tags"
    theirs = image.tags.get("stack") if image.tags.get("project") == seen.owner.project else None
    maker = f"made by stack {theirs}" if theirs else f"made by {SOMEONE}"
    return f"{maker}, so never deregistered"
