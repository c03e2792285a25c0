"""Builds an image to try: a person logs in to a VM of it, and then everything is removed.

A try has a stack id of its own. If that is lost, the tags of what it made still have it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from omi.build.job import Job
from omi.build.leftovers import Leftovers
from omi.build.lifecycle import verification_of
from omi.build.maker import Maker
from omi.config.settings import Settings
from omi.outscale.client import Cloud
from omi.outscale.images import own_omis
from omi.outscale.shapes import CloudSnapshot, CloudVm, CloudVolume, listed
from omi.outscale.waiting import InterruptedBuildError
from omi.profile.model import Access
from omi.state.image import ImageSpec
from omi.state.owner import BUILD_ID, STACK_ID, Owner, build_id_of
from omi.support.errors import BuildError, VerifyError
from omi.verify.ssh import Door

KEPT_KEY = "alpine-omi-kept"
"""The private key of a kept VM, in the run's folder; `tidy` removes it."""
_STEPS = (" build", " verify")
"""The ends of the tag Name of a try's VMs and volumes."""


def trial_name(build: str, stack_id: str) -> str:
    """The name of a try's OMI."""
    return f"try-{build[:80]}-{stack_id}"


def tries_of(stack: str) -> str:
    """The name of the stack that tries of a stack's builds count as."""
    return f"{stack}+try"


@dataclass(frozen=True)
class FoundTry:
    """A try by the tags of what it made."""

    stack_id: str
    build: str
    """The build's name, its first 80 characters."""
    things: tuple[str, ...]
    """Kind and id of each."""

    @property
    def words(self) -> str:
        """Its build, its stack id and its things."""
        return f"try of {self.build} with the stack id {self.stack_id}: {', '.join(self.things)}"


def find_tries(cloud: Cloud, project: str, stack: str) -> tuple[FoundTry, ...]:
    """Find every try that left something in the account under this stack name, whoever began it, by stack id.

    A thing is one's only if its tags `Name` and `build-id` follow from its stack id. Nothing is changed.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for thing, tags in _tagged(cloud):
        owner = Owner(project, stack, tags.get(STACK_ID, ""))
        name, end = tags.get("Name", ""), f"-{owner.stack_id}"
        for step in _STEPS:
            name = name.removesuffix(step)
        is_ours = owner.stack_id and owner.tags.items() <= tags.items() and name.startswith("try-")
        if is_ours and name.endswith(end) and tags.get(BUILD_ID) == build_id_of(owner, name):
            found.setdefault((owner.stack_id, name[len("try-") : -len(end)]), []).append(thing)
    return tuple(FoundTry(stack_id, build, tuple(found[stack_id, build])) for stack_id, build in sorted(found))


def _tagged(cloud: Cloud) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Kind and id of the account's things that a try may make, with their tags."""
    yield from ((f"VM {vm.vm_id}", vm.tags) for vm in listed(cloud, CloudVm) if vm.state != "terminated")
    yield from ((f"image {omi.omi_id}", omi.tags) for omi in own_omis(cloud, {}))
    for snapshot in listed(cloud, CloudSnapshot, AccountIds=[cloud.account]):
        if snapshot.owner == cloud.account and snapshot.state != "deleting":
            yield f"snapshot {snapshot.snapshot_id}", snapshot.tags
    for volume in listed(cloud, CloudVolume):
        if volume.state != "deleting":
            yield f"volume {volume.volume_id}", volume.tags


def spec_to_remove(owner: Owner, build: str, settings: Settings) -> ImageSpec:
    """The part of a try's spec that its removal needs: its name and the connection, and nothing of the profile."""
    return ImageSpec(
        project=owner.project,
        stack=owner.stack,
        stack_id=owner.stack_id,
        name=trial_name(build, owner.stack_id),
        description="",
        profile=settings.profile,
        build=build,
        arch="",
        release="",
        revision=0,
        digest="",
        end_of_life=None,
        offered=(),
        bootstrap=None,
        user=None,
        access=Access(),
        withdrawal=None,
        cloud=settings.cloud_access(),
        releases_dir=settings.releases_dir,
        resource=None,
        recipe=None,
        take_over=None,
    )


def remove_try(job: Job, removing: str) -> None:
    """Remove all that a job's try made; BuildError, with the command `removing`, if something may be left."""
    if not Leftovers(job).clean(None, (job.spec.name, job.working_name), ()):
        left = f"{job.spec.name}: something of it may be left; `{removing}` tries again"
        job.narrator.say(left)
        raise BuildError(left)


@dataclass(frozen=True)
class Trial:
    """One try of one image, under a stack id of its own: everything that bears this id may go."""

    job: Job
    maker: Maker
    command: Sequence[str]
    """The person's command for the VM; empty for a shell."""
    keep: bool
    removing: str
    """The command that removes a kept try."""

    def run(self) -> int:
        """Build the OMI, boot and check it, let the person in, and remove it. Returns their command's exit code.

        Everything is removed, unless `keep` is set and the run went well. Raises the maker's errors, VerifyError if a
        check failed (the person was let in all the same), and InterruptedBuildError.
        """
        self.remove()
        try:
            code = self._visit()
        except BaseException as error:
            with suppress(BuildError):
                self.remove()
            if self.job.stop.is_set():
                raise InterruptedBuildError(f"{self.job.spec.name}: interrupted; it is removed") from error
            raise
        if not self.keep:
            self.remove()
        return code

    def remove(self) -> None:
        """Remove all that this run or an earlier one made; BuildError if something may be left."""
        remove_try(self.job, self.removing)

    def _visit(self) -> int:
        job, make = self.job, self.maker.prepare()
        group_id = job.prepare_entry()()
        product = make(group_id)
        check = verification_of(job, product, group_id)
        with check.entered(product.omi, keep=self.keep) as guest:
            _, failed = check.check(guest)
            for line in failed:
                job.narrator.say(f"failed: {line}")
            code = self._let_in(guest.door)
            if failed:
                raise VerifyError("; ".join(dict.fromkeys(failed)))
            if self.keep:
                self._show_way_in(guest.door)
        return code

    def _let_in(self, door: Door) -> int:
        if not self.command and not sys.stdin.isatty():
            return 0
        self.job.narrator.say(f"logging in as {door.user}" + ("" if self.keep else "; all of it goes at the end"))
        code = door.open(self.command, self.job.stop)
        if self.job.stop.is_set():
            raise InterruptedBuildError("interrupted")
        return code if self.command else 0

    def _show_way_in(self, door: Door) -> None:
        kept = replace(door, key=door.key.rename(self.job.folder.path / KEPT_KEY))
        login = shlex.join(kept.command([f"{kept.user}@{kept.address}"]))
        print(f"It stays. Log in by:\n  cd {shlex.quote(str(kept.key.parent))} && {login}")
        print(f"Remove image and VM by:\n  {self.removing}")
