"""Cleans up failed builds completely: finds a run's leftovers by the image's name and tags, and removes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omi.build.job import Job
from omi.build.packer.runner import read_output
from omi.outscale.images import delete_omi, find_own
from omi.outscale.shapes import Omi
from omi.outscale.sweep import Builds, Search, clean_up
from omi.support.errors import OmiError

AGAIN_AFTER = 10.0
"""Seconds before a failed last sweep is repeated."""


@dataclass(frozen=True)
class Leftovers:
    """Leftovers of one job's runs, in the account and in the run folder."""

    job: Job

    def include(self, omi: Omi) -> bool:
        """Whether the OMI may go: it is this build's own, was never verified or held, and is shared with nobody.

        Its mark in the description is no proof beside a person's tags.
        """
        owner = self.job.spec.owner
        is_ours = self.job.ours.recognises(omi) and (not omi.tags or owner.owns(omi.tags))
        return is_ours and not omi.is_in_use(owner)

    def delete(self, omi: Omi) -> None:
        """Delete the OMI with its snapshots."""
        delete_omi(self.job.cloud, omi, (), self.job.ours, self.job.narrator.say)

    def remove(self, name: str, keep: Omi | None = None) -> Omi | None:
        """Remove a leftover OMI of this name, which may be the working one: Packer would stop at it.

        Its snapshot stays if an OMI of the real name uses it already. Returns the OMI of this name that stays: `keep`,
        or one that is not a leftover.
        """
        omi = find_own(self.job.cloud, name)
        if omi is None or (keep is not None and omi.omi_id == keep.omi_id) or not self.include(omi):
            return omi
        self.delete(omi)
        return None

    def sweep(
        self,
        spare: Sequence[str],
        volumes: Sequence[str],
        *,
        group: bool = True,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Remove all but OMIs: VMs, keypairs, `volumes`, snapshots but `spare`, and with `group` the security group."""
        job = self.job
        builds = Builds(job.spec.owner, frozenset({job.spec.name}), frozenset(volumes), frozenset(spare), alone=True)
        clean_up(Search(job.cloud, builds, images=False, groups=group), say or job.narrator.say)

    def clean(self, keep: Omi | None, names: Sequence[str], earlier: Sequence[str]) -> bool:
        """Remove everything left except `keep`; of the OMIs of `names`, only leftovers. Returns whether all went well.

        `earlier` are volumes that an earlier run left. A failure is only reported.
        """
        job = self.job
        job.folder.tidy()
        cleaned, spare = True, keep.snapshots if keep else ()
        volumes = (*earlier, *read_output(job.folder.packer_log).volumes)
        try:
            for name in names:
                if stays := self.remove(name, keep):
                    spare = (*spare, *stays.snapshots)
        except OmiError as error:
            cleaned = False
            job.narrator.say(f"not cleaned: {error}; the next build of this image tries again")
        # after a success only the build's own VM, key and group go here: a matter for the log alone
        say = job.narrator.say if names else job.narrator.note
        try:
            self._sweep_patiently(spare, volumes, say)
        except OmiError as error:
            cleaned = False
            job.narrator.say(f"not cleaned: {error}; `python -m omi sweep` and the next build try again")
        return cleaned

    def _sweep_patiently(self, spare: Sequence[str], volumes: Sequence[str], say: Callable[[str], None]) -> None:
        """Sweep, and once more a little later if that failed: after a success no later build would clean up."""
        try:
            self.sweep(spare, volumes, say=say)
        except OmiError:
            self.job.stop.wait(AGAIN_AFTER)
            self.sweep(spare, volumes, say=say)
