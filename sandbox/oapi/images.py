"""OAPI: images (OMIs), their names, and who may launch them."""

from __future__ import annotations

import re

from sandbox.cloud import vmdisks
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.devices import check_device_name, check_root_device, check_volume
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.ids import check_id
from sandbox.cloud.images import complete_image
from sandbox.cloud.model import Account, Image, ImageMapping, Permissions, Snapshot, Vm
from sandbox.cloud.seeds import alias_of
from sandbox.cloud.snapshots import start_snapshot
from sandbox.oapi import exports
from sandbox.oapi.base import Json, action, date, listing, mode_of, tag_views, without_none
from sandbox.oapi.request import CreateImageRequest, DevicePart, PermissionsPart
from sandbox.oapi.snapshots import snapshot_of_volume, usable_snapshot

NAME = re.compile(r"[A-Za-z0-9_ ()/.\-]{3,128}")
ARCHITECTURES = ("i386", "x86_64")
MAX_DESCRIPTION = 255
DEFAULT_ARCHITECTURE = "x86_64"
"""OUTSCALE's default."""
MODES = {
    "vm_id": frozenset({"no_reboot"}),
    "source_image_id": frozenset({"source_region_name"}),
    "file_location": frozenset[str](),
    "block_device_mappings": frozenset({"architecture", "root_device_name"}),
}
"""The source of an image -> the parameters that belong to it alone."""


def mapping_view(mapping: ImageMapping) -> Json:
    bsu = {
        "DeleteOnVmDeletion": mapping.delete_on_vm_deletion,
        "Iops": mapping.iops,
        "SnapshotId": mapping.snapshot_id,
        "VolumeSize": mapping.size,
        "VolumeType": mapping.type,
    }
    return {"Bsu": without_none(bsu), "DeviceName": mapping.device_name}


def image_view(image: Image) -> Json:
    """An image as OAPI shows it (recorded field by field)."""
    comment = {} if image.state_message is None else {"StateCode": "failed", "StateMessage": image.state_message}
    return without_none(
        {
            "AccountAlias": alias_of(image.account_id),
            "AccountId": image.account_id,
            "Architecture": image.architecture,
            "BlockDeviceMappings": [mapping_view(each) for each in image.mappings],
            "BootModes": list(image.boot_modes),
            "CreationDate": date(image.created),
            "Description": image.description,
            "FileLocation": f"{alias_of(image.account_id) or image.account_id}/{image.name}",
            "ImageId": image.id,
            "ImageName": image.name,
            "ImageType": "machine",
            "PermissionsToLaunch": {
                "AccountIds": list(image.permissions.account_ids),
                "GlobalPermission": image.permissions.public,
            },
            "ProductCodes": list(image.product_codes),
            "RootDeviceName": image.root_device,
            "RootDeviceType": "bsu",
            "SecureBoot": False,
            "State": image.state,
            "StateComment": comment,
            "Tags": tag_views(image),
            "TpmMandatory": image.tpm_mandatory,
        }
    )


@listing(
    "Images",
    "AccountIds Architectures Descriptions FileLocations ImageIds ImageNames RootDeviceNames RootDeviceTypes SecureBoot"
    " States TpmMandatory",
    AccountAliases="AccountAlias",
    BlockDeviceMappingDeleteOnVmDeletion="BlockDeviceMappings.Bsu.DeleteOnVmDeletion",
    BlockDeviceMappingDeviceNames="BlockDeviceMappings.DeviceName",
    BlockDeviceMappingSnapshotIds="BlockDeviceMappings.Bsu.SnapshotId",
    BlockDeviceMappingVolumeSizes="BlockDeviceMappings.Bsu.VolumeSize",
    BlockDeviceMappingVolumeTypes="BlockDeviceMappings.Bsu.VolumeType",
    BootModes="BootModes",
    Hypervisors="=xen",
    PermissionsToLaunchAccountIds="PermissionsToLaunch.AccountIds",
    PermissionsToLaunchGlobalPermission="PermissionsToLaunch.GlobalPermission",
    ProductCodeNames="ProductCodes",
    ProductCodes="ProductCodes",
    VirtualizationTypes="=hvm",
)
def read_images(cloud: LocalCloud, caller: Account) -> list[Json]:
    return [image_view(each) for each in cloud.store.all(Image) if each.visible_to(caller)]


def launchable_image(cloud: LocalCloud, caller: Account, image_id: str) -> Image:
    """The available image of that id that the caller may launch."""
    found = cloud.store.get(Image, check_id(Image, image_id))
    if found is None or not found.visible_to(caller):
        raise RefusedError(Fail.NO_IMAGE, f"The image '{image_id}' does not exist.")
    if found.state != "available":
        raise RefusedError(Fail.IMAGE_STATE, f"The image {image_id} is {found.state}, not available.")
    return found


def _register(cloud: LocalCloud, caller: Account, request: CreateImageRequest) -> Image:
    """An image over snapshots; legacy only, as on OUTSCALE."""
    name, description = _name(request, Fail.MISSING_PARAMETER), request.description or ""
    architecture = request.architecture or DEFAULT_ARCHITECTURE
    _check(cloud, caller, name, description, architecture)
    root = check_root_device(request.root_device_name)
    mappings = tuple(_mapping(cloud, caller, each, root) for each in request.block_device_mappings or [])
    names = [each.device_name for each in mappings]
    if len(set(names)) != len(names):
        raise RefusedError(Fail.BAD_MAPPING, "A device name occurs twice in the block device mappings.")
    if root not in names:
        raise RefusedError(Fail.BAD_MAPPING, f"The root device {root} is not among the block device mappings.")
    return _put(
        cloud,
        caller,
        name=name,
        description=description,
        architecture=architecture,
        root_device=root,
        mappings=mappings,
    )


def _mapping(cloud: LocalCloud, caller: Account, device: DevicePart, root: str) -> ImageMapping:
    disk = device.disk
    if not disk.snapshot_id:
        raise RefusedError(Fail.NO_MAPPED_SNAPSHOT, f"The mapping of {device.device_name} names no snapshot.")
    snapshot = usable_snapshot(cloud, caller, disk.snapshot_id)
    size, kind, iops = check_volume(disk.volume_size, disk.volume_type, disk.iops, snapshot.size)
    delete = disk.delete_on_vm_deletion
    return ImageMapping(
        device_name=check_device_name(device.device_name, root=root),
        snapshot_id=snapshot.id,
        size=size,
        type=kind,
        iops=iops,
        delete_on_vm_deletion=True if delete is None else delete,
    )


def _copy(cloud: LocalCloud, caller: Account, request: CreateImageRequest) -> Image:
    """Copy an image that the caller may launch, within the Region; the caller owns the copy, public if the image is."""
    if request.source_region_name != caller.region:
        raise RefusedError(Fail.OTHER_REGION, f"An image is copied within its Region only: {caller.region}.")
    source = launchable_image(cloud, caller, request.source_image_id or "")
    wanted = request.image_name or _copy_name(cloud, caller, source.name)
    text = source.description if request.description is None else request.description
    _check(cloud, caller, wanted, text, source.architecture)
    mappings = []
    for mapping in source.mappings:
        snapshot = cloud.store.get(Snapshot, mapping.snapshot_id)
        if snapshot is None:
            raise RefusedError(Fail.NO_SNAPSHOT, f"The snapshot '{mapping.snapshot_id}' does not exist.")
        copy = start_snapshot(cloud, caller, f"Copied for {source.id}", snapshot.size, source_id=snapshot.id)
        mappings.append(mapping.model_copy(update={"snapshot_id": copy.id}))
    return _put(
        cloud,
        caller,
        name=wanted,
        description=text,
        architecture=source.architecture,
        root_device=source.root_device,
        mappings=tuple(mappings),
        boot_modes=source.boot_modes,
        product_codes=source.product_codes,
        tpm_mandatory=source.tpm_mandatory,
        permissions=Permissions(public=source.permissions.public),
    )


def _copy_name(cloud: LocalCloud, caller: Account, base: str) -> str:
    taken = {each.name for each in cloud.owned(caller, Image)}
    number = next(number for number in range(1, 1000) if f"{base}-copy{number}" not in taken)
    return f"{base}-copy{number}"


def _of_vm(cloud: LocalCloud, caller: Account, request: CreateImageRequest) -> Image:
    """An image of a VM's volumes as they are now."""
    name, description = _name(request, Fail.BAD_COMBINATION), request.description or ""
    vm = cloud.own(caller, Vm, request.vm_id or "", Fail.NO_VM)
    if vm.state not in ("running", "stopped"):
        raise RefusedError(Fail.STATE, f"The VM {vm.id} is {vm.state}, not running or stopped.")
    _check(cloud, caller, name, description, vm.architecture)
    mappings = []
    for volume in vmdisks.volumes_of(cloud, vm.id):
        if volume.link is None:
            continue
        snapshot = snapshot_of_volume(cloud, caller, volume.id, f"Created for the image {name}")
        mappings.append(
            ImageMapping(
                device_name=volume.link.device_name,
                snapshot_id=snapshot.id,
                size=volume.size,
                type=volume.type,
                iops=volume.iops,
                delete_on_vm_deletion=volume.link.delete_on_vm_deletion,
            )
        )
    return _put(
        cloud,
        caller,
        name=name,
        description=description,
        architecture=vm.architecture,
        root_device=vm.root_device,
        mappings=tuple(mappings),
        boot_modes=(vm.boot_mode,),
        product_codes=vm.product_codes,
    )


def _import(cloud: LocalCloud, caller: Account, request: CreateImageRequest) -> Image:
    """An image of the disks that a manifest names, available once they are imported."""
    manifest = exports.manifest_at(cloud, request.file_location or "")
    name = request.image_name or manifest.name
    description = manifest.description if request.description is None else request.description
    mappings = exports.import_disks(cloud, caller, manifest, name)
    _check(cloud, caller, name, description, manifest.architecture)
    return _put(
        cloud,
        caller,
        name=name,
        description=description,
        architecture=manifest.architecture,
        root_device=check_root_device(mappings[0].device_name),
        mappings=mappings,
    )


def _name(request: CreateImageRequest, fail: Fail) -> str:
    if not request.image_name:
        raise RefusedError(fail, "The parameter 'ImageName' is required.")
    return request.image_name


def _check(cloud: LocalCloud, caller: Account, name: str, description: str, architecture: str) -> None:
    if not NAME.fullmatch(name):
        raise RefusedError(
            Fail.BAD_IMAGE_NAME, f"The image name '{name}' is not valid: 3 to 128 of a-z A-Z 0-9 _ ( ) / . - and space."
        )
    if any(each.name == name for each in cloud.owned(caller, Image)):
        raise RefusedError(Fail.DUPLICATE_IMAGE_NAME, f"The image name '{name}' is already used by your account.")
    if architecture not in ARCHITECTURES:
        raise RefusedError(
            Fail.BAD_VALUE, f"The architecture '{architecture}' is not valid: {', '.join(ARCHITECTURES)}."
        )
    _check_description(description)


def _check_description(text: str) -> None:
    if len(text) > MAX_DESCRIPTION:
        raise RefusedError(Fail.BAD_LENGTH, f"The description has more than {MAX_DESCRIPTION} characters.")


def _put(cloud: LocalCloud, caller: Account, **what: object) -> Image:
    image = cloud.make(Image, caller, state="pending", **what)
    cloud.later(f"image {image.id}", lambda: complete_image(cloud, image.id))
    return image


MAKERS = {"vm_id": _of_vm, "source_image_id": _copy, "file_location": _import, "block_device_mappings": _register}


@action("CreateImage", CreateImageRequest)
def create_image(cloud: LocalCloud, caller: Account, request: CreateImageRequest) -> Json:
    image = MAKERS[mode_of(request, MODES)](cloud, caller, request)
    given: dict[str, object] = {}
    if request.boot_modes:
        given["boot_modes"] = tuple(request.boot_modes)
    if request.product_codes:
        given["product_codes"] = tuple(request.product_codes)
    if request.tpm_mandatory is not None:
        given["tpm_mandatory"] = request.tpm_mandatory
    return {"Image": image_view(cloud.store.put(image.model_copy(update=given)))}


@action("UpdateImage")
def update_image(
    cloud: LocalCloud,
    caller: Account,
    *,
    image_id: str,
    description: str | None = None,
    permissions_to_launch: PermissionsPart | None = None,
    product_codes: list[str] | None = None,
) -> Json:
    """Change what may change: description, product codes, who may launch it."""
    change = permissions_to_launch or PermissionsPart()
    if description is None and not product_codes and change.empty:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'PermissionsToLaunch' is required.")
    image = cloud.own(caller, Image, image_id, Fail.NO_IMAGE)
    update: dict[str, object] = {}
    if description is not None:
        _check_description(description)
        update["description"] = description
    if product_codes:
        update["product_codes"] = tuple(product_codes)
    if not change.empty:
        update["permissions"] = change.applied(image.permissions)
    return {"Image": image_view(cloud.store.put(image.model_copy(update=update)))}


@action("DeleteImage")
def delete_image(cloud: LocalCloud, caller: Account, *, image_id: str) -> None:
    """Deregister an own image; its snapshots and the VMs that were launched from it stay."""
    found = cloud.store.get(Image, check_id(Image, image_id))
    if found is not None and found.account_id != caller.id and found.visible_to(caller):
        raise RefusedError(Fail.DENIED, f"The image {image_id} belongs to another account.")
    cloud.store.delete(cloud.own(caller, Image, image_id, Fail.NO_IMAGE))
