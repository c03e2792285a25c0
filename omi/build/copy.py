"""Copies an OMI from the stack's home Region: exported there, imported here, with the same bytes on its disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from omi.build.job import Job
from omi.build.maker import Product
from omi.build.packer.progress import PackerOutput
from omi.outscale.client import Cloud
from omi.outscale.images import complete_tags, find_own, put_tags, read_omi
from omi.outscale.oos import Mark, ObjectStore, drop_buckets, temporary_bucket
from omi.outscale.shapes import Omi
from omi.outscale.transfer import digest_of, export_omi, import_omi, offer
from omi.state.identity import COPIED_FROM, DISK
from omi.state.image import CloudAccess
from omi.state.owner import build_id_of
from omi.support.errors import BuildError, OmiError


@dataclass(frozen=True)
class CopyMaker:
    """Copies the OMI of one job from the Region `home`."""

    job: Job
    home: CloudAccess

    def prepare(self) -> Callable[[str], Product]:
        """Check nothing yet: the copy itself asks the home Region."""
        return lambda _: Product(self._copy(), PackerOutput())

    def document(self, product: Product) -> dict[str, str] | None:
        """Write none: the documents are those of the home Region's image."""
        return None

    def clean(self) -> bool:
        """Remove the temporary bucket in the home Region."""
        say = self.job.narrator.say
        try:
            drop_buckets(self._store, self._run_id, self._mark, say)
        except OmiError as error:
            say(f"not cleaned: {error}; `python -m omi sweep` and the next run try again")
            return False
        return True

    @cached_property
    def _home(self) -> Cloud:
        return Cloud.connect(self.home, self.job.environ)

    @cached_property
    def _store(self) -> ObjectStore:
        return ObjectStore(self.home, self._home.credentials)

    @property
    def _run_id(self) -> str:
        """The run's id, a different one for each Region that gets a copy."""
        return build_id_of(self.job.spec.owner, self.job.spec.run).removeprefix("b-")

    @property
    def _mark(self) -> Mark:
        return Mark(stack_id=self.job.spec.stack_id, run=self.job.spec.run)

    def _copy(self) -> Omi:
        job, spec, say = self.job, self.job.spec, self.job.narrator.say
        source, description = self._source(), job.identity.description
        with temporary_bucket(self._store, self._run_id, self._mark, say) as bucket:
            say(f"exporting {source.omi_id} from {self.home.region} into bucket {bucket}")
            disk = export_omi(self._home, self._store, source, bucket, job.stop)
            digest = digest_of(self._store, disk, job.stop)
            say(f"its disk has the digest {digest}; importing it into {spec.cloud.region}")
            location = offer(self._store, disk, spec.name, description, spec.vm.volume_type)
            omi = import_omi(job.cloud, location, spec.name, description, spec.target.boot_modes, job.stop)
        put_tags(self._home, [source.omi_id, *source.snapshots], {DISK: digest})
        own = {DISK: digest, COPIED_FROM: f"{self.home.region}:{source.omi_id}"}
        complete_tags(job.cloud, omi, {**job.identity.tags, **own})
        return read_omi(job.cloud, omi.omi_id) or omi

    def _source(self) -> Omi:
        """The home Region's OMI, which must be this stack's own and have the same content."""
        spec = self.job.spec
        omi, where = find_own(self._home, spec.name), f"home Region {self.home.region}"
        if omi is None or omi.state != "available":
            state = "isn't there" if omi is None else f"is {omi.state} there"
            raise BuildError(f"{spec.name}: can't be copied from the {where}, since it {state}; run again")
        if not omi.bears({**spec.owner.proof, "digest": spec.digest}):
            raise BuildError(
                f"{spec.name}: {omi.omi_id} of that name in the {where} isn't of this stack and content, so it is "
                f"not copied; `images: build` in the setting regions.{spec.cloud.region} has it built here"
            )
        return omi
