"""VMs: what a launch may ask for, and the calls that start, stop and delete them."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from sandbox.cloud import nets, vmdisks, vmwork
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.devices import DEFAULT_SIZE_GIB, check_device_name, check_volume
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.ids import new_id
from sandbox.cloud.images import launchable_image
from sandbox.cloud.keypairs import find_keypair
from sandbox.cloud.model import (
    Account,
    Image,
    ImageMapping,
    SecurityGroup,
    Snapshot,
    Subnet,
    Vm,
    Volume,
    VolumeLink,
    now,
)
from sandbox.cloud.request import BootMode, CreateVmsRequest, PlacementPart, ShutdownPart, VmDevicePart
from sandbox.cloud.security_groups import check_net, default_group, find_group
from sandbox.cloud.snapshots import usable_snapshot

DEFAULT_TYPE = "t2.small"
MAX_USER_DATA = 500 * 1024
SHUTDOWN_BEHAVIORS = ("stop", "restart", "terminate")
TENANCIES = ("default", "dedicated")
_TINA_TYPE = re.compile(r"tinav[1-9]\.c[1-9][0-9]?r[1-9][0-9]{0,2}(p[1-3])?")
_AWS_TYPE = re.compile(r"(t2|m1|m3|m4|m5|c3|c4|c5|r3|r4|r5)\.(nano|micro|small|medium|large|[0-9]*xlarge)")


@dataclass(frozen=True)
class StateChange:
    """A VM's state before and after a call."""

    vm_id: str
    before: str
    after: str


def launch(cloud: LocalCloud, caller: Account, request: CreateVmsRequest) -> list[Vm]:
    """Launch VMs from an image; the same client token again answers with the same VMs."""
    _check_nics(request)
    least = 1 if request.min_vms_count is None else request.min_vms_count
    most = 1 if request.max_vms_count is None else request.max_vms_count
    with cloud.transaction() as store:
        if known := cloud.made_before(caller, Vm, request.client_token):
            return known
        if not 1 <= least <= most:
            raise RefusedError(Fail.BAD_COUNT, f"MinVmsCount {least} and MaxVmsCount {most} are not valid.")
        image = launchable_image(cloud, caller, request.image_id)
        devices = _devices(cloud, caller, image, request.block_device_mappings or [])
        subnet = _subnet(cloud, caller, request)
        template = _template(cloud, caller, image, request, subnet)
        vms = []
        for number in range(most):
            vm = template.model_copy(
                update={"id": cloud.fresh_id(Vm), "slot": cloud.free_slot(), "launch_number": number}
                | ({"address": nets.free_address(cloud, subnet)} if subnet else {})
            )
            vms.append(store.put(vm))
            for device in devices:
                _put_volume(cloud, vm, device)
            cloud.later(f"launch {vm.id}", _launcher(cloud, vm.id, request.boot_on_creation is not False))
        return vms


def _check_nics(request: CreateVmsRequest) -> None:
    """There are no NICs but those that VMs are made with."""
    nics = request.nics or []
    if nics and (request.subnet_id or request.security_group_ids):
        raise RefusedError(Fail.BAD_COMBINATION, "Nics can't be given with SubnetId or SecurityGroupIds.")
    for nic in nics:
        if nic.nic_id:
            raise RefusedError(Fail.NO_NIC, f"The NIC '{nic.nic_id}' does not exist.")
    if len(nics) > 1:
        raise RefusedError(Fail.NO_NIC, "The sandbox gives VMs one NIC each.")


def _subnet(cloud: LocalCloud, caller: Account, request: CreateVmsRequest) -> Subnet | None:
    wanted = request.subnet_id or next((nic.subnet_id for nic in request.nics or ()), None)
    return cloud.own(caller, Subnet, wanted, Fail.NO_SUBNET) if wanted else None


def _launcher(cloud: LocalCloud, vm_id: str, boot: bool) -> vmwork.Job:
    return lambda: vmwork.launch_vm(cloud, vm_id, boot=boot)


def _template(cloud: LocalCloud, caller: Account, image: Image, request: CreateVmsRequest, subnet: Subnet | None) -> Vm:
    region = cloud.region(caller)
    placement = request.placement or PlacementPart()
    shutdown = request.shutdown_behavior_configuration or ShutdownPart()
    subregion = placement.subregion_name or (subnet.subregion if subnet else region.subregions[0])
    if subregion not in region.subregions:
        raise RefusedError(Fail.NO_SUBREGION, f"The Subregion '{subregion}' does not exist in {region.name}.")
    if subnet and subregion != subnet.subregion:
        raise RefusedError(Fail.SUBREGION_MISMATCH, f"The Subnet {subnet.id} is in {subnet.subregion}.")
    keypair = find_keypair(cloud, caller, name=request.keypair_name) if request.keypair_name else None
    groups = _groups(cloud, caller, request, subnet.net_id if subnet else None)
    return Vm(
        id="",
        account_id=caller.id,
        region=caller.region,
        created=now(),
        image_id=image.id,
        type=check_type(request.vm_type or DEFAULT_TYPE),
        keypair_name=keypair.name if keypair else None,
        public_key=keypair.public_key if keypair else None,
        subregion=subregion,
        tenancy=_one_of("Tenancy", placement.tenancy or "default", TENANCIES),
        state="pending",
        user_data=check_user_data(request.user_data or ""),
        shutdown_behavior=check_shutdown_behavior(
            shutdown.guest_action or request.vm_initiated_shutdown_behavior or "stop"
        ),
        security_group_ids=tuple(dict.fromkeys(each.id for each in groups)),
        slot=0,
        subnet_id=subnet.id if subnet else None,
        reservation_id=new_id("r"),
        launch_number=0,
        root_device=image.root_device,
        architecture=image.architecture,
        product_codes=image.product_codes,
        boot_mode=_boot_mode(image, request.boot_mode),
        bsu_optimized=bool(request.bsu_optimized),
        performance=request.performance or "high",
        deletion_protection=bool(request.deletion_protection),
        client_token=request.client_token or None,
    )


def _groups(cloud: LocalCloud, caller: Account, request: CreateVmsRequest, net_id: str | None) -> list[SecurityGroup]:
    of_nics = (each for nic in request.nics or () for each in nic.security_group_ids or ())
    ids = (*(request.security_group_ids or ()), *of_nics)
    groups = [find_group(cloud, caller, group_id=each) for each in ids]
    groups += [find_group(cloud, caller, name=each) for each in request.security_groups or ()]
    return check_net(groups, net_id) or [default_group(cloud, caller, net_id)]


def _boot_mode(image: Image, wanted: BootMode | None) -> str:
    """An image that lists both boots uefi, as was recorded on OUTSCALE."""
    if wanted is None:
        return "uefi" if "uefi" in image.boot_modes else "legacy"
    if wanted not in image.boot_modes:
        modes = ", ".join(image.boot_modes)
        raise RefusedError(Fail.BAD_VALUE, f"The image {image.id} does not support the boot mode {wanted}: {modes}.")
    return wanted


def check_type(value: str) -> str:
    """A VM type by its form: tinavW.cXrYpZ or an AWS name."""
    if not (_TINA_TYPE.fullmatch(value) or _AWS_TYPE.fullmatch(value)):
        raise RefusedError(Fail.NO_VM_TYPE, f"The VM type '{value}' does not exist: tinavW.cXrYpZ is expected.")
    return value


def check_shutdown_behavior(value: str) -> str:
    return _one_of("VmInitiatedShutdownBehavior", value, SHUTDOWN_BEHAVIORS)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
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


def _devices(cloud: LocalCloud, caller: Account, image: Image, requests: list[VmDevicePart]) -> list[ImageMapping]:
    """The image's devices with what the launch changes or adds; the root comes first.

    A snapshot id of "" in the result means an empty volume.
    """
    wanted: dict[str, VmDevicePart] = {}
    for request in requests:
        name = check_device_name(request.device_name, root=image.root_device)
        if name in wanted:
            raise RefusedError(Fail.BAD_MAPPING, f"The device name {name} occurs twice in the block device mappings.")
        wanted[name] = request
    devices = []
    ordered = sorted(image.mappings, key=lambda each: each.device_name != image.root_device)
    for mapping in ordered:
        request = wanted.pop(mapping.device_name, VmDevicePart(DeviceName=mapping.device_name))
        if request.no_device is not None and mapping.device_name != image.root_device:
            continue
        devices.append(_override(cloud, mapping, request))
    return devices + [_extra(cloud, caller, request) for request in wanted.values() if request.no_device is None]


def _override(cloud: LocalCloud, mapping: ImageMapping, request: VmDevicePart) -> ImageMapping:
    disk = request.disk
    if disk.snapshot_id and disk.snapshot_id != mapping.snapshot_id:
        raise RefusedError(Fail.BAD_MAPPING, f"The snapshot of {mapping.device_name} is set by the image.")
    snapshot = cloud.store.get(Snapshot, mapping.snapshot_id)
    kind = disk.volume_type or mapping.type
    iops = disk.iops or (mapping.iops if kind == "io1" else None)
    least = snapshot.size if snapshot else mapping.size
    size, kind, iops = check_volume(disk.volume_size or mapping.size, kind, iops, least)
    delete = disk.delete_on_vm_deletion
    return mapping.model_copy(
        update={
            "size": size,
            "type": kind,
            "iops": iops,
            "delete_on_vm_deletion": mapping.delete_on_vm_deletion if delete is None else delete,
        }
    )


def _extra(cloud: LocalCloud, caller: Account, request: VmDevicePart) -> ImageMapping:
    disk = request.disk
    least = usable_snapshot(cloud, caller, disk.snapshot_id).size if disk.snapshot_id else None
    size, kind, iops = check_volume(disk.volume_size or least or DEFAULT_SIZE_GIB, disk.volume_type, disk.iops, least)
    return ImageMapping(
        device_name=request.device_name or "",
        snapshot_id=disk.snapshot_id or "",
        size=size,
        type=kind,
        iops=iops,
        delete_on_vm_deletion=bool(disk.delete_on_vm_deletion),
    )


def _put_volume(cloud: LocalCloud, vm: Vm, device: ImageMapping) -> None:
    link = VolumeLink(
        vm_id=vm.id,
        device_name=device.device_name,
        delete_on_vm_deletion=device.delete_on_vm_deletion,
        state="attaching",
        linked=now(),
    )
    cloud.make(
        Volume,
        vm,
        size=device.size,
        type=device.type,
        iops=device.iops,
        snapshot_id=device.snapshot_id or None,
        subregion=vm.subregion,
        state="creating",
        link=link,
    )


def start(cloud: LocalCloud, caller: Account, vm_ids: list[str]) -> list[StateChange]:
    """Start stopped VMs; those that run already stay as they are."""
    return _each(
        cloud, caller, vm_ids, {"stopped": "pending", "running": "running", "pending": "pending"}, vmwork.start_vm
    )


def stop(cloud: LocalCloud, caller: Account, vm_ids: list[str], *, force: bool) -> list[StateChange]:
    """Stop running VMs: the power button, or with `force` the plug."""
    goal = {"running": "stopping", "stopping": "stopping", "stopped": "stopped", "pending": "stopping"}
    return _each(cloud, caller, vm_ids, goal, lambda one, vm_id: vmwork.stop_vm(one, vm_id, force=force), again=force)


def reboot(cloud: LocalCloud, caller: Account, vm_ids: list[str]) -> list[StateChange]:
    """Restart running VMs; they stay in the state running."""
    return _each(cloud, caller, vm_ids, {"running": "running"}, vmwork.reboot_vm, again=True)


def delete(cloud: LocalCloud, caller: Account, vm_ids: list[str]) -> list[StateChange]:
    """Delete VMs in any state, with the volumes that are set to go with them."""
    with cloud.transaction() as store:
        for each in vm_ids:
            if cloud.own(caller, Vm, each, Fail.NO_VM).deletion_protection:
                raise RefusedError(Fail.VM_PROTECTED, f"The VM {each} is protected against deletion.")
        states = ("pending", "running", "stopping", "stopped", "quarantine")
        goal = dict.fromkeys(states, "shutting-down") | {"shutting-down": "shutting-down", "terminated": "terminated"}
        changes = _each(cloud, caller, vm_ids, goal, vmwork.delete_vm)
        for vm_id in vm_ids:
            for volume in vmdisks.volumes_of(cloud, vm_id):
                if volume.link is not None:
                    link = volume.link.model_copy(update={"state": "detaching"})
                    store.put(volume.model_copy(update={"link": link}))
        return changes


def _each(
    cloud: LocalCloud,
    caller: Account,
    vm_ids: list[str],
    goals: dict[str, str],
    work: vmwork.Work,
    *,
    again: bool = False,
) -> list[StateChange]:
    """Move each VM to the state that `goals` names for its present one, and start `work` where that is a change.

    All VMs are checked before any is changed; `again` starts the work also where the state stays.
    """
    if not vm_ids:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'VmIds' is required.")
    with cloud.transaction() as store:
        vms = [cloud.own(caller, Vm, each, Fail.NO_VM) for each in dict.fromkeys(vm_ids)]
        for vm in vms:
            if vm.state not in goals:
                raise RefusedError(Fail.STATE, f"The VM {vm.id} is {vm.state}: allowed is {', '.join(goals)}.")
        changes = []
        for vm in vms:
            goal = goals[vm.state]
            if goal != vm.state:
                store.put(vm.model_copy(update={"state": goal, "state_reason": ""}))
            if goal != vm.state or again:
                cloud.later(f"{goal} {vm.id}", _bound(work, cloud, vm.id))
            changes.append(StateChange(vm.id, vm.state, goal))
        return changes


def _bound(work: vmwork.Work, cloud: LocalCloud, vm_id: str) -> vmwork.Job:
    return lambda: work(cloud, vm_id)


def update(
    cloud: LocalCloud,
    caller: Account,
    vm_id: str,
    *,
    security_group_ids: list[str] | None = None,
    stopped_only: dict[str, object] | None = None,
    any_time: dict[str, object] | None = None,
) -> Vm:
    """Change a VM: `stopped_only` fields need it stopped (type, keypair, user data), `any_time` ones don't."""
    with cloud.transaction() as store:
        vm = cloud.own(caller, Vm, vm_id, Fail.NO_VM)
        changes: dict[str, object] = dict(any_time or {})
        if stopped_only:
            if vm.state != "stopped":
                raise RefusedError(Fail.STATE, f"The VM {vm_id} is {vm.state}; that changes only when it is stopped.")
            changes |= stopped_only
        if security_group_ids:
            subnet = store.get(Subnet, vm.subnet_id) if vm.subnet_id else None
            groups = [cloud.own(caller, SecurityGroup, each, Fail.NO_SECURITY_GROUP) for each in security_group_ids]
            check_net(groups, subnet.net_id if subnet else None)
            changes["security_group_ids"] = tuple(each.id for each in groups)
        return store.put(vm.model_copy(update=changes))
