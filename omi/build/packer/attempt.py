"""One run of Packer for an image: its limits, hopeless waits, and the reason of a failure in one line."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from omi.build.job import Job
from omi.build.packer.gateway import Gateway
from omi.build.packer.inputs import packer_environment, temporary_folder
from omi.build.packer.progress import PackerOutput
from omi.build.packer.refusals import Refusal, cause_of
from omi.build.packer.runner import CloudNews, PackerRun, Watcher, run_packer
from omi.build.packer.tools import PackerTools
from omi.outscale.console import EmptyConsole
from omi.outscale.faults import denied, is_denied
from omi.outscale.images import snapshots_of
from omi.outscale.quotas import used_up
from omi.outscale.vms import read_vm
from omi.outscale.waiting import InterruptedBuildError
from omi.support.errors import BuildError, CloudError, OmiError
from omi.support.narration import shown
from omi.support.safe_json import read_json


class BusyCloudError(BuildError):
    """Packer gave up after an answer (429, 500, 503) for which OUTSCALE asks to try again."""


@dataclass(frozen=True)
class Attempt:
    """A run of Packer with the files in the job's run folder."""

    job: Job
    grace: float
    """Seconds that Packer has to clean up."""
    lock: int | None
    """The run folder's lock, which Packer inherits."""

    def run(self, tools: PackerTools, gateway: Gateway) -> PackerRun:
        """Run Packer until it succeeds or fails.

        Raises BuildError with Packer's reason, BusyCloudError if it may be tried again, InterruptedBuildError.
        """
        job, folder, limit = self.job, self.job.folder, self.job.spec.vm.timeout
        folder.manifest.unlink(missing_ok=True)
        shutil.rmtree(folder.output, ignore_errors=True)
        command = [tools.packer, "build", "-color=false", f"-var-file={folder.variables}", str(folder.template)]
        watcher = Watcher(job.narrator.say, partial(self._ask_cloud, {}))
        with temporary_folder(folder) as home:
            environment = packer_environment(job.environ, home, tools, gateway)
            held = () if self.lock is None else (self.lock,)
            packed = run_packer(command, environment, folder.packer_log, limit, job.stop, watcher, self.grace, held)
        self._check(packed, gateway.refusals)
        return packed

    def _check(self, packed: PackerRun, refusals: Sequence[Refusal]) -> None:
        spec, log = self.job.spec, shown(self.job.folder.packer_log)
        if self.job.stop.is_set():
            raise InterruptedBuildError("interrupted")
        if packed.broken:
            raise BuildError(f"{spec.name}: {packed.broken}; see {log}")
        if packed.timed_out:
            raise BuildError(f"{spec.name}: Packer took longer than {spec.vm.timeout} s (vm.timeout); see {log}")
        if packed.exit_code != 0:
            kind = BusyCloudError if packed.output.met_busy_cloud else BuildError
            raise kind(f"{spec.name}: {self._reason(packed.output, refusals)}; see {log}")

    def _reason(self, output: PackerOutput, refusals: Sequence[Refusal]) -> str:
        """Packer's words, the cloud's answer to the gateway, and the cure."""
        refused = None if output.guest_errors else cause_of(output.reason, refusals)
        if refused is None:
            return output.reason
        cloud = self.job.cloud
        if refused.status == HTTPStatus.UNAUTHORIZED and is_denied(refused.code):
            return str(denied(f"api:{refused.action}", cloud.access.api, cloud.credentials.source))
        full = used_up(cloud) if refused.kind.startswith("TooManyResources") else []
        parts = (f"{output.reason} ({refused})", f"used up: {', '.join(full)}" if full else "", refused.cure)
        return "; ".join(filter(None, parts))

    def _ask_cloud(self, consoles: dict[str, EmptyConsole], output: PackerOutput) -> CloudNews:
        """Ask for the state of the VM or snapshot that Packer waits for: older plugins wait for ever for a failed
        one."""
        try:
            if output.phase == "boot":
                return CloudNews(broken=self._boot_in_vain(consoles, output.vm) if output.vm else None)
            taken = [each for each in snapshots_of(self.job.cloud, output.volumes) if each.state != "completed"]
            failed = [f"the snapshot {each.snapshot_id} has failed" for each in taken if each.state == "error"]
            return CloudNews(
                say=f"snapshot {taken[0].progress} %" if taken else None, broken=failed[0] if failed else None
            )
        except OmiError:
            return CloudNews()  # Packer's own reads decide

    def _boot_in_vain(self, consoles: dict[str, EmptyConsole], vm_id: str) -> str | None:
        vm = read_vm(self.job.cloud, vm_id)
        if vm is None:
            return None
        if vm.is_lost or vm.state in {"stopping", "stopped"}:
            return f"the build VM {vm_id} is {vm.state}"
        if vm.state != "running":
            return None
        return consoles.setdefault(vm_id, EmptyConsole(self.job.cloud, vm_id)).reason()


def artifact(manifest: Path) -> str:
    """The OMI's id, from the last build in Packer's manifest (`REGION:OMI`). Raises CloudError if there is none."""
    try:
        content: Any = read_json(manifest.read_text(encoding="utf-8"))
        return str(content["builds"][-1]["artifact_id"]).split(":")[1]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise CloudError(f"{shown(manifest)}: names no OMI though Packer succeeded ({type(error).__name__})") from error
