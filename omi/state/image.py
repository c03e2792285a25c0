"""The standard input and output of an image's command, as stack state holds them.

Every field is always written. Fields of version 1.0.0 are required; one that comes later has a default, since older
versions have not written it.
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


Seconds = Annotated[int, Field(strict=True, ge=1, le=86_400)]
"""The longest of a wait: a day at most, since the system's own waits take no number of any size."""


class Limits(_Wire):
    """Limits, in seconds, of single waits for the cloud."""

    connect: Seconds = 10
    """For a connection to the API."""
    answer: Seconds = 60
    """For one answer of the API; calls are tried four times in all."""
    vm_end: Seconds = 300
    """For VMs to be terminated."""
    image: Seconds = 600
    """For an OMI to become available, or to fail."""
    in_use: Seconds = 180
    """For a thing that is to be deleted to be no longer in use: OMI, snapshot, volume, keypair, security group."""
    power_off: Seconds = 60
    """For the power button to end the verify VM's system; some time later, clouds pull the plug."""
    console: Seconds = 180
    """For the first output on a booting VM's console."""
    settle: Seconds = 90
    """For the verify VM to finish its boot once SSH is open: its key, its bootstrap, its last runlevel."""
    command: Seconds = 120
    """For one command over SSH in the verify VM."""
    transfer: Seconds = 10800
    """For an OMI's export to the object store, and again for its import. Exports of more than 40 minutes were seen
    (outscale/terraform-provider-outscale#87)."""


class CloudAccess(_Wire):
    """The connection to one Region of the cloud, without secrets. Paths may start with `~`."""

    region: str
    api: str
    """OAPI, whole URL, `https://api.eu-west-2.outscale.com/api/v1`."""
    ca_file: str | None
    """PEM file of the certificate authority to trust instead of the system's."""
    osc_file: str | None
    """OUTSCALE's profile file with the credentials, unless the environment has a key or names another profile."""
    osc_profile: str | None
    """The profile's name in that file."""
    own_key: bool
    """Whether to ignore the key in the environment, which is the home Region's."""
    account: str | None
    """The account that the key must belong to; None means any."""
    limits: Limits
    oos: str | None
    """OOS, whole URL; None means OUTSCALE's own for the Region."""

    @property
    def object_store(self) -> str:
        """OOS, whole URL."""
        return self.oos or f"https://oos.{self.region}.outscale.com"


class BuildVm(_Wire):
    """The VMs that build and verify an image, and the access to them."""

    vm_type: str = "tinav6.c2r4p2"
    verify_vm_type: str = "tinav6.c1r1p2"
    subregion: str | None = None
    """The VMs' Subregion, `eu-west-2a`; if None, OUTSCALE chooses one."""
    subnet: str | None = None
    """The id of the VMs' Subnet, where they have only private addresses; None is outside of Nets, with public ones.
    """
    source_omi: str = "Debian-12-*"
    source_owner: str = "Outscale"
    ssh_user: str = "outscale"
    ssh_port: Annotated[int, Field(strict=True, ge=1, le=65_535)] = 22
    ssh_source: str = "auto"
    """The CIDR that may reach the VMs; `auto` is this machine's own address if it is public or loopback."""
    volume_type: Literal["standard", "gp2"] = "standard"
    mirror: str = "https://dl-cdn.alpinelinux.org/alpine"
    """The Alpine mirror's URL in the build VM."""
    timeout: Seconds = 3600
    """Seconds that Packer may take in all."""
    verify_timeout: Seconds = 600
    """Seconds from the verify VM's start to its last check."""
    trusted_keys: tuple[str, ...] = ()
    """Files with further public keys that may sign packages (a sandbox's fixture mirror)."""
    accept_stubs: bool = False
    """Whether the VMs may be a sandbox's stubs, which run no image: only for tests of the program."""


class Recipe(_Wire):
    """Everything needed to make one OMI, but not to keep it. Only its create reads this."""

    build: Annotated[Target, BeforeValidator(Target.of_state)]
    vm: BuildVm
    copy_from: CloudAccess | None
    """The connection to the home Region, if the image is copied from there instead of built."""


class TakeOver(_Wire):
    """How to take over an OMI made elsewhere; only that step reads this."""

    omi: str
    """The OMI's id in its owner's config."""
    login: str | None
    """The user who logs in to check it; None takes it over unverified."""
    vm: BuildVm


class ImageSpec(_Wire):
    """The standard input of an image's command: what keeps one OMI and, if this stack made it, its recipe."""

    format: Literal[1] = 1
    project: str
    stack: str
    stack_id: str
    """The stack's random id (omi.state.owner). A renamed stack keeps it; another stack of the name has another."""
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
    """The packages that were newer than the previous image's, `name=version`, sorted. These versions never make the
    image stale, even if apk didn't install them."""
    bootstrap: str | None
    """The program that sets up a new VM of it (omi.profile.model.Target); None if that isn't known."""
    user: str | None
    """The user who logs in to a VM of it; None if that isn't known."""
    access: Access
    """Its launch permissions while its withdrawal doesn't make it private."""
    withdrawal: Withdrawal | None
    """Its withdrawal; None for a current image."""
    cloud: CloudAccess
    releases_dir: str
    resource: str | None
    """The logical name of its command if that is not the OMI's name: in a further Region."""
    recipe: Recipe | None
    """How to make it. None for a recovered, taken over or superseded image: keeping it needs no recipe."""
    take_over: TakeOver | None
    """How it was taken over, if it was made elsewhere. Then `digest` is of the content that it stands for."""

    @property
    def version(self) -> str:
        """The branch that the image was built from."""
        return version_of(self.release)

    @property
    def target(self) -> Target:
        """The build that it is made from; StateError without a recipe."""
        return self._recipe.build

    @property
    def vm(self) -> BuildVm:
        """The VMs that make or check it; StateError without a recipe."""
        return self.take_over.vm if self.take_over else self._recipe.vm

    @property
    def copy_from(self) -> CloudAccess | None:
        """The connection to the home Region, if the image is copied from there."""
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
        """Its stage."""
        return self.withdrawal.stage if self.withdrawal else Stage.CURRENT

    @property
    def launch_access(self) -> Access:
        """Its launch permissions now."""
        return Access() if self.stage is Stage.PRIVATE else self.access


class ImageRecord(_Wire):
    """The standard output of an image's command, one line: the facts of the OMI that exists."""

    format: Literal[1] = 1
    name: str
    omi: str
    snapshots: tuple[str, ...]
    account: str
    region: str
    created: datetime
    """The cloud's time of its creation, UTC."""
    volume_size: int
    """Its volume's size in GiB."""
    used_bytes: int | None
    """Bytes used in the root filesystem after the build; if an earlier run built it, after its first boot."""
    trimmed_bytes: int | None
    """Bytes of all blocks left after trimming the root filesystem, with tables and journal: the most that its snapshot
    holds. The cloud's API doesn't have this number."""
    installed_bytes: int | None
    """Bytes of the installed packages, by their index."""
    packages: int | None
    installed: tuple[str, ...] | None
    """The packages that apk installed, `name=version`; None if unknown."""
    documents: dict[str, str] | None
    """Digests (`sha256:` and 64 hex digits) of the image's documents, by kind (omi.publish.documents)."""
    build_seconds: int | None
    """Seconds that Packer and verify took together."""
    boot_seconds: int | None
    """Seconds from the verify VM's start to its SSH banner."""
    boot_modes: tuple[str, ...]
    """Its boot modes, sorted: `legacy`, `uefi`."""
    disk: str | None
    """Digest (`sha256:` and 64 hex digits) of its disk's raw content, if that was read: of a copy, and of the copy's
    source after its next update."""
    copied_from: str | None
    """Region and OMI of a copy's source, `eu-west-2:ami-12345678`."""
    verified: bool
    adopted: bool
    """Whether it is external: not made by this stack."""
    digest: str | None
    """The digest of its content in the tags of an OMI made elsewhere; None if they have none, and for a built OMI,
    whose spec has it."""
    made_by: str | None
    """The maker in the tags of an OMI made elsewhere; None if they name none."""
    claim: str | None
    """A random value that is also in a tag of the OMI: another value there means that another record holds it. None for
    an external OMI."""
    missing: date | None
    """The day, in UTC, when it was first missing from the account. The delete of such a record deletes nothing."""

    @property
    def maker(self) -> str:
        """The maker of an OMI made elsewhere, in words."""
        return self.made_by or SOMEONE

    def is_of(self, spec: ImageSpec) -> bool:
        """Whether it has the spec's content. For an OMI made elsewhere only its own tags prove that."""
        return self.digest == spec.digest if self.adopted or spec.take_over or self.digest else True

    def digest_by(self, spec: ImageSpec) -> str | None:
        """The digest of its content; None if unknown."""
        return spec.digest if self.is_of(spec) else self.digest

    @classmethod
    def found(cls, name: str, omi: str, account: str, region: str, **known: Any) -> Self:
        """The record of an existing OMI. Fields other than `known` are empty, and it counts as unverified."""
        empty: dict[str, Any] = {
            "snapshots": (),
            "created": datetime.fromtimestamp(0, UTC),
            "volume_size": 0,
            "boot_modes": (),
            "verified": False,
        }
        given = {"name": name, "omi": omi, "account": account, "region": region, **known}
        return cls.model_validate({**dict.fromkeys(cls.model_fields), "format": 1, **empty, **given})
