"""OAPI: CreateVms, and what it may ask for."""

from __future__ import annotations

from functools import partial

from sandbox.cloud import vmwork
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.devices import DEFAULT_SIZE_GIB, check_device_name, check_volume
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.ids import new_id
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
from sandbox.cloud.security_groups import default_group
from sandbox.oapi.base import Json, action
from sandbox.oapi.images import launchable_image
from sandbox.oapi.keypairs import find_keypair
from sandbox.oapi.nets import free_address
from sandbox.oapi.request import BootMode, CreateVmsRequest, PlacementPart, ShutdownPart, VmDevicePart
from sandbox.oapi.security_groups import check_net, find_group
from sandbox.oapi.snapshots import usable_snapshot
from sandbox.oapi.vms import check_shutdown_behavior, check_type, check_user_data, one_of, vm_view

DEFAULT_TYPE = "t2.small"
TENANCIES = ("default", "dedicated")


@action("CreateVms", CreateVmsRequest)
def create_vms(cloud: LocalCloud, caller: Account, request: CreateVmsRequest) -> Json:
    """Launch VMs from an image; the same client token again answers with the same VMs."""
    _check_nics(request)
    least = 1 if request.min_vms_count is None else request.min_vms_count
    most = 1 if request.max_vms_count is None else request.max_vms_count
    if known := cloud.made_before(caller, Vm, request.client_token):
        return {"Vms": [vm_view(cloud, each) for each in known]}
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
            | ({"address": free_address(cloud, subnet)} if subnet else {})
        )
        vms.append(cloud.store.put(vm))
        for device in devices:
            _put_volume(cloud, vm, device)
        cloud.later(
            f"launch {vm.id}", partial(vmwork.launch_vm, cloud, vm.id, boot=request.boot_on_creation is not False)
        )
    return {"Vms": [vm_view(cloud, each) for each in vms]}


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


def _template(cloud: LocalCloud, caller: Account, image: Image, request: CreateVmsRequest, subnet: Subnet | None) -> Vm:
    region = cloud.region(caller)
    placement = request.placement or PlacementPart()
    shutdown = request.shutdown_behavior_configuration or ShutdownPart()
    subregion = placement.subregion_name or (subnet.subregion if subnet else region.subregions[0])
    cloud.check_subregion(caller, subregion)
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
        tenancy=one_of("Tenancy", placement.tenancy or "default", TENANCIES),
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
    """The mode of the boot; an image that lists both boots by uefi, as recorded on OUTSCALE."""
    if wanted is None:
        return "uefi" if "uefi" in image.boot_modes else "legacy"
    if wanted not in image.boot_modes:
        modes = ", ".join(image.boot_modes)
        raise RefusedError(Fail.BAD_VALUE, f"The image {image.id} does not support the boot mode {wanted}: {modes}.")
    return wanted


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
