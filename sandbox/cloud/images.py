"""Images (OMIs): pending → available, their names, and who may launch them."""

from __future__ import annotations

import logging
import re

from sandbox.cloud import vmdisks
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.devices import check_device_name, check_root_device, check_volume
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.ids import check_id
from sandbox.cloud.model import Account, Image, ImageMapping, Permissions, Snapshot, Vm
from sandbox.cloud.request import CreateImageRequest, DevicePart
from sandbox.cloud.snapshots import changed_permissions, create_snapshot, start_copy, usable_snapshot

log = logging.getLogger("sandbox")

NAME = re.compile(r"[A-Za-z0-9_ ()/.\-]{3,128}")
ARCHITECTURES = ("i386", "x86_64")
MAX_DESCRIPTION = 255
DEFAULT_ARCHITECTURE = "x86_64"
"""OUTSCALE's default."""


def visible(caller: Account, image: Image) -> bool:
    """Whether the caller sees the image and may launch it: within one Region, the owner's, public or shared."""
    if image.region != caller.region:
        return False
    return image.account_id == caller.id or image.permissions.allow(caller.id)


def launchable_image(cloud: LocalCloud, caller: Account, image_id: str) -> Image:
    """The available image of that id that the caller may launch."""
    found = cloud.store.get(Image, check_id(Image, image_id))
    if found is None or not visible(caller, found):
        raise RefusedError(Fail.NO_IMAGE, f"The image '{image_id}' does not exist.")
    if found.state != "available":
        raise RefusedError(Fail.IMAGE_STATE, f"The image {image_id} is {found.state}, not available.")
    return found


def register_image(cloud: LocalCloud, caller: Account, request: CreateImageRequest) -> Image:
    """An image over snapshots; legacy only, as on OUTSCALE."""
    name, description = _name(request, Fail.MISSING_PARAMETER), request.description or ""
    architecture = request.architecture or DEFAULT_ARCHITECTURE
    with cloud.transaction():
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


def imported_image(
    cloud: LocalCloud,
    caller: Account,
    *,
    name: str,
    description: str,
    architecture: str,
    mappings: tuple[ImageMapping, ...],
) -> Image:
    """An image over snapshots that are still being imported; it is available once they are completed."""
    with cloud.transaction():
        _check(cloud, caller, name, description, architecture)
        return _put(
            cloud,
            caller,
            name=name,
            description=description,
            architecture=architecture,
            root_device=check_root_device(mappings[0].device_name),
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


def copy_image(cloud: LocalCloud, caller: Account, request: CreateImageRequest) -> Image:
    """A copy, owned by the caller, of an image that it may launch, and as public; only within the Region."""
    if request.source_region_name != caller.region:
        raise RefusedError(Fail.OTHER_REGION, f"An image is copied within its Region only: {caller.region}.")
    with cloud.transaction():
        source = launchable_image(cloud, caller, request.source_image_id or "")
        wanted = request.image_name or _copy_name(cloud, caller, source.name)
        text = source.description if request.description is None else request.description
        _check(cloud, caller, wanted, text, source.architecture)
        mappings = []
        for mapping in source.mappings:
            snapshot = cloud.store.get(Snapshot, mapping.snapshot_id)
            if snapshot is None:
                raise RefusedError(Fail.NO_SNAPSHOT, f"The snapshot '{mapping.snapshot_id}' does not exist.")
            copy = start_copy(cloud, caller, snapshot, f"Copied for {source.id}")
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


def image_of_vm(cloud: LocalCloud, caller: Account, request: CreateImageRequest) -> Image:
    """An image of a VM's volumes as they are now."""
    name, description = _name(request, Fail.BAD_COMBINATION), request.description or ""
    with cloud.transaction():
        vm = cloud.own(caller, Vm, request.vm_id or "", Fail.NO_VM)
        if vm.state not in ("running", "stopped"):
            raise RefusedError(Fail.STATE, f"The VM {vm.id} is {vm.state}, not running or stopped.")
        _check(cloud, caller, name, description, vm.architecture)
        mappings = []
        for volume in vmdisks.volumes_of(cloud, vm.id):
            if volume.link is None:
                continue
            snapshot = create_snapshot(cloud, caller, volume_id=volume.id, description=f"Created for the image {name}")
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
    if len(description) > MAX_DESCRIPTION:
        raise RefusedError(Fail.BAD_LENGTH, f"The description has more than {MAX_DESCRIPTION} characters.")


def _put(cloud: LocalCloud, caller: Account, **what: object) -> Image:
    with cloud.transaction():
        image = cloud.make(Image, caller, state="pending", **what)
        cloud.later(f"image {image.id}", lambda: complete_image(cloud, image.id))
        return image


def complete_image(cloud: LocalCloud, image_id: str) -> None:
    """Background: pending until its snapshots are completed, then available (or failed)."""
    cloud.pause(cloud.timing.image_create)
    image = cloud.store.get(Image, image_id)
    if image is None or cloud.fault_of(image, "image", "pending", stuck=lambda: complete_image(cloud, image_id)):
        return
    fault = cloud.fault_of(image, "image", "failed")
    while True:
        image = cloud.store.get(Image, image_id)
        if image is None or image.state != "pending":
            return
        found = [cloud.store.get(Snapshot, each.snapshot_id) for each in image.mappings]
        states = {"error" if each is None else each.state for each in found}
        if fault or "error" in states:
            reason = "a fault that was asked for" if fault else "a snapshot is in error"
            cloud.change(Image, image_id, {"pending"}, state="failed", state_message=reason)
            return
        if states <= {"completed"}:
            cloud.change(Image, image_id, {"pending"}, state="available")
            return
        cloud.pause(0.05)


def update_image(
    cloud: LocalCloud,
    caller: Account,
    image_id: str,
    *,
    description: str | None = None,
    product_codes: tuple[str, ...] | None = None,
    add: Permissions = Permissions(),  # noqa: B008 - a frozen value
    remove: Permissions = Permissions(),  # noqa: B008
) -> Image:
    """Change what may change: description, product codes, who may launch it."""
    with cloud.transaction() as store:
        image = cloud.own(caller, Image, image_id, Fail.NO_IMAGE)
        update: dict[str, object] = {}
        if description is not None:
            if len(description) > MAX_DESCRIPTION:
                raise RefusedError(Fail.BAD_LENGTH, f"The description has more than {MAX_DESCRIPTION} characters.")
            update["description"] = description
        if product_codes is not None:
            update["product_codes"] = product_codes
        if add != Permissions() or remove != Permissions():
            update["permissions"] = changed_permissions(image.permissions, add=add, remove=remove)
        return store.put(image.model_copy(update=update))


def deregister_image(cloud: LocalCloud, caller: Account, image_id: str) -> None:
    """Remove an own image; its snapshots and the VMs that were launched from it stay."""
    with cloud.transaction() as store:
        found = store.get(Image, check_id(Image, image_id))
        if found is not None and found.account_id != caller.id and visible(caller, found):
            raise RefusedError(Fail.DENIED, f"The image {image_id} belongs to another account.")
        store.delete(cloud.own(caller, Image, image_id, Fail.NO_IMAGE))
