"""Requests as OAPI's clients write them: those for disks, images, VMs and rules, and the base of all."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_pascal

BootMode = Literal["legacy", "uefi"]
Performance = Literal["medium", "high", "highest"]


class Part(BaseModel):
    """A nested object of a request: names in OUTSCALE's spelling, types strict, unknown names refused."""

    model_config = ConfigDict(alias_generator=to_pascal, extra="forbid", frozen=True, strict=True)


class Request(Part):
    """A request; null counts as absent."""

    dry_run: bool | None = None


class BsuPart(Part):
    """A `Bsu` of a block device mapping; sizes in GiB. None, empty and 0 mean the snapshot's or the default."""

    delete_on_vm_deletion: bool | None = None
    iops: int | None = None
    snapshot_id: str | None = None
    volume_size: int | None = None
    volume_type: str | None = None


class DevicePart(Part):
    """One block device mapping of an image."""

    device_name: str | None = None
    virtual_device_name: str | None = None
    bsu: BsuPart | None = None

    @property
    def disk(self) -> BsuPart:
        """Its `Bsu`, an empty one where it has none."""
        return self.bsu or BsuPart()


class VmDevicePart(DevicePart):
    """One block device mapping of a VM that is to be created."""

    no_device: str | None = None


class CreateImageRequest(Request):
    architecture: str | None = None
    block_device_mappings: list[DevicePart] | None = None
    boot_modes: list[BootMode] | None = None
    description: str | None = None
    file_location: str | None = None
    image_name: str | None = None
    no_reboot: bool | None = None
    product_codes: list[str] | None = None
    root_device_name: str | None = None
    source_image_id: str | None = None
    source_region_name: str | None = None
    tpm_mandatory: bool | None = None
    vm_id: str | None = None


class PlacementPart(Part):
    subregion_name: str | None = None
    tenancy: str | None = None


class NextBootPart(Part):
    secure_boot: Literal["enable", "disable", "setup-mode", "none", "restore-factory-keys"] | None = None


class ShutdownPart(Part):
    guest_action: Literal["stop", "terminate"] | None = None
    host_action: Literal["restart", "stop"] | None = None


class PrivateIpPart(Part):
    is_primary: bool | None = None
    private_ip: str | None = None


class NicPart(Part):
    delete_on_vm_deletion: bool | None = None
    description: str | None = None
    device_number: int | None = None
    nic_id: str | None = None
    private_ips: list[PrivateIpPart] | None = None
    secondary_private_ip_count: int | None = None
    security_group_ids: list[str] | None = None
    subnet_id: str | None = None


class CreateVmsRequest(Request):
    actions_on_next_boot: NextBootPart | None = None
    block_device_mappings: list[VmDevicePart] | None = None
    boot_mode: BootMode | None = None
    boot_on_creation: bool | None = None
    bsu_optimized: bool | None = None
    client_token: str | None = None
    deletion_protection: bool | None = None
    image_id: str
    keypair_name: str | None = None
    max_vms_count: int | None = None
    min_vms_count: int | None = None
    nested_virtualization: bool | None = None
    nics: list[NicPart] | None = None
    performance: Performance | None = None
    placement: PlacementPart | None = None
    private_ips: list[str] | None = None
    security_group_ids: list[str] | None = None
    security_groups: list[str] | None = None
    shutdown_behavior_configuration: ShutdownPart | None = None
    subnet_id: str | None = None
    tpm_enabled: bool | None = None
    user_data: str | None = None
    vm_initiated_shutdown_behavior: str | None = None
    vm_type: str | None = None


class MemberPart(Part):
    account_id: str | None = None
    security_group_id: str | None = None
    security_group_name: str | None = None


class RulePart(Part):
    from_port_range: int | None = None
    ip_protocol: str | None = None
    ip_ranges: list[str] | None = None
    security_group_rule_id: str | None = None
    security_groups_members: list[MemberPart] | None = None
    service_ids: list[str] | None = None
    to_port_range: int | None = None
