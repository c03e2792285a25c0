"""Shapes of the API's answers, only the parts read here (OUTSCALE's reference, the schemas of these names)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Network
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from omi.outscale.client import Cloud
from omi.profile.model import EVERYONE
from omi.state.owner import CLAIM, Owner
from omi.support.errors import CloudError, first_problem

LEGACY = "legacy"
"""The boot mode of an OMI that was registered without one."""


class Shape(BaseModel):
    """A part of an answer; null counts as absent."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)
    listed_by: ClassVar[tuple[str, str]]
    """The action that lists things of this kind, and the key in its answer."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value


S = TypeVar("S", bound=Shape)


def _as_tags(value: object) -> object:
    """A list of tags as a mapping; anything else unchanged, so that it is refused."""
    if isinstance(value, list) and all(isinstance(tag, dict) and isinstance(tag.get("Key"), str) for tag in value):
        return {tag["Key"]: tag.get("Value", "") for tag in value}
    return value


def _as_time(value: object) -> object:
    """A time in UTC; the epoch for a text that is not a time."""
    if not isinstance(value, str):
        return value
    try:
        when = datetime.fromisoformat(value)
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(0, UTC)


Tags = Annotated[Mapping[str, str], BeforeValidator(_as_tags), Field(alias="Tags", default_factory=dict)]


class Tagged(Shape):
    """A thing with tags."""

    tags: Tags

    def bears(self, tags: Mapping[str, str]) -> bool:
        """Whether it has all of these tags with these values."""
        return all(self.tags.get(key) == value for key, value in tags.items())


class CloudPermissions(Shape):
    """The accounts that may use a thing besides its owner."""

    accounts: tuple[str, ...] = Field(default=(), alias="AccountIds")
    public: bool = Field(default=False, alias="GlobalPermission")

    def names(self, owner: str) -> frozenset[str]:
        """The accounts as in Access.launchers."""
        return (frozenset(self.accounts) | ({EVERYONE} if self.public else set())) - {owner}


class Bsu(Shape):
    """A volume in a block device mapping: an OMI's has a snapshot and a size in GiB, a VM's has an id."""

    snapshot: str = Field(default="", alias="SnapshotId")
    size: int = Field(default=0, alias="VolumeSize")
    volume: str = Field(default="", alias="VolumeId")
    goes_with_vm: bool = Field(default=False, alias="DeleteOnVmDeletion")


class Device(Shape):
    """A block device mapping."""

    name: str = Field(default="", alias="DeviceName")
    bsu: Bsu = Field(default=Bsu(), alias="Bsu")


class Omi(Tagged):
    """An OMI."""

    listed_by = ("ReadImages", "Images")

    omi_id: str = Field(alias="ImageId")
    name: str = Field(default="", alias="ImageName")
    owner: str = Field(default="", alias="AccountId")
    alias: str = Field(default="", alias="AccountAlias")
    """Its owner's alias, such as `Outscale`; empty for an account without one."""
    state: str = Field(default="", alias="State")
    description: str = Field(default="", alias="Description")
    created: Annotated[datetime, BeforeValidator(_as_time)] = Field(
        default=datetime.fromtimestamp(0, UTC), alias="CreationDate"
    )
    root_device: str = Field(default="/dev/sda1", alias="RootDeviceName")
    devices: tuple[Device, ...] = Field(default=(), alias="BlockDeviceMappings")
    modes: tuple[str, ...] = Field(default=(), alias="BootModes")
    permissions: CloudPermissions | None = Field(default=None, alias="PermissionsToLaunch")

    def verified_by(self, owner: Owner) -> bool:
        """Whether this stack verified it once."""
        return owner.has_verified(self.name, self.tags, self.description)

    def is_in_use(self, owner: Owner) -> bool:
        """Whether this stack verified it once, a record holds it, or others may launch it, as far as is known."""
        is_private = self.permissions is not None and not self.permissions.names(self.owner)
        return not is_private or self.verified_by(owner) or CLAIM in self.tags

    @property
    def snapshots(self) -> tuple[str, ...]:
        """The ids of its snapshots."""
        return tuple(device.bsu.snapshot for device in self.devices if device.bsu.snapshot)

    @property
    def volume_size(self) -> int:
        """The size of its root volume, GiB."""
        return next((device.bsu.size for device in self.devices if device.name == self.root_device), 0)

    @property
    def boot_modes(self) -> tuple[str, ...]:
        """Its boot modes, sorted."""
        return tuple(sorted(self.modes)) or (LEGACY,)


class CloudSnapshot(Tagged):
    """A snapshot; `progress` in percent."""

    listed_by = ("ReadSnapshots", "Snapshots")

    snapshot_id: str = Field(alias="SnapshotId")
    owner: str = Field(default="", alias="AccountId")
    state: str = Field(default="", alias="State")
    progress: int = Field(default=0, alias="Progress")
    volume_id: str = Field(default="", alias="VolumeId")
    permissions: CloudPermissions = Field(default=CloudPermissions(), alias="PermissionsToCreateVolume")


class CloudVm(Tagged):
    """A VM; its addresses and Subnet are empty until it has them."""

    listed_by = ("ReadVms", "Vms")

    vm_id: str = Field(alias="VmId")
    omi: str = Field(default="", alias="ImageId")
    state: str = Field(default="", alias="State")
    key_name: str = Field(default="", alias="KeypairName")
    public_ip: str = Field(default="", alias="PublicIp")
    private_ip: str = Field(default="", alias="PrivateIp")
    subnet: str = Field(default="", alias="SubnetId")
    devices: tuple[Device, ...] = Field(default=(), alias="BlockDeviceMappings")

    @property
    def address(self) -> str:
        """The address where it is reached: in a Subnet the private one."""
        return self.private_ip if self.subnet else self.public_ip

    @property
    def volumes(self) -> tuple[str, ...]:
        """Its volumes' ids."""
        return tuple(device.bsu.volume for device in self.devices if device.bsu.volume)

    @property
    def disks(self) -> tuple[str, ...]:
        """The ids of the volumes that it began with; one that a person attached stays when the VM goes."""
        return tuple(device.bsu.volume for device in self.devices if device.bsu.volume and device.bsu.goes_with_vm)

    @property
    def is_lost(self) -> bool:
        """Whether it will never run again, so that nobody need wait for it."""
        return self.state in {"terminated", "shutting-down", "quarantine"}


class CloudSubnet(Shape):
    """A Subnet of a Net; `free` counts the addresses that are left."""

    listed_by = ("ReadSubnets", "Subnets")

    subnet_id: str = Field(alias="SubnetId")
    net_id: str = Field(alias="NetId")
    subregion: str = Field(default="", alias="SubregionName")
    ip_range: IPv4Network = Field(alias="IpRange")
    free: int = Field(default=0, alias="AvailableIpsCount")
    state: str = Field(default="available", alias="State")

    @property
    def url(self) -> str:
        """The URL of an address in it, to find the route there."""
        return f"https://{self.ip_range[self.ip_range.num_addresses // 2]}"


class CloudVolume(Tagged):
    """A volume."""

    listed_by = ("ReadVolumes", "Volumes")

    volume_id: str = Field(alias="VolumeId")
    state: str = Field(alias="State")


class CloudKeypair(Shape):
    """A keypair."""

    listed_by = ("ReadKeypairs", "Keypairs")

    name: str = Field(alias="KeypairName")


class Group(Shape):
    """A security group."""

    listed_by = ("ReadSecurityGroups", "SecurityGroups")

    group_id: str = Field(alias="SecurityGroupId")
    name: str = Field(default="", alias="SecurityGroupName")
    rules: tuple[Shape, ...] = Field(default=(), alias="InboundRules")


class Tag(Shape):
    """A tag in the list of all tags."""

    listed_by = ("ReadTags", "Tags")

    resource: str = Field(alias="ResourceId")


def listed(cloud: Cloud, kind: type[S], **filters: Iterable[str]) -> Iterator[S]:
    """All things of a kind that match the filters; each filter is a list of allowed values.

    Before it changes or removes anything, the caller compares them again: the cloud may have ignored a filter.
    """
    action, key = kind.listed_by
    given = {name: sorted(set(values)) for name, values in filters.items()}
    for item in cloud.read_all(action, key, given):
        yield parsed(kind, item, action, cloud)


def parsed(kind: type[S], item: object, action: str, cloud: Cloud) -> S:
    """A part of the answer to `action`; CloudError if it doesn't have the right form."""
    try:
        return kind.model_validate(item)
    except ValidationError as error:
        raise CloudError(f"{action} at {cloud.access.api}: cannot be read: {first_problem(error)}") from error
