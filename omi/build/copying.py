"""One image copied from the stack's home Region: exported there, imported here, then verified and shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from omi.build.lifecycle import Build, Making
from omi.build.packer.progress import PackerOutput
from omi.build.packer.runner import PackerRun
from omi.outscale.cloud import Cloud
from omi.outscale.images import complete_tags, find_own, put_tags, read_omi
from omi.outscale.oos import Mark, ObjectStore, drop_buckets, temporary_bucket
from omi.outscale.shapes import Omi
from omi.outscale.transfer import digest_of, export_omi, import_omi, offer
from omi.state.identity import COPIED_FROM, DISK
from omi.state.image import CloudAccess
from omi.state.owner import build_id_of
from omi.support.errors import BuildError, OmiError


@dataclass(frozen=True)
class Copy(Build):
    """As a build, but the OMI's disk is the one of the home Region, to the byte, instead of Packer's."""

    @cached_property
    def _home(self) -> Cloud:
        return Cloud.connect(self._from, self.environ)

    @cached_property
    def _store(self) -> ObjectStore:
        return ObjectStore(self._from, self._home.credentials)

    @property
    def _from(self) -> CloudAccess:
        if self.spec.copy_from is None:
            raise BuildError(f"{self.spec.name}: its standard input names no Region to carry it over from")
        return self.spec.copy_from

    @property
    def _run_id(self) -> str:
        """Another one for each Region that the image is copied to."""
        return build_id_of(self.spec.owner, self.spec.run).removeprefix("b-")

    @property
    def _mark(self) -> Mark:
        return Mark(stack_id=self.spec.stack_id, run=self.spec.run)

    def _making(self) -> Making:
        return Making(self.spec.name, lambda _: (self._copy(), None))

    def _copy(self) -> Omi:
        source, spec, say = self._source(), self.spec, self.narrator.say
        with temporary_bucket(self._store, self._run_id, self._mark, say) as bucket:
            say(f"exporting {source.omi_id} from {self._from.region} into bucket {bucket}")
            disk = export_omi(self._home, self._store, source, bucket, self.stop)
            digest = digest_of(self._store, disk, self.stop)
            say(f"its disk has the digest {digest}; importing it into {spec.cloud.region}")
            description = self.identity.description
            location = offer(self._store, disk, spec.name, description, spec.vm.volume_type)
            omi = import_omi(self.cloud, location, spec.name, description, spec.target.boot_modes, self.stop)
        put_tags(self._home, [source.omi_id, *source.snapshots], {DISK: digest})
        own = {DISK: digest, COPIED_FROM: f"{self._from.region}:{source.omi_id}"}
        complete_tags(self.cloud, omi, {**self.identity.tags, **own})
        return read_omi(self.cloud, omi.omi_id) or omi

    def _source(self) -> Omi:
        """The home Region's OMI, which must be this stack's own and of the very content."""
        omi, where = find_own(self._home, self.spec.name), f"home Region {self._from.region}"
        if omi is None or omi.state != "available":
            state = "isn't there" if omi is None else f"is {omi.state} there"
            raise BuildError(f"{self.spec.name}: can't be copied from the {where}, since it {state}; run again")
        if not omi.bears({**self.spec.owner.proof, "digest": self.spec.digest}):
            raise BuildError(
                f"{self.spec.name}: {omi.omi_id} of that name in the {where} isn't of this stack and content, so it is "
                f"not copied; `images: build` in the setting regions.{self.spec.cloud.region} has it built here"
            )
        return omi

    def _clean(self, keep: Omi | None, names: Sequence[str], earlier: Sequence[str]) -> bool:
        cleaned = super()._clean(keep, names, earlier)
        try:
            drop_buckets(self._store, self._run_id, self._mark, self.narrator.say)
        except OmiError as error:
            self.narrator.say(f"not cleaned: {error}; `python -m omi sweep` and the next run try again")
            return False
        return cleaned

    def _documents(self, omi: Omi, packed: PackerRun | None, earlier: PackerOutput) -> dict[str, str] | None:
        """They are those of the home Region's image, and lie there."""
        return None
