"""What goes into an image's command and what comes out of it: the wire formats that live in stack state.

Both are versioned by `format`; what an older version wrote is read for ever, since a delete runs from state alone.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omi.errors import StateError, first_problem
from omi.owner import Owner
from omi.profile.model import Access, Build
from omi.withdrawal import Stage, Withdrawal

_LEGACY = ("legacy",)
_TRANSFER = 10800
"""Exports of more than 40 minutes were seen (outscale/terraform-provider-outscale#87)."""


def _is_none(value: object) -> bool:
    return value is None


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> str:
        """One line of JSON with sorted keys, so that the same value is the same text on every machine."""
        return _canonical(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str, where: str) -> Self:
        """Read it back; `where` is named in the StateError if it can't be read."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            message = f"{where}: cannot be read: {first_problem(error)}; was it written by a newer version?"
            raise StateError(message) from error


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Limits(_Wire):
    """Seconds that one thing in the cloud may take before the program gives up and says so."""

    connect: int = Field(default=10, gt=0)
    """For a connection to the API."""
    answer: int = Field(default=60, gt=0)
    """For one answer of the API; calls are tried four times in all."""
    vm_end: int = Field(default=300, gt=0)
    """For VMs to be terminated."""
    image: int = Field(default=600, gt=0)
    """For an OMI to become available, or to fail."""
    in_use: int = Field(default=180, gt=0)
    """For what is to be deleted to stop being in use: OMI, snapshot, volume, keypair, security group."""
    power_off: int = Field(default=60, gt=0)
    """For the power button to end the system of an OMI that is verified; clouds pull the plug some time later."""
    console: int = Field(default=180, gt=0)
    """For something to come to the console of a VM that boots."""
    command: int = Field(default=120, gt=0)
    """For one command over SSH in the VM that verifies."""
    transfer: int = Field(default=_TRANSFER, gt=0, exclude_if=lambda seconds: seconds == _TRANSFER)
    """For an OMI to be exported to the object store, and again for it to be imported. Added later, so it is left out
    where it is the usual one."""


_LIMITS = Limits()


class CloudAccess(_Wire):
    """How to reach one Region of the cloud; no secret is in it. Paths may start with `~`."""

    region: str
    api: str
    """OAPI, whole URL, `https://api.eu-west-2.outscale.com/api/v1`."""
    ca_file: str | None = None
    """PEM file of the certificate authority to trust instead of the system's."""
    osc_file: str | None = None
    """OUTSCALE profile file with the credentials; None means the environment decides."""
    osc_profile: str | None = None
    """The profile's name in it."""
    limits: Limits = Field(default=_LIMITS, exclude_if=lambda limits: limits == _LIMITS)
    """Added later, so they are left out where they are the usual ones."""
    oos: str | None = Field(default=None, exclude_if=_is_none)
    """OOS, whole URL, where it isn't OUTSCALE's own for the Region; added later."""

    @property
    def object_store(self) -> str:
        """OOS, whole URL."""
        return self.oos or f"https://oos.{self.region}.outscale.com"


class BuildVm(_Wire):
    """The VMs that build and verify an image, and how they are reached."""

    vm_type: str = "tinav6.c2r4p2"
    verify_vm_type: str = "tinav6.c1r1p2"
    subregion: str | None = Field(default=None, exclude_if=_is_none)
    """Subregion of the VMs, `eu-west-2a`; OUTSCALE chooses one where it isn't set."""
    source_omi: str = "Debian-12-*"
    source_owner: str = "Outscale"
    ssh_user: str = "outscale"
    ssh_port: int = 22
    ssh_source: str = "auto"
    """CIDR from which the VMs may be reached; `auto` is this machine's own address when it is public or loopback."""
    volume_type: Literal["standard", "gp2", "io1"] = "standard"
    mirror: str = "https://dl-cdn.alpinelinux.org/alpine"
    """Alpine mirror as the build VM reaches it."""
    timeout: int = 3600
    """Seconds that Packer may take in all."""
    verify_timeout: int = 600
    """Seconds from the verify VM's start to its last check."""
    trusted_keys: tuple[str, ...] = ()
    """Files with further public keys that may sign packages (a sandbox's fixture mirror)."""
    accept_stubs: bool = Field(default=False, exclude_if=lambda accepted: not accepted)
    """Whether the VMs may be stubs of a sandbox, which run no image: for tests of the program, never for images.
    Added later, so it is left out where it isn't set."""


class ImageSpec(_Wire):
    """Standard input of an image's command: all that is needed to build, verify and share one OMI."""

    format: Literal[1] = 1
    project: str
    stack: str
    stack_id: str
    """The stack's random id (omi.owner), which a renamed stack keeps and another of its name does not have."""
    name: str
    """The OMI's name, unique in the account."""
    release: str
    revision: int
    digest: str
    """Of everything that decides the image's content; `sha256:` and 64 hex digits."""
    end_of_life: date | None = None
    offered: tuple[str, ...] = Field(default=(), exclude_if=lambda lines: not lines)
    """The packages that were newer than those of the image before it, `name=version`, sorted. None of these versions
    makes it stale, even if apk doesn't install them."""
    build: Build
    access: Access
    """Who may launch it while it isn't private by its withdrawal."""
    withdrawal: Withdrawal | None = Field(default=None, exclude_if=_is_none)
    """Of an image that is not current; left out where it is None."""
    cloud: CloudAccess
    vm: BuildVm
    releases_dir: str = "releases"
    copy_from: CloudAccess | None = Field(default=None, exclude_if=_is_none)
    """The home Region, of an image that is carried over from there instead of being built; left out
    where it is None."""
    resource: str | None = Field(default=None, exclude_if=_is_none)
    """Logical name of its command where that is not the OMI's name: in a Region that isn't the stack's home. Left out
    where it is None."""

    @property
    def owner(self) -> Owner:
        """The stack that the image belongs to."""
        return Owner(self.project, self.stack, self.stack_id)

    @property
    def run(self) -> str:
        """What its run folder is called after: the same OMI may be built in several Regions at once."""
        return self.resource or self.name

    @property
    def stage(self) -> Stage:
        """How far its withdrawal has come."""
        return self.withdrawal.stage if self.withdrawal else Stage.CURRENT

    @property
    def launch_access(self) -> Access:
        """Who may launch it now."""
        return Access() if self.stage is Stage.PRIVATE else self.access


class ImageRecord(_Wire):
    """Standard output of an image's command, one line: what exists."""

    format: Literal[1] = 1
    name: str
    omi: str
    snapshots: tuple[str, ...]
    account: str
    region: str
    created: datetime
    """UTC, as the cloud says."""
    volume_size: int
    """GiB."""
    used_bytes: int | None = None
    """Of the root filesystem after the build; where an earlier run built it, after its first boot."""
    trimmed_bytes: int | None = Field(default=None, exclude_if=_is_none)
    """Of all blocks that stay when the root filesystem is trimmed, its own tables and journal among them: what its
    snapshot holds at most. The cloud itself doesn't tell. Added later, as those below that are left out where None."""
    installed_bytes: int | None = Field(default=None, exclude_if=_is_none)
    """What the installed packages say that they take."""
    packages: int | None = None
    installed: tuple[str, ...] | None = Field(default=None, exclude_if=_is_none)
    """What apk installed, `name=version`; None where nobody knows."""
    documents: dict[str, str] | None = Field(default=None, exclude_if=_is_none)
    """Digests (`sha256:` and 64 hex digits) of what is written out of it, by kind (omi.documents); left out where it is
    None, as `installed`."""
    build_seconds: int | None = None
    """Wall time of Packer and verify together."""
    boot_seconds: int | None = None
    """From the VM's start to its SSH banner when it was verified."""
    boot_modes: tuple[str, ...] = Field(default=_LEGACY, exclude_if=lambda modes: modes == _LEGACY)
    """What starts VMs of it, sorted; left out where it is what older versions made."""
    disk: str | None = Field(default=None, exclude_if=_is_none)
    """Digest (`sha256:` and 64 hex digits) of its disk's raw content, where that was read: of an image that was carried
    over, and of the one that it was carried from once that is updated; left out where None, as the next."""
    copied_from: str | None = Field(default=None, exclude_if=_is_none)
    """Region and OMI that it was carried over from, `eu-west-2:ami-12345678`."""
    verified: bool = False
    adopted: bool = False
    claim: str | None = None
    """Random, and in a tag of the OMI, too: another value there means that another record holds it by now. None of an
    external OMI."""
    missing: date | None = None
    """The day, in UTC, on which the account was found to lack it; the delete of such a record deletes nothing."""
