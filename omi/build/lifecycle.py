"""One image from spec to record: what is there already, Packer, reading back, verify, share; or nothing left of it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from omi.build.guest_data import read_setup_file, write_guest_data
from omi.build.origin import read_origin
from omi.build.packer.attempt import Attempt, BusyCloudError, artifact
from omi.build.packer.gateway import open_gateway
from omi.build.packer.inputs import Entry, RunFolder, stage_guest, write_template, write_variables
from omi.build.packer.progress import PackerOutput
from omi.build.packer.runner import GRACE, PackerRun, read_output
from omi.build.packer.tools import PackerTools, find_tools
from omi.outscale.claims import take_up
from omi.outscale.cloud import Cloud
from omi.outscale.entry import open_group, ssh_source, temporary_key
from omi.outscale.images import (
    Ours,
    complete_tags,
    delete_omi,
    deregister,
    find_own,
    find_source,
    is_name_taken,
    put_tags,
    register_from,
    wait_available,
)
from omi.outscale.publishing import close_snapshots, describe_verified, share
from omi.outscale.shapes import LEGACY, Omi
from omi.outscale.sweep import Builds, Search, clean_up
from omi.outscale.waiting import InterruptedBuildError, pause
from omi.profile.model import Access
from omi.publish.documents.made import Made
from omi.publish.documents.write import write_documents
from omi.publish.recorded import recorded
from omi.state.identity import COPIED_FROM, DISK, Identity
from omi.state.image import ImageRecord, ImageSpec
from omi.state.owner import CLAIM, SOMEONE, VERIFIED, maker_of, working_name
from omi.support.errors import BuildError, CloudError, OmiError, VerifyError
from omi.support.narration import Narrator, shown
from omi.verify.boot import Verification, Verified
from omi.verify.facts import Facts

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout."""
TRIES = 3
"""How often Packer may run for one image, where the cloud was only busy."""
AGAIN_AFTER = 10.0
"""Seconds before it begins again, about; more each time."""

Enter = Callable[[Path, str], Entry]
"""Packer's VM, given the private key's file and the keypair's name."""


@dataclass(frozen=True)
class Making:
    """How an OMI comes to be: the name that it first has, and what makes it, given the VMs' security group."""

    name: str
    make: Callable[[str], tuple[Omi, PackerRun | None]]


@dataclass(frozen=True)
class Build:
    """One run of one image's build; `stop` is set when it shall end early."""

    identity: Identity
    cloud: Cloud
    folder: RunFolder
    narrator: Narrator
    stop: threading.Event
    environ: Mapping[str, str]
    grace: float = GRACE
    """Seconds that Packer has to clean up."""
    lock: int | None = None
    """The run folder's lock, which Packer inherits: it is held for as long as anything works on the image."""

    def run(self) -> ImageRecord:
        """Build, verify and share the OMI, or adopt the one of its name; after a failure nothing of it is left.

        Only what was verified is ever shared. If that is refused, the OMI stays, private, and the next run takes it up.
        Raises CredentialsError, ToolError, CloudError, BuildError or VerifyError.
        """
        start = time.monotonic()
        earlier = read_output(self.folder.packer_log)
        self._remove_leftover(self._working_name)
        existing = self._existing()
        if existing is not None and not self._is_wanted(existing):
            maker = maker_of(existing.tags) or SOMEONE
            self.narrator.say(f"{existing.omi_id} bears the name already, made by {maker}: adopted, not built")
            return self._adopt(existing)
        self.folder.tidy()
        if existing is not None and existing.verified:
            return self._take_up(existing, earlier)
        if existing is not None:
            self.narrator.say(f"{existing.omi_id} was built by a run that did not record it: verifying it")
        if unread := self.spec.target.unread:
            raise BuildError(
                f"{self.spec.name}: {', '.join(unread)} can't be read as its record has it, so it can't be made again; "
                "run `pulumi up` without --replace, which makes its next revision"
            )
        source = ssh_source(self.spec.vm.ssh_source, self.spec.cloud.api)
        making = self._making()
        try:
            self._sweep(existing.snapshots if existing else (), earlier.volumes)
            group_id = open_group(self.cloud, self.identity.group, self.spec.vm.ssh_port, source)
            omi, packed = (existing, None) if existing else making.make(group_id)
            self._check_boot_modes(omi)
            facts = (packed.output if packed else earlier).facts
            documents = self._documents(omi, packed, earlier)
            verified = self._verify(omi, group_id, Facts.parse("\n".join(facts)) if packed or facts else None)
            put_tags(self.cloud, [omi.omi_id], {VERIFIED: "yes"})
        except BaseException as error:
            keep = existing if not isinstance(error, VerifyError) else None
            cleaned = self._clean(keep, (self.spec.name, making.name), earlier.volumes)
            if self.stop.is_set():
                left = "is removed" if cleaned else "may be there: the next build or `python -m omi sweep` removes it"
                raise InterruptedBuildError(f"{self.spec.name}: interrupted; what it had made {left}") from error
            if isinstance(error, OmiError) and existing is None and (theirs := self._taken()) is not None:
                self.narrator.say(f"{error}")
                maker = maker_of(theirs.tags) or SOMEONE
                self.narrator.say(f"{theirs.omi_id}, made by {maker}, got the name in the meantime: adopted")
                return self._adopt(theirs)
            raise
        self._clean(omi, (), earlier.volumes)
        self._share(omi)
        self._describe(omi)
        seconds, claim = round(time.monotonic() - start), take_up(self.cloud, omi)
        return self._record(omi, packed, verified, seconds, documents=documents, claim=claim)

    def _take_up(self, omi: Omi, earlier: PackerOutput) -> ImageRecord:
        """Record an OMI of this very content that an earlier run verified; nothing is booted, nobody loses it."""
        self.narrator.say(f"{omi.omi_id} was verified by an earlier run: taken up as it is, not built again")
        self.narrator.say(f"for a new revision, run `python -m omi rebuild -s STACK {self.spec.build}`")
        documents = self._documents(omi, None, earlier)
        self._clean(omi, (), earlier.volumes)
        put_tags(self.cloud, [omi.omi_id], {VERIFIED: "yes"})
        share(self.cloud, omi.omi_id, self.spec.access, narrow=False)
        self._describe(omi)
        known = recorded(self.spec, omi.omi_id) | ({"documents": documents} if documents else {})
        return self._record(omi, claim=take_up(self.cloud, omi)).model_copy(update=known)

    def clean_up(self) -> None:
        """Remove what a killed run left; an OMI that it only did not record stays, for the next run to verify."""
        existing = find_own(self.cloud, self.spec.name)
        keep = existing if existing is not None and self._is_wanted(existing) else None
        self._clean(keep, (self._working_name, self.spec.name), ())

    @property
    def spec(self) -> ImageSpec:
        """What is built."""
        return self.identity.spec

    @property
    def _ours(self) -> Ours:
        return Ours(self.spec.owner.proof, self.identity.build_id)

    def _making(self) -> Making:
        """By Packer; finds first what would be missing."""
        tools = find_tools(self.environ)
        source = find_source(self.cloud, self.spec.vm.source_omi, self.spec.vm.source_owner)
        name = self._name_for_packer(tools)

        def make(group_id: str) -> tuple[Omi, PackerRun]:
            enter = partial(Entry, security_group_id=group_id, source_omi=source.omi_id)
            return self._pack_patiently(tools, enter, name)

        return Making(name, make)

    def _existing(self) -> Omi | None:
        """The account's OMI of the wanted name; one that an earlier run left half-made is removed first."""
        omi = find_own(self.cloud, self.spec.name)
        if omi is None:
            return None
        half_made = omi.state != "available" or "digest" not in omi.tags
        if half_made and self._is_leftover(omi):
            self.narrator.say(f"removing {omi.omi_id}, which an earlier run left half-made")
            delete_omi(self.cloud, omi, (), self._ours, self.narrator.say)
            return None
        return omi

    def _is_leftover(self, omi: Omi) -> bool:
        """Whether it is this build's own, was never verified or held and is shared with nobody, so that it may go."""
        private = omi.permissions is not None and not omi.permissions.names(self.cloud.account)
        return self._ours.recognises(omi) and private and not omi.verified and CLAIM not in omi.tags

    def _is_wanted(self, omi: Omi) -> bool:
        """Whether it is this stack's own and of the same content, so that it may be verified and managed."""
        return omi.state == "available" and omi.bears({**self.spec.owner.proof, "digest": self.spec.digest})

    def _taken(self) -> Omi | None:
        """The OMI that someone else, such as another stack's build in this account, made of the wanted name."""
        with suppress(OmiError):
            omi = find_own(self.cloud, self.spec.name)
            return None if omi is None or self._ours.recognises(omi) else omi
        return None

    def _adopt(self, omi: Omi) -> ImageRecord:
        """The record of an external OMI, which its maker may not have finished yet."""
        return self._record(wait_available(self.cloud, omi.omi_id, self.stop), adopted=True)

    def _name_for_packer(self, tools: PackerTools) -> str:
        """The OMI's name, or a working name for what an older plugin can't do: it is registered anew then.

        Such a plugin trips over a foreign OMI of the wanted name, and its OMIs boot by BIOS only.
        """
        if find_own(self.cloud, self.spec.name):
            return self.spec.name
        if not tools.knows_boot_modes and self.spec.target.boot_modes != (LEGACY,):
            return self._working_name
        if not tools.sees_foreign_names or not is_name_taken(self.cloud, self.spec.name):
            return self.spec.name
        self.narrator.say(f"another account has a public OMI named {self.spec.name}: building under a working name")
        return self._working_name

    @property
    def _working_name(self) -> str:
        return working_name(self.spec.name, self.identity.build_id)

    def _remove_leftover(self, name: str) -> None:
        """Remove the OMI that a run left under this name, the working one perhaps: Packer would stop at it.

        Its snapshot stays where an OMI of the real name was registered on it already.
        """
        omi, final = find_own(self.cloud, name), find_own(self.cloud, self.spec.name)
        if omi is None or not self._is_leftover(omi):
            return
        if final is not None and final.omi_id != omi.omi_id and set(final.snapshots) & set(omi.snapshots):
            deregister(self.cloud, omi, self._ours)
            self.narrator.say(f"deregistered {omi.omi_id} ({omi.name})")
        else:
            delete_omi(self.cloud, omi, (), self._ours, self.narrator.say)

    def _pack_patiently(self, tools: PackerTools, enter: Enter, name: str) -> tuple[Omi, PackerRun]:
        """Plugin 1.0.2 gives up at the first sign of a busy cloud: what it left is swept, and it begins again."""
        for number in range(1, TRIES):
            try:
                return self._pack(tools, enter, name)
            except BusyCloudError as error:
                self.narrator.say(f"{str(error).partition('; see')[0]}: Packer begins again")
            self._remove_leftover(name)  # first, since its snapshot can't go before it
            self._sweep((), read_output(self.folder.packer_log).volumes, group=False)
            pause(AGAIN_AFTER * number * random.uniform(0.5, 1.5), self.stop)  # noqa: S311 - only spreads the tries
        return self._pack(tools, enter, name)

    def _pack(self, tools: PackerTools, enter: Enter, name: str) -> tuple[Omi, PackerRun]:
        data = stage_guest(self.folder, PROJECT / "guest")
        origin = read_origin(PROJECT, tools, self.environ)
        write_guest_data(self.spec, origin, PROJECT / "profiles", data)
        with temporary_key(self.cloud, self.identity.build_key, self.folder.path) as key:
            entry = enter(key, self.identity.build_key)
            with open_gateway(self.cloud, self.folder.path, self.narrator.say) as gateway:
                write_variables(self.folder, self.identity, tools, entry, gateway, name)
                write_template(self.folder, tools)
                attempt = Attempt(
                    self.cloud, self.spec, self.folder, self.narrator, self.stop, self.environ, self.grace, self.lock
                )
                packed = attempt.run(tools, gateway)
            omi = self._read_back(packed, name)
        self._sweep(omi.snapshots, packed.output.volumes, group=False)
        return self._settle_name(omi), packed

    def _read_back(self, packed: PackerRun, name: str) -> Omi:
        """The OMI that the account really holds now; Packer's exit code alone proves nothing."""
        omi_id = artifact(self.folder.manifest)
        omi = wait_available(self.cloud, omi_id, self.stop)
        if omi.name != name or omi.owner != self.cloud.account or not omi.snapshots:
            raise BuildError(
                f"{omi_id} is not what was to be built: name {omi.name!r}, owner {omi.owner}, "
                f"{len(omi.snapshots)} snapshots; see {shown(self.folder.packer_log)}"
            )
        if lacking := complete_tags(self.cloud, omi, self.identity.tags):
            self.narrator.say(f"put the tags that were missing on {', '.join(lacking)}")
        return omi

    def _settle_name(self, omi: Omi) -> Omi:
        """Register it under its real name where Packer had to use a working name; the snapshot stays the same."""
        if omi.name == self.spec.name:
            return omi
        final = register_from(
            self.cloud,
            omi,
            self.spec.name,
            self.identity.description,
            self.spec.target.boot_modes,
            self.spec.vm.volume_type,
            self.stop,
        )
        complete_tags(self.cloud, final, self.identity.tags)
        deregister(self.cloud, omi, self._ours)
        return final

    def _check_boot_modes(self, omi: Omi) -> None:
        """Boot modes can't be changed later (OUTSCALE's guide, About Boot Modes)."""
        has, wants = omi.boot_modes, self.spec.target.boot_modes
        if has != wants:
            raise BuildError(
                f"{omi.omi_id} ({omi.name}) was registered with the boot modes {', '.join(has)} instead of "
                f"{', '.join(wants)}; see {shown(self.folder.packer_log)}"
            )

    def _documents(self, omi: Omi, packed: PackerRun | None, earlier: PackerOutput) -> dict[str, str] | None:
        """Write out what went in; of an OMI that an earlier run left, only if that run was here."""
        output = packed.output if packed else earlier
        made = Made(self.spec, omi.omi_id, omi.snapshots, omi.created, output.source)
        if packed:
            return write_documents(self.folder.documents, self.folder.output, made)
        with suppress(BuildError, CloudError):
            if artifact(self.folder.manifest) == omi.omi_id:
                return write_documents(self.folder.documents, self.folder.output, made)
        self.narrator.say(f"what went into {omi.omi_id} is not known here: it gets no list of packages and no SBOM")
        return None

    def _verify(self, omi: Omi, group_id: str, finished: Facts | None) -> Verified:
        verification = Verification(
            cloud=self.cloud,
            identity=self.identity,
            group_id=group_id,
            finished=finished,
            folder=self.folder.path,
            say=self.narrator.say,
            show=self.narrator.show,
            note=self.narrator.note,
            stop=self.stop,
            tests={
                name: read_setup_file(self.spec, PROJECT / "profiles", path).decode("utf-8", "replace")
                for name, path in self.spec.target.tests.items()
            },
        )
        return verification.run(omi)

    def _share(self, omi: Omi) -> None:
        """Let others launch it, the last step; where the cloud refuses, nobody may."""
        try:
            close_snapshots(self.cloud, omi.snapshots)
            share(self.cloud, omi.omi_id, self.spec.access)
        except OmiError as error:
            stays = f"{omi.omi_id} is verified and stays private; the next `pulumi up` shares it and takes it in"
            try:
                share(self.cloud, omi.omi_id, Access())
            except OmiError:
                stays = f"{omi.omi_id} is verified, and who may launch it is not known; run `pulumi up` again"
            raise BuildError(f"{self.spec.name}: {error}; {stays}") from error

    def _describe(self, omi: Omi) -> None:
        """Have the description say that it was verified; where that is refused, the tag alone says so."""
        try:
            describe_verified(self.cloud, omi, self.identity)
        except OmiError as error:
            self.narrator.say(f"{omi.omi_id}: its description does not say that it was verified: {error}")

    def _sweep(
        self,
        spare: Sequence[str],
        volumes: Sequence[str],
        *,
        group: bool = True,
        say: Callable[[str], None] | None = None,
    ) -> None:
        builds = Builds(self.spec.owner, frozenset({self.spec.name}), frozenset(volumes), frozenset(spare), alone=True)
        clean_up(Search(self.cloud, builds, images=False, groups=group), say or self.narrator.say)

    def _clean(self, keep: Omi | None, names: Sequence[str], earlier: Sequence[str]) -> bool:
        """Remove all that is left, but `keep`; of the OMIs of `names` only leftovers. Returns whether all went well.

        A failure here is only told.
        """
        self.folder.tidy()
        cleaned, spare = True, keep.snapshots if keep else ()
        volumes = (*earlier, *read_output(self.folder.packer_log).volumes)
        try:
            for name in dict.fromkeys(names):
                omi = find_own(self.cloud, name)
                if omi is None or (keep is not None and omi.omi_id == keep.omi_id):
                    continue
                if self._is_leftover(omi):
                    delete_omi(self.cloud, omi, (), self._ours, self.narrator.say)
                else:
                    spare = (*spare, *omi.snapshots)
        except OmiError as error:
            cleaned = False
            self.narrator.say(f"not cleaned: {error}; the next build of this image tries again")
        # after a success what goes here is only what every build makes for itself: nothing to tell
        say = self.narrator.say if names else self.narrator.note
        try:
            self._sweep_patiently(spare, volumes, say)
        except OmiError as error:
            cleaned = False
            self.narrator.say(f"not cleaned: {error}; `python -m omi sweep` and the next build try again")
        return cleaned

    def _sweep_patiently(self, spare: Sequence[str], volumes: Sequence[str], say: Callable[[str], None]) -> None:
        """Sweep, and once more a little later if that failed: after a success no further build looks for this one's."""
        try:
            self._sweep(spare, volumes, say=say)
        except OmiError:
            self.stop.wait(AGAIN_AFTER)
            self._sweep(spare, volumes, say=say)

    def _record(
        self,
        omi: Omi,
        packed: PackerRun | None = None,
        verified: Verified | None = None,
        seconds: int | None = None,
        *,
        documents: dict[str, str] | None = None,
        adopted: bool = False,
        claim: str | None = None,
    ) -> ImageRecord:
        return ImageRecord(
            name=omi.name,
            omi=omi.omi_id,
            snapshots=omi.snapshots,
            account=self.cloud.account,
            region=self.spec.cloud.region,
            created=omi.created,
            volume_size=omi.volume_size,
            used_bytes=packed.output.result.used_bytes if packed else verified.size.used if verified else None,
            trimmed_bytes=packed.output.result.trimmed_bytes if packed else None,
            installed_bytes=verified.size.installed if verified else None,
            packages=packed.output.result.packages if packed else None,
            installed=verified.installed if verified else None,
            documents=documents,
            build_seconds=seconds if packed else None,
            boot_seconds=verified.boot_seconds if verified else None,
            boot_modes=self.spec.target.boot_modes if verified else omi.boot_modes,
            disk=None if adopted else omi.tags.get(DISK),
            copied_from=None if adopted else omi.tags.get(COPIED_FROM),
            verified=claim is not None,  # nothing else is claimed
            adopted=adopted,
            digest=omi.tags.get("digest") if adopted else None,
            made_by=maker_of(omi.tags) if adopted else None,
            claim=claim,
            missing=None,
        )
