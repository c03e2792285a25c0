"""OAPI: VMs."""

from __future__ import annotations

import base64

from sandbox.cloud import vmdisks, vms
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail
from sandbox.cloud.filters import Getter, maybe, text
from sandbox.cloud.keypairs import find_keypair
from sandbox.cloud.metadata import public_dns_name
from sandbox.cloud.model import Account, SecurityGroup, Subnet, Vm, Volume
from sandbox.cloud.public_ips import public_ip_of
from sandbox.cloud.request import CreateVmsRequest, Performance, Request
from sandbox.machines.protocol import MachineError
from sandbox.oapi.base import (
    Json,
    ReadRequest,
    action,
    date,
    filtered,
    paged,
    tag_getters,
    tag_views,
    without_none,
)

ENDED = ("shutting-down", "terminated")


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
    public_ip = public_ip_of(cloud, vm)
    groups = [cloud.store.get(SecurityGroup, each) for each in vm.security_group_ids]
    subnet = cloud.store.get(Subnet, vm.subnet_id) if vm.subnet_id else None
    return {
        "BlockDeviceMappings": [_device_view(each) for each in ordered_volumes(cloud, vm)],
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


def ordered_volumes(cloud: LocalCloud, vm: Vm) -> list[Volume]:
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


def _filters(cloud: LocalCloud) -> dict[str, Getter[Vm]]:
    def links(vm: Vm) -> list[Volume]:
        return vmdisks.volumes_of(cloud, vm.id)

    def group_names(vm: Vm) -> list[str]:
        found = [cloud.store.get(SecurityGroup, each) for each in vm.security_group_ids]
        return [each.name for each in found if each is not None]

    def net_ids(vm: Vm) -> list[str]:
        subnet = cloud.store.get(Subnet, vm.subnet_id) if vm.subnet_id else None
        return [subnet.net_id] if subnet else []

    return {
        "Architectures": lambda one: [one.architecture],
        "BlockDeviceMappingDeviceNames": lambda one: [each.link.device_name for each in links(one) if each.link],
        "BlockDeviceMappingStates": lambda one: [each.link.state for each in links(one) if each.link],
        "BlockDeviceMappingVolumeIds": lambda one: [each.id for each in links(one)],
        "BootModes": lambda one: [one.boot_mode],
        "ClientTokens": lambda one: maybe(one.client_token),
        "CreationDates": lambda one: [date(one.created)],
        "ImageIds": lambda one: [one.image_id],
        "KeypairNames": lambda one: maybe(one.keypair_name),
        "LaunchNumbers": lambda one: [text(one.launch_number)],
        "NetIds": net_ids,
        "PrivateIps": lambda one: [one.private_ip],
        "ProductCodes": lambda one: one.product_codes,
        "PublicIps": lambda one: maybe(public_ip_of(cloud, one)),
        "ReservationIds": lambda one: [one.reservation_id],
        "RootDeviceNames": lambda one: [one.root_device],
        "SecurityGroupIds": lambda one: one.security_group_ids,
        "SecurityGroupNames": group_names,
        "StateReasons": lambda one: [one.state_reason],
        "SubnetIds": lambda one: maybe(one.subnet_id),
        "SubregionNames": lambda one: [one.subregion],
        "Tenancies": lambda one: [one.tenancy],
        "VmIds": lambda one: [one.id],
        "VmStateNames": lambda one: [one.state],
        "VmTypes": lambda one: [one.type],
        **tag_getters(),
    }


@action("ReadVms", ReadRequest)
def read_vms(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    found = filtered(request, cloud.owned(caller, Vm), _filters(cloud))
    return paged(request, "Vms", [vm_view(cloud, each) for each in found])


class ReadVmsStateRequest(ReadRequest):
    all_vms: bool | None = None


@action("ReadVmsState", ReadVmsStateRequest)
def read_vms_state(cloud: LocalCloud, caller: Account, request: ReadVmsStateRequest) -> Json:
    """Only running VMs, unless all are asked for (recorded: a stopped one is not listed)."""
    getters: dict[str, Getter[Vm]] = {
        "SubregionNames": lambda one: [one.subregion],
        "VmIds": lambda one: [one.id],
        "VmStates": lambda one: [one.state],
    }
    found = filtered(request, cloud.owned(caller, Vm), getters)
    views = [
        {
            "MaintenanceEvents": [],
            "SubregionName": each.subregion,
            "VmId": each.id,
            "VmState": each.state,
        }
        for each in found
        if request.all_vms or each.state == "running"
    ]
    return paged(request, "VmStates", views)


@action("CreateVms", CreateVmsRequest)
def create_vms(cloud: LocalCloud, caller: Account, request: CreateVmsRequest) -> Json:
    return {"Vms": [vm_view(cloud, each) for each in vms.launch(cloud, caller, request)]}


class VmsRequest(Request):
    vm_ids: list[str]


class StopVmsRequest(VmsRequest):
    force_stop: bool | None = None


def _changes(changes: list[vms.StateChange]) -> Json:
    return {"Vms": [{"CurrentState": each.after, "PreviousState": each.before, "VmId": each.vm_id} for each in changes]}


@action("StartVms", VmsRequest)
def start_vms(cloud: LocalCloud, caller: Account, request: VmsRequest) -> Json:
    return _changes(vms.start(cloud, caller, request.vm_ids))


@action("StopVms", StopVmsRequest)
def stop_vms(cloud: LocalCloud, caller: Account, request: StopVmsRequest) -> Json:
    return _changes(vms.stop(cloud, caller, request.vm_ids, force=bool(request.force_stop)))


@action("RebootVms", VmsRequest)
def reboot_vms(cloud: LocalCloud, caller: Account, request: VmsRequest) -> Json:
    vms.reboot(cloud, caller, request.vm_ids)
    return {}


@action("DeleteVms", VmsRequest)
def delete_vms(cloud: LocalCloud, caller: Account, request: VmsRequest) -> Json:
    return _changes(vms.delete(cloud, caller, request.vm_ids))


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


@action("UpdateVm", UpdateVmRequest)
def update_vm(cloud: LocalCloud, caller: Account, request: UpdateVmRequest) -> Json:
    cloud.own(caller, Vm, request.vm_id, Fail.NO_VM)
    stopped: dict[str, object] = {}
    if request.vm_type:
        stopped["type"] = vms.check_type(request.vm_type)
    if request.user_data is not None:
        stopped["user_data"] = vms.check_user_data(request.user_data)
    if request.keypair_name:
        keypair = find_keypair(cloud, caller, name=request.keypair_name)
        stopped |= {"keypair_name": keypair.name, "public_key": keypair.public_key}
    any_time: dict[str, object] = {}
    if request.vm_initiated_shutdown_behavior:
        any_time["shutdown_behavior"] = vms.check_shutdown_behavior(request.vm_initiated_shutdown_behavior)
    if request.deletion_protection is not None:
        any_time["deletion_protection"] = request.deletion_protection
    if request.bsu_optimized is not None:
        any_time["bsu_optimized"] = request.bsu_optimized
    if request.performance:
        any_time["performance"] = request.performance
    vm = vms.update(
        cloud,
        caller,
        request.vm_id,
        security_group_ids=request.security_group_ids,
        stopped_only=stopped,
        any_time=any_time,
    )
    return {"Vm": vm_view(cloud, vm)}


class ReadConsoleOutputRequest(Request):
    vm_id: str


@action("ReadConsoleOutput", ReadConsoleOutputRequest)
def read_console_output(cloud: LocalCloud, caller: Account, request: ReadConsoleOutputRequest) -> Json:
    vm = cloud.own(caller, Vm, request.vm_id, Fail.NO_VM)
    return {"ConsoleOutput": base64.b64encode(console_of(cloud, vm)).decode(), "VmId": vm.id}


def console_of(cloud: LocalCloud, vm: Vm) -> bytes:
    """The last 64 KiB of a VM's console; nothing where it has none yet."""
    try:
        return cloud.machines.console(vm.id)
    except MachineError:
        return b""
