"""The resources of the local OUTSCALE as stored values, without additions by an API face."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


def now() -> dt.datetime:
    """The present, UTC."""
    return dt.datetime.now(dt.UTC)


class Value(BaseModel):
    """A frozen value."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Resource(Value):
    """The fields of every stored thing; `kind` is its table key and `prefix` the start of its ids."""

    kind: ClassVar[str]
    prefix: ClassVar[str]

    id: str
    account_id: str
    region: str
    tags: dict[str, str] = {}
    created: dt.datetime


class Account(Resource):
    """An account (its id is the numeric account id); `profile` is its name in osc.json, absent for foreign ones."""

    kind = "account"
    prefix = ""

    profile: str | None = None
    alias: str | None = None


class Keypair(Resource):
    """A public key under a name that is unique in its account; a private key is never kept."""

    kind = "keypair"
    prefix = "key"

    name: str
    type: str
    public_key: str
    fingerprint: str


class Rule(Value):
    """One security group rule; protocol `-1` is any, ports -1 are any; members are (account id, group id)."""

    id: str
    protocol: str
    from_port: int
    to_port: int
    ip_ranges: tuple[str, ...] = ()
    members: tuple[tuple[str, str], ...] = ()

    def same_traffic(self, other: Rule) -> bool:
        return self.model_copy(update={"id": other.id}) == other


class Net(Resource):
    """A private network; `ip_range` in CIDR notation."""

    kind = "net"
    prefix = "vpc"

    ip_range: str
    tenancy: str


class Subnet(Resource):
    """A part of a Net, in one Subregion."""

    kind = "subnet"
    prefix = "subnet"

    net_id: str
    ip_range: str
    subregion: str


class SecurityGroup(Resource):
    """A set of rules that VMs share, within a Net or (None) outside of all."""

    kind = "security-group"
    prefix = "sg"

    name: str
    description: str
    net_id: str | None = None
    inbound: tuple[Rule, ...] = ()
    outbound: tuple[Rule, ...] = ()


class VolumeLink(Value):
    """A volume's place on a VM; state is attaching, attached or detaching."""

    vm_id: str
    device_name: str
    delete_on_vm_deletion: bool
    state: str
    linked: dt.datetime


class Volume(Resource):
    """A volume, size in GiB; state is creating, available, in-use, deleting or error."""

    kind = "volume"
    prefix = "vol"

    size: int
    type: str
    iops: int | None = None
    snapshot_id: str | None = None
    subregion: str
    state: str
    link: VolumeLink | None = None
    client_token: str | None = None


class Permissions(Value):
    """The accounts besides the owner that may launch an image or make volumes from a snapshot."""

    public: bool = False
    account_ids: tuple[str, ...] = ()


class Shared(Resource):
    """A thing that an account may let others use."""

    permissions: Permissions = Permissions()

    def visible_to(self, caller: Account) -> bool:
        """Whether the caller sees it and may use it: within one Region, its owner's, public or shared."""
        allowed = {self.account_id, *self.permissions.account_ids}
        return self.region == caller.region and (self.permissions.public or caller.id in allowed)


class Snapshot(Shared):
    """A snapshot, size in GiB; state is in-queue, pending, completed, error or deleting.

    `copied` says that the content is on disk, whatever the state that is shown.
    """

    kind = "snapshot"
    prefix = "snap"

    description: str
    volume_id: str | None
    size: int
    state: str
    progress: int
    copied: bool = False
    source_id: str | None = None
    client_token: str | None = None


class ImageMapping(Value):
    """A block device of an image, size in GiB."""

    device_name: str
    snapshot_id: str
    size: int
    type: str
    iops: int | None = None
    delete_on_vm_deletion: bool


class Image(Shared):
    """An OMI; state is pending, available or failed."""

    kind = "image"
    prefix = "ami"

    name: str
    description: str
    architecture: str
    root_device: str
    mappings: tuple[ImageMapping, ...]
    boot_modes: tuple[str, ...] = ("legacy",)
    product_codes: tuple[str, ...] = ("0001",)
    tpm_mandatory: bool = False
    state: str
    state_message: str | None = None


class Vm(Resource):
    """A VM; state is pending, running, stopping, stopped, shutting-down, terminated or quarantine.

    `slot` is its number among the loopback addresses (kept until it is terminated), `address` its private one in a
    Subnet. Its volumes are those that are linked to it.
    """

    kind = "vm"
    prefix = "i"

    image_id: str
    type: str
    keypair_name: str | None
    public_key: str | None
    subregion: str
    tenancy: str
    state: str
    state_reason: str = ""
    user_data: str
    shutdown_behavior: str
    security_group_ids: tuple[str, ...]
    slot: int
    subnet_id: str | None = None
    address: str | None = None
    reservation_id: str
    launch_number: int
    root_device: str
    architecture: str
    product_codes: tuple[str, ...]
    boot_mode: str
    bsu_optimized: bool
    performance: str
    deletion_protection: bool
    client_token: str | None = None
    ended: dt.datetime | None = None

    @property
    def private_ip(self) -> str:
        return self.address or f"10.0.0.{self.slot}"

    @property
    def private_dns_name(self) -> str:
        return f"ip-{self.private_ip.replace('.', '-')}.{self.region}.compute.internal"

    @property
    def alive(self) -> bool:
        """Whether it still holds its addresses, volumes and security groups."""
        return self.state != "terminated"


class PublicIp(Resource):
    """An address that an account holds; linked to a VM or not."""

    kind = "public-ip"
    prefix = "eipalloc"

    slot: int
    vm_id: str | None = None
    link_id: str | None = None


class ImageExportTask(Resource):
    """The export of an image to a bucket; state is pending/queued, pending, completed, failed or cancelled.

    `manifest` is the key of the manifest in the bucket, `progress` in percent.
    """

    kind = "image-export-task"
    prefix = "image-export"

    image_id: str
    bucket: str
    prefix_of_keys: str
    format: str
    manifest: str
    state: str
    progress: int
    comment: str = ""


KINDS: tuple[type[Resource], ...] = (
    Account,
    Keypair,
    Net,
    Subnet,
    SecurityGroup,
    Volume,
    Snapshot,
    Image,
    Vm,
    PublicIp,
    ImageExportTask,
)
