"""OAPI: images."""

from __future__ import annotations

from sandbox.cloud import exports, images
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.filters import Getter, maybe
from sandbox.cloud.model import Account, Image, ImageExportTask, ImageMapping, Permissions
from sandbox.cloud.request import CreateImageRequest, Part, Request
from sandbox.cloud.seeds import alias_of
from sandbox.oapi.base import (
    Json,
    ReadRequest,
    action,
    date,
    filtered,
    mode_of,
    paged,
    tag_getters,
    tag_views,
    without_none,
)
from sandbox.oapi.devices import PermissionsPart

MODES = {
    "vm_id": frozenset({"no_reboot"}),
    "source_image_id": frozenset({"source_region_name"}),
    "file_location": frozenset[str](),
    "block_device_mappings": frozenset({"architecture", "root_device_name"}),
}
"""The source of an image -> the parameters that belong to it alone."""
MAKERS = {
    "vm_id": images.image_of_vm,
    "source_image_id": images.copy_image,
    "file_location": exports.import_image,
    "block_device_mappings": images.register_image,
}


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


FILTERS: dict[str, Getter[Image]] = {
    "AccountAliases": lambda one: maybe(alias_of(one.account_id)),
    "AccountIds": lambda one: [one.account_id],
    "Architectures": lambda one: [one.architecture],
    "BlockDeviceMappingDeleteOnVmDeletion": lambda one: [
        str(each.delete_on_vm_deletion).lower() for each in one.mappings
    ],
    "BlockDeviceMappingDeviceNames": lambda one: [each.device_name for each in one.mappings],
    "BlockDeviceMappingSnapshotIds": lambda one: [each.snapshot_id for each in one.mappings],
    "BlockDeviceMappingVolumeSizes": lambda one: [str(each.size) for each in one.mappings],
    "BlockDeviceMappingVolumeTypes": lambda one: [each.type for each in one.mappings],
    "BootModes": lambda one: one.boot_modes,
    "Descriptions": lambda one: [one.description],
    "FileLocations": lambda one: [f"{alias_of(one.account_id) or one.account_id}/{one.name}"],
    "Hypervisors": lambda one: ["xen"],
    "ImageIds": lambda one: [one.id],
    "ImageNames": lambda one: [one.name],
    "PermissionsToLaunchAccountIds": lambda one: one.permissions.account_ids,
    "PermissionsToLaunchGlobalPermission": lambda one: [str(one.permissions.public).lower()],
    "ProductCodeNames": lambda one: one.product_codes,
    "ProductCodes": lambda one: one.product_codes,
    "RootDeviceNames": lambda one: [one.root_device],
    "RootDeviceTypes": lambda one: ["bsu"],
    "SecureBoot": lambda one: ["false"],
    "States": lambda one: [one.state],
    "TpmMandatory": lambda one: [str(one.tpm_mandatory).lower()],
    "VirtualizationTypes": lambda one: ["hvm"],
    **tag_getters(),
}


@action("ReadImages", ReadRequest)
def read_images(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    seen = [each for each in cloud.store.all(Image) if images.visible(caller, each)]
    return paged(request, "Images", [image_view(each) for each in filtered(request, seen, FILTERS)])


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


class UpdateImageRequest(Request):
    image_id: str
    description: str | None = None
    permissions_to_launch: PermissionsPart | None = None
    product_codes: list[str] | None = None


@action("UpdateImage", UpdateImageRequest)
def update_image(cloud: LocalCloud, caller: Account, request: UpdateImageRequest) -> Json:
    change = request.permissions_to_launch or PermissionsPart()
    if (
        request.description is None
        and not request.product_codes
        and change.added() == change.removed() == Permissions()
    ):
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'PermissionsToLaunch' is required.")
    image = images.update_image(
        cloud,
        caller,
        request.image_id,
        description=request.description,
        product_codes=tuple(request.product_codes) if request.product_codes else None,
        add=change.added(),
        remove=change.removed(),
    )
    return {"Image": image_view(image)}


class ApiKeyPart(Part):
    api_key_id: str | None = None
    secret_key: str | None = None


class ExportPart(Part):
    disk_image_format: str
    osu_bucket: str
    osu_api_key: ApiKeyPart | None = None
    osu_manifest_url: str | None = None
    osu_prefix: str | None = None


class CreateImageExportTaskRequest(Request):
    image_id: str
    osu_export: ExportPart


def task_view(cloud: LocalCloud, task: ImageExportTask) -> Json:
    """A task as OAPI shows it."""
    export = {
        "DiskImageFormat": task.format,
        "OsuBucket": task.bucket,
        "OsuManifestUrl": f"{cloud.addresses.oos_endpoint}/{task.bucket}/{task.manifest}",
        "OsuPrefix": task.prefix_of_keys,
    }
    return {
        "Comment": task.comment,
        "ImageId": task.image_id,
        "OsuExport": export,
        "Progress": task.progress,
        "State": task.state,
        "Tags": tag_views(task),
        "TaskId": task.id,
    }


@action("CreateImageExportTask", CreateImageExportTaskRequest)
def create_image_export_task(cloud: LocalCloud, caller: Account, request: CreateImageExportTaskRequest) -> Json:
    wanted = request.osu_export
    if wanted.osu_api_key is not None:
        raise RefusedError(Fail.BAD_VALUE, "The sandbox exports with the rights of the account itself.")
    task = exports.create_export(
        cloud,
        caller,
        cloud.objects,
        image_id=request.image_id,
        bucket=wanted.osu_bucket,
        prefix=wanted.osu_prefix or "",
        kind=wanted.disk_image_format,
    )
    return {"ImageExportTask": task_view(cloud, task)}


TASK_FILTERS: dict[str, Getter[ImageExportTask]] = {
    "ImageIds": lambda one: [one.image_id],
    "TaskIds": lambda one: [one.id],
}


@action("ReadImageExportTasks", ReadRequest)
def read_image_export_tasks(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    own = cloud.owned(caller, ImageExportTask)
    return paged(request, "ImageExportTasks", [task_view(cloud, each) for each in filtered(request, own, TASK_FILTERS)])


class DeleteImageRequest(Request):
    image_id: str


@action("DeleteImage", DeleteImageRequest)
def delete_image(cloud: LocalCloud, caller: Account, request: DeleteImageRequest) -> Json:
    images.deregister_image(cloud, caller, request.image_id)
    return {}
