"""Builds an image to try: a person logs in to a VM of it, and then everything is removed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from omi.build.job import Job
from omi.build.leftovers import Leftovers
from omi.build.lifecycle import verification_of
from omi.build.maker import Maker
from omi.outscale.waiting import InterruptedBuildError
from omi.support.errors import BuildError, VerifyError
from omi.verify.ssh import Door

KEPT_KEY = "alpine-omi-kept"
"""The private key of a kept VM, in the run's folder; `tidy` removes it."""


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
        job = self.job
        if not Leftovers(job).clean(None, (job.spec.name, job.working_name), ()):
            left = f"{job.spec.name}: something of it may be left; `{self.removing}` tries again"
            job.narrator.say(left)
            raise BuildError(left)

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
