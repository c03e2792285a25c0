"""Makes an OMI by Packer, with workarounds for the versions of its plugin."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from omi.build.guest_data import write_guest_data
from omi.build.job import Job
from omi.build.leftovers import Leftovers
from omi.build.maker import Product
from omi.build.origin import read_origin
from omi.build.packer.attempt import Attempt, BusyCloudError, artifact
from omi.build.packer.gateway import open_gateway
from omi.build.packer.inputs import PackerVm, stage_guest, write_template, write_variables
from omi.build.packer.runner import GRACE, PackerRun, read_output
from omi.build.packer.tools import PackerTools, find_tools
from omi.outscale.entry import temporary_key
from omi.outscale.images import (
    complete_tags,
    deregister,
    find_own,
    find_source,
    is_name_taken,
    register_from,
    wait_available,
)
from omi.outscale.shapes import LEGACY, Omi
from omi.outscale.waiting import pause
from omi.publish.documents.provenance import Made
from omi.publish.documents.write import write_documents
from omi.support.errors import BuildError, CloudError
from omi.support.narration import shown

TRIES = 3
"""How often Packer may run for one image if the cloud was only busy."""
AGAIN_AFTER = 10.0
"""Seconds before it begins again, about; more each time."""

Enter = Callable[[Path, str], PackerVm]
"""Packer's VM, given the private key's file and the keypair's name."""


@dataclass(frozen=True)
class PackerMaker:
    """Runs Packer for one job, reads the OMI back, and registers it under its real name."""

    job: Job
    grace: float = GRACE
    """Seconds that Packer has to clean up."""
    lock: int | None = None
    """The run folder's lock, which Packer inherits: it is held for as long as anything works on the image."""

    def prepare(self) -> Callable[[str], Product]:
        """Find the tools and the source OMI; returns what runs Packer."""
        job = self.job
        tools = find_tools(job.environ)
        source = find_source(job.cloud, job.spec.vm.source_omi, job.spec.vm.source_owner)
        name = self._name_for_packer(tools)

        def make(group_id: str) -> Product:
            enter = partial(PackerVm, security_group_id=group_id, source_omi=source.omi_id)
            return self._pack_patiently(tools, enter, name)

        return make

    def document(self, product: Product) -> dict[str, str] | None:
        """Write the image's documents; for an OMI of an earlier run, only if that run was on this machine."""
        job, omi = self.job, product.omi
        made = Made(job.spec, omi.omi_id, omi.snapshots, omi.created, product.output.source)
        if product.packed:
            return write_documents(job.folder.documents, job.folder.output, made)
        with suppress(BuildError, CloudError):
            if artifact(job.folder.manifest) == omi.omi_id:
                return write_documents(job.folder.documents, job.folder.output, made)
        job.narrator.say(f"{omi.omi_id}: its content is unknown here, so it gets no list of packages and no SBOM")
        return None

    def clean(self) -> bool:
        """Remove nothing: everything that Packer makes is among the job's own resources."""
        return True

    def _name_for_packer(self, tools: PackerTools) -> str:
        """The OMI's name, or a working name if an older plugin can't use it: the OMI is then registered again.

        Such a plugin fails at a foreign OMI of the wanted name, and its OMIs boot by BIOS only.
        """
        job, name = self.job, self.job.spec.name
        if find_own(job.cloud, name):
            return name
        if tools.is_old and job.spec.target.boot_modes != (LEGACY,):
            return job.working_name
        if not tools.is_old or not is_name_taken(job.cloud, name):
            return name
        job.narrator.say(f"another account has a public OMI named {name}: building under a working name")
        return job.working_name

    def _pack_patiently(self, tools: PackerTools, enter: Enter, name: str) -> Product:
        """Run Packer again after a busy cloud: plugin 1.0.2 gives up at once, and its leftovers are swept first."""
        job, leftovers = self.job, Leftovers(self.job)
        for number in range(1, TRIES):
            try:
                return self._pack(tools, enter, name)
            except BusyCloudError as error:
                job.narrator.say(f"{str(error).partition('; see')[0]}: Packer begins again")
            leftovers.remove(name)  # the OMI first: its snapshot can't go before it
            leftovers.sweep((), read_output(job.folder.packer_log).volumes, group=False)
            pause(AGAIN_AFTER * number * random.uniform(0.5, 1.5), job.stop)  # noqa: S311 - only spreads the tries
        return self._pack(tools, enter, name)

    def _pack(self, tools: PackerTools, enter: Enter, name: str) -> Product:
        job = self.job
        data = stage_guest(job.folder, job.project / "guest")
        write_guest_data(job.spec, read_origin(job.project, tools, job.environ), job.project / "profiles", data)
        with temporary_key(job.cloud, job.identity.build_key, job.folder.path) as key:
            packed = self._run(tools, enter(key, job.identity.build_key), name)
            omi = self._read_back(name)
        Leftovers(job).sweep(omi.snapshots, packed.output.volumes, group=False)
        return Product(self._settle_name(omi), packed.output, packed=True)

    def _run(self, tools: PackerTools, entry: PackerVm, name: str) -> PackerRun:
        job = self.job
        with open_gateway(job.cloud, job.folder.path, job.narrator.say) as gateway:
            write_variables(job.folder, job.identity, tools, entry, gateway, name)
            write_template(job.folder, tools)
            return Attempt(job, self.grace, self.lock).run(tools, gateway)

    def _read_back(self, name: str) -> Omi:
        """The OMI as the account really holds it, since Packer's exit code proves nothing."""
        job = self.job
        omi = wait_available(job.cloud, artifact(job.folder.manifest), job.stop)
        if omi.name != name or omi.owner != job.cloud.account or not omi.snapshots:
            raise BuildError(
                f"{omi.omi_id} is not what was to be built: name {omi.name!r}, owner {omi.owner}, "
                f"{len(omi.snapshots)} snapshots; see {shown(job.folder.packer_log)}"
            )
        if lacking := complete_tags(job.cloud, omi, job.identity.tags):
            job.narrator.say(f"put the tags that were missing on {', '.join(lacking)}")
        return omi

    def _settle_name(self, omi: Omi) -> Omi:
        """Register it under its real name if Packer had to use a working name. The snapshot stays the same."""
        job, spec = self.job, self.job.spec
        if omi.name == spec.name:
            return omi
        description, modes = job.identity.description, spec.target.boot_modes
        final = register_from(job.cloud, omi, spec.name, description, modes, spec.vm.volume_type, job.stop)
        complete_tags(job.cloud, final, job.identity.tags)
        deregister(job.cloud, omi, job.ours)
        return final
