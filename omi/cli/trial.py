"""`try`: builds one image of a profile and opens a VM of it to log in to. No stack holds that image."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Annotated

import typer

from omi.build.alone import hold_alone
from omi.build.job import Job
from omi.build.packer.inputs import RunFolder
from omi.build.packer.maker import PackerMaker
from omi.build.preflight import check_before_building
from omi.build.supervisor import stopped_by_signals
from omi.build.trial import Trial
from omi.cli.stack import Stack
from omi.config.settings import Settings
from omi.config.stack import PROJECT, stack_config
from omi.outscale.client import Cloud
from omi.outscale.waiting import InterruptedBuildError
from omi.plan.keys import keyless, trust_keys
from omi.plan.lacking import Stock
from omi.plan.memory import Memory
from omi.plan.model import PlannedImage
from omi.plan.survey import discover_builds
from omi.profile.digest import common_files, image_digest
from omi.profile.load import load_profile
from omi.state.identity import Identity
from omi.state.image import ImageSpec
from omi.state.ledger import Ledger
from omi.state.owner import Owner, random_id
from omi.support import clock
from omi.support.atomic import write_atomically
from omi.support.errors import InputError, ProfileError
from omi.support.narration import Narrator, narrated, tell
from omi.support.places import BUILD, GUEST, TEMPLATE, cache_folder, file_name_of
from omi.support.running import INTERRUPTED
from omi.upstream.current import current_release
from omi.upstream.packages import read_offered

_ID = "stack-id"
"""The file in a run folder with the stack id of its tries. Nothing else is ever made under that id."""


def try_build(
    build: Annotated[str, typer.Argument(metavar="BUILD", help="its name in the profile")],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND", help="run this in the VM instead of a shell")
    ] = None,
    stack: Stack = "sandbox",
    profile: Annotated[str | None, typer.Option(help="another profile than the stack's")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="leave image and VM, and print how to log in")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="only remove what --keep left, or a kill")] = False,
) -> None:
    """Build an image, boot and check it, open SSH, and remove all of it at the end.

    It works in the local cloud, or where the given stack does, and never touches the stack's images or its state. The
    exit code is the command's.
    """
    if not command and not keep and not remove and not sys.stdin.isatty():
        raise InputError("standard input: is not a terminal, so no shell can be opened; give a command after `--`")
    settings = Settings.load(stack_config(stack))
    settings = settings if profile is None else settings.model_copy(update={"profile": profile})
    image = _wanted(settings, build)
    words = ["python", "-m", "omi", "try", "-s", stack, *(["--profile", profile] if profile else []), build, "--remove"]
    if not remove:
        check_before_building(settings, {None}, copying=False)
    stop, code = stopped_by_signals(), 0
    try:
        with _job(stack, settings, image, stop) as (job, lock):
            trial = Trial(job, PackerMaker(job, lock=lock), command or (), keep, shlex.join(words))
            if remove:
                trial.remove()
                tell(f"nothing is left of a try of {build}")
            else:
                code = trial.run()
    except InterruptedBuildError as error:
        tell(str(error))
        code = INTERRUPTED
    raise typer.Exit(code)


def _wanted(settings: Settings, build: str) -> PlannedImage:
    """The image that a fresh stack would build; no state is read. ProfileError if nothing could be built."""
    today, profile = clock.today(), load_profile(settings.profile)
    expanded, upstream = discover_builds(profile, settings, Ledger(), Memory(), today)
    found = {target.name: target for target in trust_keys(expanded.builds, upstream, Ledger(), today).builds}
    if build not in found:
        raise InputError(f"build {build!r}: is not in the profile; there are: {', '.join(found) or 'none'}")
    target = found[build]
    site = settings.upstream.security if target.max_missing_fixes is not None else None
    target = target.model_copy(update={"security": site})
    current = current_release(target, upstream, today)
    mirror, trusted = settings.upstream.mirror, settings.vm.trusted_keys
    offered = read_offered([target], mirror, trusted, cache_folder() / "upstream")
    stocks = [Stock(target, offer, expanded) for offer in offered.offers.values()]
    if problems := [*keyless(target), *(line for stock in stocks for line in stock.missing())]:
        raise ProfileError("; ".join(problems))
    unbrought = [line for stock in stocks for line in stock.unbrought()]
    for line in filter(None, (*upstream.warnings, *offered.warnings, current.warning, *unbrought)):
        tell(line)
    digest = image_digest(target, current.release, common_files(GUEST, TEMPLATE))
    return PlannedImage(target, current.release, 0, digest)


@contextmanager
def _job(stack: str, settings: Settings, image: PlannedImage, stop: Event) -> Iterator[tuple[Job, int]]:
    """The job, under the lock of its run folder, so that nobody else tries that build from here."""
    folder = RunFolder(BUILD.absolute() / f"{stack}+try" / file_name_of(f"{image.profile} {image.build}"))
    with hold_alone(folder.path, f"a try of {image.build}", stop, tell) as lock:
        spec = _spec(stack, settings, image, folder)
        narrator = Narrator(sys.stderr, folder.build_log)
        with narrated(narrator):
            yield Job(Identity(spec), Cloud.connect(spec.cloud), folder, narrator, stop, os.environ), lock


def _spec(stack: str, settings: Settings, image: PlannedImage, folder: RunFolder) -> ImageSpec:
    """The spec, with a stack id and a name of its own: by these a later try finds a killed one's leftovers."""
    own = folder.path / _ID
    if not own.exists():
        write_atomically(own, random_id())
    owner = Owner(PROJECT, f"{stack}+try", own.read_text(encoding="ascii"))
    spec = image.to_spec(owner, settings.cloud_access(), settings.vm_in(), settings.releases_dir)
    return spec.model_copy(update={"name": f"try-{spec.build[:80]}-{owner.stack_id}"})
