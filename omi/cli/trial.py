"""`try`: builds one image of a profile and opens a VM of it to log in to. No stack holds that image."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from threading import Event
from typing import Annotated

import typer

from omi.build.alone import hold_alone
from omi.build.job import Job
from omi.build.packer.inputs import RunFolder
from omi.build.packer.maker import PackerMaker
from omi.build.preflight import check_before_building
from omi.build.supervisor import stopped_by_signals
from omi.build.trial import FoundTry, Trial, find_tries, remove_try, spec_to_remove, trial_name, tries_of
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
from omi.support.errors import BuildError, InputError, ProfileError
from omi.support.narration import Narrator, narrated, tell
from omi.support.places import BUILD, GUEST, TEMPLATE, cache_folder, file_name_of, name_of_file
from omi.support.running import INTERRUPTED
from omi.upstream.current import current_release
from omi.upstream.packages import read_offered

_ID = "stack-id"
"""The file in a run folder with the stack id of its tries. Nothing else is ever made under that id.

It is random, not derived: two people may try the same build in one account at the same time."""


def try_build(
    build: Annotated[str, typer.Argument(metavar="BUILD", help="its name in the profile")],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND", help="run this in the VM instead of a shell")
    ] = None,
    stack: Stack = "sandbox",
    profile: Annotated[str | None, typer.Option(help="another profile than the stack's")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="leave image and VM, and print how to log in")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="only remove what --keep left, or a kill")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="with --remove: also tries of this build that this checkout doesn't know")
    ] = False,
) -> None:
    """Build an image, boot and check it, open SSH, and remove all of it at the end.

    It works in the local cloud, or where the given stack does, and never touches the stack's images or its state. The
    exit code is the command's.
    """
    if not command and not keep and not remove and not sys.stdin.isatty():
        raise InputError("standard input: is not a terminal, so no shell can be opened; give a command after `--`")
    if yes and not remove:
        raise InputError("--yes: is for --remove alone; leave it out")
    settings = Settings.load(stack_config(stack))
    settings = settings if profile is None else settings.model_copy(update={"profile": profile})
    words = ["python", "-m", "omi", "try", "-s", stack, *(["--profile", profile] if profile else []), build, "--remove"]
    image = None if remove else _wanted(settings, build)  # a removal needs no profile, which may be gone or wrong
    if image is not None:
        check_before_building(settings, {None}, copying=False)
    stop, code = stopped_by_signals(), 0
    try:
        with _tries_of(stack, settings, build, stop, shlex.join(words)) as tries:
            if image is None:
                tries.remove(unknown=yes)
            else:
                code = tries.run(image, command or (), keep=keep)
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


@dataclass(frozen=True)
class _Tries:
    """The tries of one build from this checkout, of which one runs at a time."""

    stack: str
    """The name of the stack that tries count as."""
    settings: Settings
    build: str
    folder: RunFolder
    narrator: Narrator
    stop: Event
    lock: int
    removing: str
    """The command that removes a kept try."""

    def run(self, image: PlannedImage, command: Sequence[str], *, keep: bool) -> int:
        """Build the image and let the person in; returns the exit code of their command."""
        settings, owner = self.settings, Owner(PROJECT, self.stack, self._own_id() or self._new_id())
        for line in self._lines(self._unknown(self._found())):
            tell(line)
        spec = image.to_spec(owner, settings.cloud_access(), settings.vm_in(), settings.releases_dir)
        job = self._job(spec.model_copy(update={"name": trial_name(spec.build, owner.stack_id)}))
        return Trial(job, PackerMaker(job, lock=self.lock), command, keep, self.removing).run()

    def remove(self, *, unknown: bool) -> None:
        """Remove this checkout's try; with `unknown`, also the build's tries that it doesn't know.

        BuildError if anything of a try of the build may be left, unless only of others and this checkout's is removed.
        """
        own = self._own_id()
        going = [] if own is None else [own]
        if own is not None:
            self._remove(own)
        for other in self._unknown(self._found()) if unknown else ():
            tell(f"removing the {other.words}")
            self._remove(other.stack_id)
            going.append(other.stack_id)
        found = self._found()
        for each in found:
            if each.stack_id in going:
                raise BuildError(f"left of the {each.words}: delete it by hand if nobody needs it")
        lines = list(self._lines(found))
        if lines and own is None:
            raise BuildError(f"this checkout knows no such try of {self.build}, but there is one {'; '.join(lines)}")
        for line in lines:
            tell(line)
        if not lines:
            for each in found:
                tell(f"of another build: {each.words}")
            tell(f"nothing is left of a try of {self.build}")

    def _own_id(self) -> str | None:
        """The stack id of this checkout's tries of the build; None before the first."""
        own = self.folder.path / _ID
        return own.read_text(encoding="ascii") if own.exists() else None

    def _new_id(self) -> str:
        made = random_id()
        write_atomically(self.folder.path / _ID, made)
        return made

    def _found(self) -> tuple[FoundTry, ...]:
        """The tries in the account, of any build and checkout."""
        return find_tries(self._cloud, PROJECT, self.stack)

    def _unknown(self, found: Sequence[FoundTry]) -> list[FoundTry]:
        """The build's tries whose stack id no run folder has: of another checkout, or of one that lost its folder."""
        known = self._profiles()
        return [each for each in found if each.build == self.build[:80] and each.stack_id not in known]

    def _profiles(self) -> dict[str, str]:
        """The profiles that this checkout tried, by the stack id of the try."""
        files = self.folder.path.parent.glob(f"*/{_ID}")
        return {file.read_text(encoding="ascii"): name_of_file(file.parent.name).partition(" ")[0] for file in files}

    def _lines(self, found: Sequence[FoundTry]) -> Iterator[str]:
        """Two lines about each try of the build that isn't this one: whose it may be, and what removes it."""
        known = self._profiles()
        for each in found:
            profile = known.get(each.stack_id)
            if each.build != self.build[:80] or profile == self.settings.profile:
                continue
            yield f"of {f'the profile {profile}' if profile else 'another checkout'}: {each.words}"
            yield f"`--profile {profile}` removes it" if profile else f"if nobody uses it: `{self.removing} --yes`"

    def _remove(self, stack_id: str) -> None:
        spec = spec_to_remove(Owner(PROJECT, self.stack, stack_id), self.build, self.settings)
        remove_try(self._job(spec), self.removing)

    def _job(self, spec: ImageSpec) -> Job:
        return Job(Identity(spec), self._cloud, self.folder, self.narrator, self.stop, os.environ)

    @cached_property
    def _cloud(self) -> Cloud:
        return Cloud.connect(self.settings.cloud_access())


@contextmanager
def _tries_of(stack: str, settings: Settings, build: str, stop: Event, removing: str) -> Iterator[_Tries]:
    """The tries of a build, under the lock of its run folder, so that nobody else tries that build from here."""
    tries = tries_of(stack)
    folder = RunFolder(BUILD.absolute() / tries / file_name_of(f"{settings.profile} {build}"))
    with hold_alone(folder.path, f"a try of {build}", stop, tell) as lock:
        narrator = Narrator(sys.stderr, folder.build_log)
        with narrated(narrator):
            yield _Tries(tries, settings, build, folder, narrator, stop, lock, removing)
