"""OAPI: VMs."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import partial

from sandbox.cloud import vmdisks, vmwork
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.metadata import public_dns_name
from sandbox.cloud.model import Account, SecurityGroup, Subnet, Vm, Volume
from sandbox.oapi.base import Json, action, date, listing, paged, tag_views, without_none
from sandbox.oapi.filters import filtered, paths
from sandbox.oapi.keypairs import find_keypair
from sandbox.oapi.request import ReadRequest, UpdateVmRequest
from sandbox.oapi.security_groups import check_net

ENDED = ("shutting-down", "terminated")
MAX_USER_DATA = 500 * 1024
SHUTDOWN_BEHAVIORS = ("stop", "restart", "terminate")
_TINA_TYPE = re.compile(r"tinav[1-9]\.c[1-9][0-9]?r[1-9][0-9]{0,2}(p[1-3])?")
_AWS_TYPE = re.compile(r"(t2|m1|m3|m4|m5|c3|c4|c5|r3|r4|r5)\.(nano|micro|small|medium|large|[0-9]*xlarge)")


def vm_view(cloud: LocalCloud, vm: Vm) -> Json:
    """A VM as OAPI shows it (recorded field by field); one that ended has no addresses or disks."""
    view = {
        "ActionsOnNextBoot": {} if vm.state == "terminated" else {"SecureBoot": "none"},
        "Architecture": vm.architecture,
        "BlockDeviceMappings": [],
        "BootMode": vm.boot_mode,
        "BsuOptimized": vm.bsu_optimized,
        "ClientToken": vm.client_token,
        "CreationDate": date(vm.created),
        "DeletionProtection": vm.deletion_protection,
        "Hypervisor": "xen",
        "ImageId": vm.image_id,
        "IsSourceDestChecked": True,
        "KeypairName": vm.keypair_name,
        "LaunchNumber": vm.launch_number,
        "NestedVirtualization": False,
        "Performance": vm.performance,
        "Placement": {"SubregionName": vm.subregion, "Tenancy": vm.tenancy},
        "ProductCodes": list(vm.product_codes),
        "ReservationId": vm.reservation_id,
        "RootDeviceName": vm.root_device,
        "RootDeviceType": "ebs",
        "ShutdownBehaviorConfiguration": {
            "GuestAction": "terminate" if vm.shutdown_behavior == "terminate" else "stop",
            "HostAction": "stop",
        },
        "State": vm.state,
        "StateReason": vm.state_reason,
        "Tags": tag_views(vm),
        "TpmEnabled": False,
        "UserData": vm.user_data,
        "VmId": vm.id,
        "VmInitiatedShutdownBehavior": vm.shutdown_behavior,
        "VmType": vm.type,
    }
    if vm.state not in ENDED:
        view |= _while_alive(cloud, vm)
    return without_none(view)


def _while_alive(cloud: LocalCloud, vm: Vm) -> Json:
    public_ip = cloud.public_ip_of(vm)
    groups = [cloud.store.get(SecurityGroup, each) for each in vm.security_group_ids]
    subnet = cloud.store.get(Subnet, vm.subnet_id) if vm.subnet_id else None
    return {
        "BlockDeviceMappings": [_device_view(each) for each in _ordered_volumes(cloud, vm)],
        "NetId": subnet.net_id if subnet else None,
        "Nics": [],
        "PrivateDnsName": vm.private_dns_name,
        "PrivateIp": vm.private_ip,
        "PublicDnsName": public_dns_name(public_ip, vm.region) if public_ip else None,
        "PublicIp": public_ip,
        "SecurityGroups": [
            {"SecurityGroupId": each.id, "SecurityGroupName": each.name} for each in groups if each is not None
        ],
        "SubnetId": vm.subnet_id,
    }


def _ordered_volumes(cloud: LocalCloud, vm: Vm) -> list[Volume]:
    """A VM's volumes, the root first."""
    found = vmdisks.volumes_of(cloud, vm.id)
    return sorted(found, key=lambda each: each.link is None or each.link.device_name != vm.root_device)


def _device_view(volume: Volume) -> Json:
    if volume.link is None:
        return {}
    bsu = {
        "DeleteOnVmDeletion": volume.link.delete_on_vm_deletion,
        "LinkDate": date(volume.link.linked),
        "State": volume.link.state,
        "VolumeId": volume.id,
    }
    return {"Bsu": bsu, "DeviceName": volume.link.device_name}


@listing(
    "Vms",
    "Architectures BootModes ClientTokens CreationDates ImageIds KeypairNames LaunchNumbers NetIds PrivateIps PublicIps"
    " ReservationIds RootDeviceNames StateReasons SubnetIds VmIds VmTypes",
    BlockDeviceMappingDeviceNames="BlockDeviceMappings.DeviceName",
    BlockDeviceMappingStates="BlockDeviceMappings.Bsu.State",
    BlockDeviceMappingVolumeIds="BlockDeviceMappings.Bsu.VolumeId",
    ProductCodes="ProductCodes",
    SecurityGroupIds="SecurityGroups.SecurityGroupId",
    SecurityGroupNames="SecurityGroups.SecurityGroupName",
    SubregionNames="Placement.SubregionName",
    Tenancies="Placement.Tenancy",
    VmStateNames="State",
)
def read_vms(cloud: LocalCloud, caller: Account) -> list[Json]:
    return [vm_view(cloud, each) for each in cloud.owned(caller, Vm)]


class ReadVmsStateRequest(ReadRequest):
    all_vms: bool | None = None


@action("ReadVmsState", ReadVmsStateRequest)
def read_vms_state(cloud: LocalCloud, caller: Account, request: ReadVmsStateRequest) -> Json:
    """Only running VMs, unless all are asked for (recorded: a stopped one is not listed)."""
    views = [
        {"MaintenanceEvents": [], "SubregionName": each.subregion, "VmId": each.id, "VmState": each.state}
        for each in cloud.owned(caller, Vm)
        if request.all_vms or each.state == "running"
    ]
    return paged(request, "VmStates", filtered(request, views, paths("SubregionNames VmIds VmStates")))


@action("StartVms")
def start_vms(cloud: LocalCloud, caller: Account, *, vm_ids: list[str]) -> Json:
    """Start stopped VMs; those that run already stay as they are."""
    goals = {"stopped": "pending", "running": "running", "pending": "pending"}
    return _each(cloud, caller, vm_ids, goals, vmwork.start_vm)


@action("StopVms")
def stop_vms(cloud: LocalCloud, caller: Account, *, vm_ids: list[str], force_stop: bool | None = None) -> Json:
    """Stop running VMs: the power button, or with `force_stop` the plug."""
    goals = {"running": "stopping", "stopping": "stopping", "stopped": "stopped", "pending": "stopping"}
    force = bool(force_stop)
    return _each(cloud, caller, vm_ids, goals, partial(vmwork.stop_vm, force=force), again=force)


@action("RebootVms")
def reboot_vms(cloud: LocalCloud, caller: Account, *, vm_ids: list[str]) -> None:
    """Restart running VMs; they stay in the state running."""
    _each(cloud, caller, vm_ids, {"running": "running"}, vmwork.reboot_vm, again=True)


@action("DeleteVms")
def delete_vms(cloud: LocalCloud, caller: Account, *, vm_ids: list[str]) -> Json:
    """Delete VMs in any state, with the volumes that are set to go with them."""
    for each in vm_ids:
        if cloud.own(caller, Vm, each, Fail.NO_VM).deletion_protection:
            raise RefusedError(Fail.VM_PROTECTED, f"The VM {each} is protected against deletion.")
    states = ("pending", "running", "stopping", "stopped", "quarantine", "shutting-down")
    changes = _each(
        cloud, caller, vm_ids, dict.fromkeys(states, "shutting-down") | {"terminated": "terminated"}, vmwork.delete_vm
    )
    for volume in (each for vm_id in vm_ids for each in vmdisks.volumes_of(cloud, vm_id)):
        if volume.link is not None:
            link = volume.link.model_copy(update={"state": "detaching"})
            cloud.store.put(volume.model_copy(update={"link": link}))
    return changes


def _each(
    cloud: LocalCloud,
    caller: Account,
    vm_ids: list[str],
    goals: Mapping[str, str],
    work: vmwork.Work,
    *,
    again: bool = False,
) -> Json:
    """Move each VM to the state that `goals` names for its present one, and start `work` where that is a change.

    All VMs are checked before any is changed; `again` starts the work also where the state stays.
    """
    if not vm_ids:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'VmIds' is required.")
    vms = [cloud.own(caller, Vm, each, Fail.NO_VM) for each in dict.fromkeys(vm_ids)]
    for vm in vms:
        if vm.state not in goals:
            raise RefusedError(Fail.STATE, f"The VM {vm.id} is {vm.state}: allowed is {', '.join(goals)}.")
    changes = []
    for vm in vms:
        goal = goals[vm.state]
        if goal != vm.state:
            cloud.store.put(vm.model_copy(update={"state": goal, "state_reason": ""}))
        if goal != vm.state or again:
            cloud.later(f"{goal} {vm.id}", partial(work, cloud, vm.id))
        changes.append({"CurrentState": goal, "PreviousState": vm.state, "VmId": vm.id})
    return {"Vms": changes}


def check_type(value: str) -> str:
    """A VM type by its form: tinavW.cXrYpZ or an AWS name."""
    if not (_TINA_TYPE.fullmatch(value) or _AWS_TYPE.fullmatch(value)):
        raise RefusedError(Fail.NO_VM_TYPE, f"The VM type '{value}' does not exist: tinavW.cXrYpZ is expected.")
    return value


def check_shutdown_behavior(value: str) -> str:
    return one_of("VmInitiatedShutdownBehavior", value, SHUTDOWN_BEHAVIORS)


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise RefusedError(Fail.BAD_VALUE, f"The {name} '{value}' is not valid: {', '.join(allowed)}.")
    return value


def check_user_data(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        raise RefusedError(Fail.BAD_VALUE, "The UserData is not base64.") from None
    if len(text) > MAX_USER_DATA:
        raise RefusedError(Fail.BAD_LENGTH, f"The UserData has more than {MAX_USER_DATA // 1024} KiB.")
    return text


@action("UpdateVm", UpdateVmRequest)
def update_vm(cloud: LocalCloud, caller: Account, request: UpdateVmRequest) -> Json:
    vm = cloud.own(caller, Vm, request.vm_id, Fail.NO_VM)
    stopped: dict[str, object] = {}
    if request.vm_type:
        stopped["type"] = check_type(request.vm_type)
    if request.user_data is not None:
        stopped["user_data"] = check_user_data(request.user_data)
    if request.keypair_name:
        keypair = find_keypair(cloud, caller, name=request.keypair_name)
        stopped |= {"keypair_name": keypair.name, "public_key": keypair.public_key}
    any_time: dict[str, object] = {}
    if request.vm_initiated_shutdown_behavior:
        any_time["shutdown_behavior"] = check_shutdown_behavior(request.vm_initiated_shutdown_behavior)
    if request.deletion_protection is not None:
        any_time["deletion_protection"] = request.deletion_protection
    if request.bsu_optimized is not None:
        any_time["bsu_optimized"] = request.bsu_optimized
    if request.performance:
        any_time["performance"] = request.performance
    if stopped and vm.state != "stopped":
        raise RefusedError(Fail.STATE, f"The VM {vm.id} is {vm.state}; that changes only when it is stopped.")
    if request.security_group_ids:
        subnet = cloud.store.get(Subnet, vm.subnet_id) if vm.subnet_id else None
        ids = request.security_group_ids
        groups = [cloud.own(caller, SecurityGroup, each, Fail.NO_SECURITY_GROUP) for each in ids]
        check_net(groups, subnet.net_id if subnet else None)
        any_time["security_group_ids"] = tuple(each.id for each in groups)
    return {"Vm": vm_view(cloud, cloud.store.put(vm.model_copy(update=any_time | stopped)))}


@action("ReadConsoleOutput")
def read_console_output(cloud: LocalCloud, caller: Account, *, vm_id: str) -> Json:
    vm = cloud.own(caller, Vm, vm_id, Fail.NO_VM)
    return {"ConsoleOutput": base64.b64encode(cloud.machines.console(vm.id)).decode(), "VmId": vm.id}
