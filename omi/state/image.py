"""An image's command: its standard input and its standard output, as they live in stack state.

Every field is always written, and must be there to be read: nothing fills in what is missing.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from omi.profile.model import Access, Target
from omi.state.owner import SOMEONE, Owner
from omi.state.withdrawal import Stage, Withdrawal
from omi.support.errors import StateError, first_problem
from omi.support.version import version_of


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
            message = f"{where}: cannot be read: {first_problem(error)}; did another version write it?"
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
    settle: int = Field(default=90, gt=0)
    """For a VM that verifies to finish its boot once SSH is open: its key, its bootstrap, its last runlevel."""
    command: int = Field(default=120, gt=0)
    """For one command over SSH in the VM that verifies."""
    transfer: int = Field(default=10800, gt=0)
    """For an OMI to be exported to the object store, and again for it to be imported. Exports of more than 40 minutes
    were seen (outscale/terraform-provider-outscale#87)."""


class CloudAccess(_Wire):
    """How to reach one Region of the cloud; no secret is in it. Paths may start with `~`."""

    region: str
    api: str
    """OAPI, whole URL, `https://api.eu-west-2.outscale.com/api/v1`."""
    ca_file: str | None
    """PEM file of the certificate authority to trust instead of the system's."""
    osc_file: str | None
    """OUTSCALE profile file with the credentials, unless the environment has a key or names another profile."""
    osc_profile: str | None
    """The profile's name in it."""
    own_key: bool
    """Whether the environment has no say in the credentials: its key is the home Region's."""
    account: str | None
    """The account that the key must be of; None means any."""
    limits: Limits
    oos: str | None
    """OOS, whole URL; None means OUTSCALE's own for the Region."""

    @property
    def object_store(self) -> str:
        """OOS, whole URL."""
        return self.oos or f"https://oos.{self.region}.outscale.com"


class BuildVm(_Wire):
    """The VMs that build and verify an image, and how they are reached."""

    vm_type: str = "tinav6.c2r4p2"
    verify_vm_type: str = "tinav6.c1r1p2"
    subregion: str | None = None
    """Subregion of the VMs, `eu-west-2a`; OUTSCALE chooses one where it isn't set."""
    subnet: str | None = None
    """Id of the Subnet of the VMs, which have private addresses alone then; None is outside of Nets, with public ones.
    """
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
    accept_stubs: bool = False
    """Whether the VMs may be stubs of a sandbox, which run no image: for tests of the program, never for images."""


class Recipe(_Wire):
    """All that is needed to make one OMI, beside what keeps it: only its create reads this."""

    build: Annotated[Target, BeforeValidator(Target.of_state)]
    vm: BuildVm
    copy_from: CloudAccess | None
    """The home Region, of an image that is copied from there instead of being built."""


class TakeOver(_Wire):
    """How an OMI made elsewhere becomes the stack's own; nothing but that reads it."""

    omi: str
    """The id that its owner has named."""
    login: str | None
    """The user who logs in to check it; None takes it over unverified."""
    vm: BuildVm


class ImageSpec(_Wire):
    """Standard input of an image's command: what keeps one OMI and, of one that this state has made, how."""

    format: Literal[1] = 1
    project: str
    stack: str
    stack_id: str
    """The stack's random id (omi.state.owner), which a renamed stack keeps and another of its name does not have."""
    name: str
    """The OMI's name, unique in the account."""
    description: str
    """The OMI's description without its build id and stage."""
    profile: str
    build: str
    """The build's name in its profile."""
    arch: str
    release: str
    revision: int
    digest: str
    """The digest of everything that decides the image's content; `sha256:` and 64 hex digits."""
    end_of_life: date | None
    offered: tuple[str, ...]
    """The packages that were newer than those of the image before it, `name=version`, sorted. None of these versions
    makes it stale, even if apk doesn't install them."""
    bootstrap: str | None
    """The program that sets up a new VM of it (omi.profile.model.Target); None if that isn't known."""
    user: str | None
    """The user who logs in to a VM of it; None if that isn't known."""
    access: Access
    """Its launch permissions while its withdrawal doesn't make it private."""
    withdrawal: Withdrawal | None
    """Why and since when it isn't current; None for a current image."""
    cloud: CloudAccess
    releases_dir: str
    resource: str | None
    """Logical name of its command where that is not the OMI's name: in a Region that isn't the stack's home."""
    recipe: Recipe | None
    """None of a recovered image, of one that was taken over, and of a superseded one: keeping it needs none."""
    take_over: TakeOver | None
    """How an OMI made elsewhere became the stack's own. Its digest is then that of the content it stands for."""

    @property
    def version(self) -> str:
        """The branch that the image was built from."""
        return version_of(self.release)

    @property
    def target(self) -> Target:
        """The build that it is made of; StateError if only what keeps it is known."""
        return self._recipe.build

    @property
    def vm(self) -> BuildVm:
        """The VMs that make or check it; StateError where only what keeps it is known."""
        return self.take_over.vm if self.take_over else self._recipe.vm

    @property
    def copy_from(self) -> CloudAccess | None:
        """The home Region, of an image that is to be copied from there."""
        return self.recipe.copy_from if self.recipe else None

    @property
    def _recipe(self) -> Recipe:
        if self.recipe is None:
            raise StateError(f"{self.name}: its standard input holds nothing to make it from; run `pulumi up` again")
        return self.recipe

    @property
    def owner(self) -> Owner:
        """The stack that the image belongs to."""
        return Owner(self.project, self.stack, self.stack_id)

    @property
    def run(self) -> str:
        """The name of its run folder: the same OMI may be built in several Regions at once."""
        return self.resource or self.name

    @property
    def stage(self) -> Stage:
        """How far its withdrawal has come."""
        return self.withdrawal.stage if self.withdrawal else Stage.CURRENT

    @property
    def launch_access(self) -> Access:
        """Its launch permissions now."""
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
    used_bytes: int | None
    """Bytes in the root filesystem after the build; where an earlier run built it, after its first boot."""
    trimmed_bytes: int | None
    """Bytes of all blocks that stay when the root filesystem is trimmed, tables and journal included: its snapshot
    holds no more. The cloud's API doesn't have it."""
    installed_bytes: int | None
    """Bytes of the installed packages, by their index."""
    packages: int | None
    installed: tuple[str, ...] | None
    """The packages that apk installed, `name=version`; None where nobody knows."""
    documents: dict[str, str] | None
    """Digests (`sha256:` and 64 hex digits) of the image's documents, by kind (omi.publish.documents)."""
    build_seconds: int | None
    """Wall time of Packer and verify together."""
    boot_seconds: int | None
    """From the VM's start to its SSH banner when it was verified."""
    boot_modes: tuple[str, ...]
    """The ways in which VMs of it can start, sorted: `legacy`, `uefi`."""
    disk: str | None
    """Digest (`sha256:` and 64 hex digits) of its disk's raw content, where that was read: of a copy, and of the image
    that it is a copy of once that is updated."""
    copied_from: str | None
    """Region and OMI that it is a copy of, `eu-west-2:ami-12345678`."""
    verified: bool
    adopted: bool
    """Whether it is external: not made by this stack."""
    digest: str | None
    """The digest of its content, by the own tags of an OMI made elsewhere; None if they have none, and of a built OMI,
    whose spec has it."""
    made_by: str | None
    """The maker that the tags of an OMI made elsewhere name; None if they name none."""
    claim: str | None
    """Random, and in a tag of the OMI, too: another value there means that another record holds it by now. None of an
    external OMI."""
    missing: date | None
    """The day, in UTC, on which the account was found to lack it; the delete of such a record deletes nothing."""

    @property
    def maker(self) -> str:
        """The maker of an OMI made elsewhere, as reasons name it."""
        return self.made_by or SOMEONE

    def is_of(self, spec: ImageSpec) -> bool:
        """Whether it holds the spec's content; of an OMI made elsewhere only its own tags prove that."""
        return self.digest == spec.digest if self.adopted or spec.take_over or self.digest else True

    def digest_by(self, spec: ImageSpec) -> str | None:
        """The digest of its content, None where nobody knows it."""
        return spec.digest if self.is_of(spec) else self.digest

    @classmethod
    def found(cls, name: str, omi: str, account: str, region: str, **known: Any) -> Self:
        """The record of an OMI that was there already; all that isn't `known` is empty, and it counts as unverified."""
        empty: dict[str, Any] = {
            "snapshots": (),
            "created": datetime.fromtimestamp(0, UTC),
            "volume_size": 0,
            "boot_modes": (),
            "verified": False,
        }
        given = {"name": name, "omi": omi, "account": account, "region": region, **known}
        return cls.model_validate({**dict.fromkeys(cls.model_fields), "format": 1, **empty, **given})
