"""Makes an OMI from elsewhere the stack's own: checks it, then claims it. A failed check leaves it unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omi.build.job import Job
from omi.build.leftovers import Leftovers
from omi.build.record import record_of
from omi.outscale.claims import await_claim
from omi.outscale.images import complete_tags, delete_tags, find_own, put_tags, wait_available
from omi.outscale.publishing import reach_stage
from omi.outscale.shapes import Omi
from omi.outscale.waiting import InterruptedBuildError
from omi.publish.recorded import recorded
from omi.state.image import ImageRecord, TakeOver
from omi.state.owner import ANOTHERS, CLAIM, VERIFIED, maker_of, random_id
from omi.support.errors import CloudError, OmiError
from omi.verify.adopted import AdoptionCheck
from omi.verify.boot import Verified


@dataclass(frozen=True)
class TakingOver:
    """One run for one image, which is in the account already."""

    job: Job
    wanted: TakeOver

    def run(self) -> ImageRecord:
        """Check the OMI, unless its owner wants no check or an earlier run made it. Then make it the stack's own.

        One call puts the stack's tags and the claim on it. So no interruption turns it into a leftover, or makes it
        count as verified by its maker's tags. Raises CloudError if the OMI isn't there or is another stack's,
        ToolError, and VerifyError.
        """
        job, omi = self.job, self._find()
        owner, check = job.spec.owner, None
        is_own = owner.owns_omi(omi.name, omi.tags)
        was_verified = is_own and omi.verified_by(owner)
        if self.wanted.login is not None and not was_verified:
            check = self._check(omi, self.wanted.login)
            omi = self._find()  # another stack may have taken it over during the boot
        elif is_own:
            self.clean_up()  # the run that claimed it may not have been able to
        is_verified = was_verified or check is not None
        known = recorded(job.spec, omi.omi_id) if is_own else {}
        claim, says_so = random_id(), {VERIFIED: "yes" if is_verified else "no"}
        marks = {CLAIM: claim} | (says_so if is_verified or VERIFIED in omi.tags else {})
        put_tags(job.cloud, [omi.omi_id], {**job.identity.tags, **marks})
        await_claim(job.cloud, omi, claim)
        if not is_verified and VERIFIED in omi.tags:
            delete_tags(job.cloud, omi.omi_id, says_so)
        complete_tags(job.cloud, omi, job.identity.tags)
        if is_own:  # another's tags of these names mean something else
            reach_stage(job.cloud, omi, job.identity)
        job.narrator.say(f"{omi.omi_id} is this stack's own now{'' if is_verified else ', unverified'}")
        known |= _facts(check) if check else {}
        digest = omi.tags.get("digest")
        return record_of(job.cloud, omi, adopted=False, verified=is_verified, claim=claim, digest=digest, **known)

    def clean_up(self) -> None:
        """Remove the leftovers of a killed run's check; the OMI stays."""
        Leftovers(self.job).clean(find_own(self.job.cloud, self.job.spec.name), (), ())

    def _find(self) -> Omi:
        """The OMI that `adopt` names; its maker may not have finished it yet. CloudError if another stack has it."""
        job, wanted = self.job, self.wanted.omi
        omi = find_own(job.cloud, job.spec.name)
        if omi is None or omi.omi_id != wanted:
            state = "is not in the account" if omi is None else f"is {omi.omi_id} in the account, not {wanted}"
            raise CloudError(f"{job.spec.name} {state}, so it is not taken over; correct its entry of `adopt`")
        omi = wait_available(job.cloud, omi.omi_id, job.stop)
        if not job.spec.owner.owns_omi(omi.name, omi.tags) and (maker := maker_of(omi.tags)):
            raise CloudError(f"{omi.omi_id} ({omi.name}) is made by {maker}, so it is not taken over; {ANOTHERS}")
        return omi

    def _check(self, omi: Omi, login: str) -> Verified:
        job, left = self.job, Leftovers(self.job)
        enter = job.prepare_entry()
        try:
            left.sweep(omi.snapshots, ())
            check = AdoptionCheck(
                cloud=job.cloud,
                identity=job.identity,
                group_id=enter(),
                folder=job.folder.path,
                narrator=job.narrator,
                stop=job.stop,
                login=login,
            )
            return check.boot(omi)
        except OmiError as error:
            if job.stop.is_set():
                raise InterruptedBuildError(f"{job.spec.name}: interrupted; {omi.omi_id} is left as it is") from error
            raise
        finally:
            left.clean(omi, (), ())


def _facts(check: Verified) -> dict[str, Any]:
    """The check's findings as fields of a record."""
    return {
        "boot_seconds": check.boot_seconds,
        "used_bytes": check.used_bytes,
        "installed_bytes": check.installed_bytes,
        "installed": check.installed or None,
        "packages": len(check.installed) or None,
    }
