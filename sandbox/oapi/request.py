"""Requests as OAPI's clients write them: the base of all, those of Read calls, and those that are large."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.model import Permissions

BootMode = Literal["legacy", "uefi"]
Performance = Literal["medium", "high", "highest"]


class Part(BaseModel):
    """A nested object of a request: names in OUTSCALE's spelling, types strict, unknown names refused."""

    model_config = ConfigDict(alias_generator=to_pascal, extra="forbid", frozen=True, strict=True)


class Request(Part):
    """A request; null counts as absent."""

    dry_run: bool | None = None


class PagedRequest(Request):
    """A Read call whose answer comes in pages."""

    next_page_token: str | None = None
    results_per_page: int | None = Field(default=None, ge=1, le=1000)


class FilteredRequest(Request):
    """A Read call with filters by name."""

    filters: dict[str, Any] | None = None


class ReadRequest(FilteredRequest, PagedRequest):
    """A Read call as most of them are."""


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


class UpdateVmRequest(Request):
    bsu_optimized: bool | None = None
    deletion_protection: bool | None = None
    keypair_name: str | None = None
    performance: Performance | None = None
    security_group_ids: list[str] | None = None
    user_data: str | None = None
    vm_id: str
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


class RuleChangeRequest(Request):
    """Rules in `Rules`, or one in the flat fields."""

    flow: str
    from_port_range: int | None = None
    ip_protocol: str | None = None
    ip_range: str | None = None
    rules: list[RulePart] | None = None
    security_group_id: str
    to_port_range: int | None = None

    def parts(self, member_account: str | None, member_name: str | None) -> list[RulePart]:
        """The rules; if the flat fields name a group, it is the member of their rule."""
        if self.rules or self.ip_protocol is None:
            return self.rules or []
        part = RulePart(
            FromPortRange=self.from_port_range,
            IpProtocol=self.ip_protocol,
            IpRanges=[self.ip_range] if self.ip_range else None,
            SecurityGroupsMembers=[MemberPart(AccountId=member_account, SecurityGroupName=member_name)]
            if member_name
            else None,
            ToPortRange=self.to_port_range,
        )
        return [part]


class CreateRuleRequest(RuleChangeRequest):
    security_group_account_id_to_link: str | None = None
    security_group_name_to_link: str | None = None


class DeleteRuleRequest(RuleChangeRequest):
    security_group_account_id_to_unlink: str | None = None
    security_group_name_to_unlink: str | None = None


class AccountsPart(Part):
    """One direction of a change of rights."""

    account_ids: list[str] | None = None
    global_permission: bool | None = None

    def permissions(self) -> Permissions:
        return Permissions(public=bool(self.global_permission), account_ids=tuple(self.account_ids or ()))


class PermissionsPart(Part):
    """A change of rights; an empty direction counts as absent."""

    additions: AccountsPart | None = None
    removals: AccountsPart | None = None

    @property
    def empty(self) -> bool:
        return self._added == self._removed == Permissions()

    @property
    def _added(self) -> Permissions:
        return (self.additions or AccountsPart()).permissions()

    @property
    def _removed(self) -> Permissions:
        return (self.removals or AccountsPart()).permissions()

    def applied(self, before: Permissions) -> Permissions:
        """`before` with rights added or removed; exactly one of the two directions must hold something."""
        add, remove = self._added, self._removed
        if self.empty:
            raise RefusedError(Fail.MISSING_PARAMETER, "One of the parameters 'Additions' and 'Removals' is required.")
        if Permissions() not in (add, remove):
            raise RefusedError(Fail.BAD_COMBINATION, "Additions and Removals can't be given at once.")
        for account_id in add.account_ids + remove.account_ids:
            if not (account_id.isdecimal() and len(account_id) == 12):
                raise RefusedError(Fail.BAD_ID, f"'{account_id}' is not an account id (12 digits).")
        kept = [each for each in before.account_ids if each not in remove.account_ids]
        added = [each for each in dict.fromkeys(add.account_ids) if each not in kept]
        public = (before.public or add.public) and not remove.public
        return Permissions(public=public, account_ids=(*kept, *added))
