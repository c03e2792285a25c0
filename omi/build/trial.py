"""An image that is built to be tried: a person enters a VM of it, and then all of it is removed."""

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
"""The private key of a VM that was kept, in the run's folder; what tidies that removes it."""


@dataclass(frozen=True)
class Trial:
    """One run of one image, whose owner makes nothing else: all that bears its stack id may go."""

    job: Job
    maker: Maker
    command: Sequence[str]
    """The person's, for the VM; an empty one means a shell."""
    keep: bool
    removing: str
    """The command that removes what was kept."""

    def run(self) -> int:
        """Build the OMI, boot and check it, let the person in and remove it; returns the exit code of their command.

        Nothing is left, except by `keep` of a run that went well. Raises what the maker raises, VerifyError where a
        check failed (the person was in all the same), InterruptedBuildError.
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
        """Remove what this run or an earlier one has made; BuildError where something may be left."""
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
