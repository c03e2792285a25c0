"""FCU: instances (VMs)."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from sandbox.cloud import vmdisks, vms
from sandbox.cloud.context import Cloud
from sandbox.cloud.errors import Fail
from sandbox.cloud.filters import Getter, maybe
from sandbox.cloud.metadata import public_dns_name
from sandbox.cloud.model import Account, SecurityGroup, Vm, Volume, now
from sandbox.cloud.public_ips import public_ip_of
from sandbox.fcu.base import (
    ROOT_DEVICE_TYPE,
    by_ids,
    device_request,
    filtered,
    operation,
    required,
    tag_getters,
    tag_views,
    tags_of,
)
from sandbox.fcu.protocol import Json
from sandbox.machines.protocol import MachineError

STATE_CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
    "quarantine": 272,
}


def _state(name: str) -> Json:
    return {"Code": STATE_CODES[name], "Name": name}


def _device_view(volume: Volume) -> Json:
    if volume.link is None:
        return {}
    ebs = {
        "VolumeId": volume.id,
        "Status": volume.link.state,
        "AttachTime": volume.link.linked,
        "DeleteOnTermination": volume.link.delete_on_vm_deletion,
    }
    return {"DeviceName": volume.link.device_name, "Ebs": ebs}


def group_views(cloud: Cloud, vm: Vm) -> list[Json]:
    groups = [cloud.store.get(SecurityGroup, each) for each in vm.security_group_ids]
    return [{"GroupId": each.id, "GroupName": each.name} for each in groups if each is not None]


def vm_view(cloud: Cloud, vm: Vm) -> Json:
    alive = vm.state not in ("shutting-down", "terminated")
    public_ip = public_ip_of(cloud, vm) if alive else None
    reason = {"Code": vm.state_reason.partition(":")[0], "Message": vm.state_reason} if vm.state_reason else None
    return {
        "InstanceId": vm.id,
        "ImageId": vm.image_id,
        "State": _state(vm.state),
        "StateTransitionReason": vm.state_reason,
        "StateReason": reason,
        "PrivateDnsName": vm.private_dns_name if alive else "",
        "PublicDnsName": public_dns_name(public_ip, vm.region) if public_ip else "",
        "KeyName": vm.keypair_name,
        "AmiLaunchIndex": vm.launch_number,
        "ProductCodes": [{"ProductCodeId": each, "ProductCodeType": "marketplace"} for each in vm.product_codes],
        "InstanceType": vm.type,
        "LaunchTime": vm.created,
        "Placement": {"AvailabilityZone": vm.subregion, "Tenancy": vm.tenancy},
        "Monitoring": {"State": "disabled"},
        "PrivateIpAddress": vm.private_ip if alive else None,
        "PublicIpAddress": public_ip,
        "Architecture": vm.architecture,
        "RootDeviceType": ROOT_DEVICE_TYPE,
        "RootDeviceName": vm.root_device,
        "BlockDeviceMappings": [_device_view(each) for each in vmdisks.volumes_of(cloud, vm.id)] if alive else [],
        "VirtualizationType": "hvm",
        "ClientToken": vm.client_token or "",
        "Hypervisor": "xen",
        "EbsOptimized": vm.bsu_optimized,
        "SecurityGroups": group_views(cloud, vm) if alive else [],
        "Tags": tag_views(vm),
    }


def _reservation(cloud: Cloud, members: list[Vm]) -> Json:
    return {
        "ReservationId": members[0].reservation_id,
        "OwnerId": members[0].account_id,
        "Groups": group_views(cloud, members[0]),
        "Instances": [vm_view(cloud, each) for each in members],
    }


def _filters(cloud: Cloud) -> dict[str, Getter[Vm]]:
    return {
        "architecture": lambda one: [one.architecture],
        "availability-zone": lambda one: [one.subregion],
        "block-device-mapping.volume-id": lambda one: [each.id for each in vmdisks.volumes_of(cloud, one.id)],
        "client-token": lambda one: maybe(one.client_token),
        "group-id": lambda one: one.security_group_ids,
        "instance.group-id": lambda one: one.security_group_ids,
        "image-id": lambda one: [one.image_id],
        "instance-id": lambda one: [one.id],
        "instance-state-code": lambda one: [str(STATE_CODES[one.state])],
        "instance-state-name": lambda one: [one.state],
        "instance-type": lambda one: [one.type],
        "ip-address": lambda one: maybe(public_ip_of(cloud, one)),
        "key-name": lambda one: maybe(one.keypair_name),
        "owner-id": lambda one: [one.account_id],
        "private-ip-address": lambda one: [one.private_ip],
        "reservation-id": lambda one: [one.reservation_id],
        "root-device-name": lambda one: [one.root_device],
        **tag_getters(),
    }


@operation("DescribeInstances", "InstanceIds", "Filters")
def describe_instances(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    own = cloud.owned(caller, Vm)
    found = by_ids(parameters.get("InstanceIds"), own, lambda one: one.id, Fail.NO_VM)
    reservations: dict[str, list[Vm]] = {}
    for vm in filtered(parameters, found, _filters(cloud)):
        reservations.setdefault(vm.reservation_id, []).append(vm)
    return {"Reservations": [_reservation(cloud, each) for each in reservations.values()]}


@operation(
    "RunInstances",
    "BlockDeviceMappings",
    "ClientToken",
    "DisableApiTermination",
    "EbsOptimized",
    "ImageId",
    "InstanceInitiatedShutdownBehavior",
    "InstanceType",
    "KeyName",
    "MaxCount",
    "MinCount",
    "Placement",
    "SecurityGroupIds",
    "SecurityGroups",
    "TagSpecifications",
    "UserData",
)
def run_instances(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    placement = parameters.get("Placement", {})
    launched = vms.launch(
        cloud,
        caller,
        vms.LaunchRequest(
            image_id=required(parameters, "ImageId"),
            least=required(parameters, "MinCount"),
            most=required(parameters, "MaxCount"),
            type=parameters.get("InstanceType"),
            keypair_name=parameters.get("KeyName"),
            security_group_ids=tuple(parameters.get("SecurityGroupIds", ())),
            security_group_names=tuple(parameters.get("SecurityGroups", ())),
            subregion=placement.get("AvailabilityZone"),
            tenancy=placement.get("Tenancy"),
            user_data=parameters.get("UserData"),
            shutdown_behavior=parameters.get("InstanceInitiatedShutdownBehavior"),
            devices=tuple(device_request(each) for each in parameters.get("BlockDeviceMappings", [])),
            bsu_optimized=bool(parameters.get("EbsOptimized")),
            deletion_protection=bool(parameters.get("DisableApiTermination")),
            client_token=parameters.get("ClientToken"),
            tags=tags_of(parameters, "instance"),
            volume_tags=tags_of(parameters, "volume"),
        ),
    )
    return _reservation(cloud, launched)


def _changes(changes: Iterable[vms.StateChange]) -> list[Json]:
    return [
        {"InstanceId": each.vm_id, "CurrentState": _state(each.after), "PreviousState": _state(each.before)}
        for each in changes
    ]


@operation("StartInstances", "InstanceIds")
def start_instances(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    return {"StartingInstances": _changes(vms.start(cloud, caller, required(parameters, "InstanceIds")))}


@operation("StopInstances", "InstanceIds", "Force")
def stop_instances(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    force = bool(parameters.get("Force"))
    return {"StoppingInstances": _changes(vms.stop(cloud, caller, required(parameters, "InstanceIds"), force=force))}


@operation("RebootInstances", "InstanceIds")
def reboot_instances(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    vms.reboot(cloud, caller, required(parameters, "InstanceIds"))
    return {}


@operation("TerminateInstances", "InstanceIds")
def terminate_instances(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    return {"TerminatingInstances": _changes(vms.delete(cloud, caller, required(parameters, "InstanceIds")))}


@operation("GetConsoleOutput", "InstanceId")
def get_console_output(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    vm = cloud.own(caller, Vm, required(parameters, "InstanceId"), Fail.NO_VM)
    try:
        output = cloud.machines.console(vm.id)
    except MachineError:
        output = b""
    return {"InstanceId": vm.id, "Output": base64.b64encode(output).decode(), "Timestamp": now()}
