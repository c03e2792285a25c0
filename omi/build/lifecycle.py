"""The life of an image, from spec to record: made, verified, shared and claimed. A failed build is cleaned up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from omi.build.fixes import check_fixes
from omi.build.guest_data import read_setup_file
from omi.build.job import Job
from omi.build.leftovers import Leftovers
from omi.build.maker import Maker, Product
from omi.build.packer.attempt import artifact
from omi.build.packer.progress import PackerOutput
from omi.build.packer.runner import read_output
from omi.build.record import external_record, own_record, verified_record
from omi.outscale.claims import take_up
from omi.outscale.images import find_own, put_tags, wait_available
from omi.outscale.publishing import close_snapshots, describe_verified, reach_stage, share
from omi.outscale.shapes import Omi
from omi.outscale.waiting import InterruptedBuildError
from omi.profile.model import Access
from omi.publish.recorded import recorded
from omi.state.image import ImageRecord
from omi.state.owner import SOMEONE, STANDS_FOR, VERIFIED, maker_of
from omi.support.errors import BuildError, CloudError, OmiError, VerifyError
from omi.support.narration import shown
from omi.verify.boot import Verification
from omi.verify.facts import Facts


@dataclass(frozen=True)
class Lifecycle:
    """One run for one image. The `maker` makes its OMI if the account has none yet."""

    job: Job
    maker: Maker

    def run(self) -> ImageRecord:
        """Make, verify and share the OMI, or adopt the one of its name. A failed build is cleaned up.

        Only a verified OMI is ever shared. If the cloud refuses that, the OMI stays private, and the next run takes it
        up. Raises CredentialsError, ToolError, CloudError, BuildError or VerifyError.
        """
        job = self.job
        earlier = read_output(job.folder.packer_log)
        self._leftovers.remove(job.working_name)
        existing = self._existing(earlier)
        if existing is not None and not self._is_wanted(existing):
            self._require_anothers(existing)
            maker = maker_of(existing.tags) or SOMEONE
            job.narrator.say(f"{existing.omi_id} bears the name already, made by {maker}: adopted, not built")
            return self._adopt(existing)
        job.folder.tidy()
        if existing is not None and existing.verified_by(job.spec.owner):
            return self._take_up(Product(existing, earlier))
        if existing is not None:
            job.narrator.say(f"{existing.omi_id} was built by a run that did not record it: verifying it")
        return self._make(existing, earlier)

    def clean_up(self) -> None:
        """Remove a killed run's leftovers. A finished OMI without a record stays: the next run verifies it."""
        existing = find_own(self.job.cloud, self.job.spec.name)
        keep = existing if existing is not None and self._is_wanted(existing) else None
        self._clean(keep, (self.job.working_name, self.job.spec.name), ())

    def _make(self, existing: Omi | None, earlier: PackerOutput) -> ImageRecord:
        """Make the record, from nothing or from an OMI that awaits its check."""
        start, job = time.monotonic(), self.job
        self._require_readable()
        enter = job.prepare_entry()
        make = self._prepared(existing, earlier)
        try:
            self._leftovers.sweep(existing.snapshots if existing else (), earlier.volumes)
            group_id = enter()
            product = make(group_id)
            self._check_boot_modes(product.omi)
            documents = self.maker.document(product)
            check_fixes(job)
            verified = verification_of(job, product, group_id).run(product.omi)
            self._mark_verified(product.omi)
            put_tags(job.cloud, [product.omi.omi_id], job.identity.stage_tags)
        except BaseException as error:
            theirs = self._after_failure(error, existing, earlier)
            if theirs is None:
                raise
            return self._adopt(theirs)
        self._clean(product.omi, (), earlier.volumes)
        self._share(product.omi)
        self._describe(product.omi)
        seconds, claim = round(time.monotonic() - start) if product.packed else None, take_up(job.cloud, product.omi)
        return verified_record(job, product, verified, claim, documents=documents, build_seconds=seconds)

    def _prepared(self, existing: Omi | None, earlier: PackerOutput) -> Callable[[str], Product]:
        """Return the function from security group to OMI: the maker, unless an OMI only awaits its check."""
        if existing is None:
            return self.maker.prepare()
        product = Product(existing, earlier)
        return lambda _: product

    def _after_failure(self, error: BaseException, existing: Omi | None, earlier: PackerOutput) -> Omi | None:
        """Clean up. Returns the OMI of the wanted name that someone else made meanwhile; it is adopted."""
        job = self.job
        keep = None if isinstance(error, VerifyError) else existing
        cleaned = self._clean(keep, (job.spec.name, job.working_name), earlier.volumes)
        if job.stop.is_set():
            left = "is removed" if cleaned else "may be there: the next build or `python -m omi sweep` removes it"
            raise InterruptedBuildError(f"{job.spec.name}: interrupted; what it had made {left}") from error
        theirs = self._taken() if isinstance(error, OmiError) and existing is None else None
        if theirs is not None:
            job.narrator.say(f"{error}")
            maker = maker_of(theirs.tags) or SOMEONE
            job.narrator.say(f"{theirs.omi_id}, made by {maker}, got the name in the meantime: adopted")
        return theirs

    def _take_up(self, product: Product) -> ImageRecord:
        """Record an OMI of this content that an earlier run verified. It is not booted, and nobody loses access to
        it, unless its stage is private."""
        job, omi = self.job, product.omi
        job.narrator.say(f"{omi.omi_id} was verified by an earlier run: taken up as it is, not built again")
        job.narrator.say(f"for a new revision, run `python -m omi build -s STACK {job.spec.build} --again --yes`")
        documents = self.maker.document(product)
        self._clean(omi, (), product.output.volumes)
        self._mark_verified(omi)
        share(job.cloud, omi.omi_id, job.spec.launch_access, narrow=False)
        reach_stage(job.cloud, omi, job.identity)
        self._describe(omi)
        known = recorded(job.spec, omi.omi_id) | ({"documents": documents} if documents else {})
        return own_record(job, omi, take_up(job.cloud, omi), **known)

    @cached_property
    def _leftovers(self) -> Leftovers:
        return Leftovers(self.job)

    def _existing(self, earlier: PackerOutput) -> Omi | None:
        """The account's OMI of the wanted name, after one of an earlier run was removed: half-made, or of other content
        and never verified.

        An OMI that another machine built counts as half-made until it is verified: what its build found in the
        finished root is checked, too, and is not here.
        """
        omi = find_own(self.job.cloud, self.job.spec.name)
        if omi is None:
            return None
        half_made = omi.state != "available" or "digest" not in omi.tags
        half_made = half_made or (self._is_wanted(omi) and not self._is_known(omi, earlier))
        other = self._is_made(omi) and omi.tags.get("digest") != self.job.spec.digest
        if (half_made or other) and self._leftovers.include(omi):
            how = "half-made" if half_made else "unverified, with other content"
            self.job.narrator.say(f"removing {omi.omi_id}, which an earlier run left {how}")
            self._leftovers.delete(omi)
            return None
        return omi

    def _is_wanted(self, omi: Omi) -> bool:
        """Whether this stack made it with the same content, so that it may be verified and managed."""
        return omi.state == "available" and self._is_made(omi) and omi.tags.get("digest") == self.job.spec.digest

    def _is_known(self, omi: Omi, earlier: PackerOutput) -> bool:
        """Whether this machine built the OMI, so that what the build found is here; a copy has nothing to find."""
        if self.job.spec.copy_from is not None:
            return True
        with suppress(CloudError):
            return bool(earlier.facts) and artifact(self.job.folder.manifest) == omi.omi_id
        return False

    def _is_made(self, omi: Omi) -> bool:
        """Whether a build of this very image made it, whatever its content."""
        return STANDS_FOR not in omi.tags and omi.bears(self.job.ours.all_tags)

    def _require_anothers(self, omi: Omi) -> None:
        """BuildError if the OMI of the wanted name is this stack's own: as an external one it would be lost to it."""
        spec, ours = self.job.spec, self.job.ours
        if spec.owner.owns(omi.tags) or ours.recognises(omi):
            tags = " and ".join(f"{key}={value}" for key, value in ours.all_tags.items())
            put_back = f"put its lost tags {tags} back, and run this again"
            recover = f"take the image in by `python -m omi recover -s {spec.stack} {omi.name}`"
            cure = recover if spec.owner.owns_omi(omi.name, omi.tags) else put_back
            raise BuildError(
                f"{omi.omi_id} ({omi.name}) is this stack's own, but not what this build makes, so it is left: "
                f"raise or take out `revision` in the profile, or {cure}"
            )

    def _taken(self) -> Omi | None:
        """The OMI of the wanted name that someone else made, such as another stack in this account."""
        with suppress(OmiError):
            omi = find_own(self.job.cloud, self.job.spec.name)
            return None if omi is None or self.job.ours.recognises(omi) else omi
        return None

    def _adopt(self, omi: Omi) -> ImageRecord:
        """The record of an external OMI; its maker may not have finished it yet."""
        return external_record(self.job.cloud, wait_available(self.job.cloud, omi.omi_id, self.job.stop))

    def _require_readable(self) -> None:
        """BuildError if state holds the build's content in a form that this version can't read."""
        if unread := self.job.spec.target.unread:
            raise BuildError(
                f"{self.job.spec.name}: {', '.join(unread)} can't be read as its record has it, so it can't be made "
                "again; run `pulumi up` without --replace, which makes its next revision"
            )

    def _check_boot_modes(self, omi: Omi) -> None:
        """Compare the boot modes; they can't be changed later (OUTSCALE's guide, About Boot Modes)."""
        has, wants = omi.boot_modes, self.job.spec.target.boot_modes
        if has != wants:
            raise BuildError(
                f"{omi.omi_id} ({omi.name}) was registered with the boot modes {', '.join(has)} instead of "
                f"{', '.join(wants)}; see {shown(self.job.folder.packer_log)}"
            )

    def _mark_verified(self, omi: Omi) -> None:
        put_tags(self.job.cloud, [omi.omi_id, *omi.snapshots], {VERIFIED: "yes"})

    def _share(self, omi: Omi) -> None:
        """Let others launch it, as the last step. If the cloud refuses, nobody may."""
        cloud, spec = self.job.cloud, self.job.spec
        try:
            close_snapshots(cloud, omi.snapshots)
            share(cloud, omi.omi_id, spec.launch_access)
        except OmiError as error:
            stays = f"{omi.omi_id} is verified and stays private; the next `pulumi up` shares it and takes it in"
            try:
                share(cloud, omi.omi_id, Access())
            except OmiError:
                stays = f"{omi.omi_id} is verified, and who may launch it is not known; run `pulumi up` again"
            raise BuildError(f"{spec.name}: {error}; {stays}") from error

    def _describe(self, omi: Omi) -> None:
        """Add to the description that it was verified. If the cloud refuses, only the tag shows it."""
        try:
            describe_verified(self.job.cloud, omi, self.job.identity)
        except OmiError as error:
            self.job.narrator.say(f"{omi.omi_id}: its description does not say that it was verified: {error}")

    def _clean(self, keep: Omi | None, names: tuple[str, ...], earlier: Sequence[str]) -> bool:
        """Remove everything left except `keep`, here and where the maker worked. Returns whether all went well."""
        cleaned = self._leftovers.clean(keep, names, earlier)
        return self.maker.clean() and cleaned


def verification_of(job: Job, product: Product, group_id: str) -> Verification:
    """The check of an OMI that was built, in a VM of this security group."""
    facts = product.output.facts
    return Verification(
        cloud=job.cloud,
        identity=job.identity,
        group_id=group_id,
        finished=Facts.parse("\n".join(facts)) if product.packed or facts else None,
        folder=job.folder.path,
        narrator=job.narrator,
        stop=job.stop,
        tests={
            name: read_setup_file(job.spec, job.project / "profiles", path).decode("utf-8", "replace")
            for name, path in job.spec.target.tests.items()
        },
    )
