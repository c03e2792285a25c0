"""FCU: images."""

from __future__ import annotations

from sandbox.cloud import images
from sandbox.cloud.context import Cloud
from sandbox.cloud.errors import CloudError, Fail
from sandbox.cloud.filters import Getter, maybe
from sandbox.cloud.model import Account, Image, ImageMapping, Permissions
from sandbox.cloud.seeds import alias_of
from sandbox.fcu.base import (
    ROOT_DEVICE_TYPE,
    by_ids,
    device_request,
    filtered,
    operation,
    required,
    tag_getters,
    tag_views,
)
from sandbox.fcu.protocol import Json

DEFAULT_ARCHITECTURE = "i386"
"""FCU's own default (its reference says so): a caller must name x86_64."""


def _location(image: Image) -> str:
    return f"{alias_of(image.account_id) or image.account_id}/{image.name}"


def _mapping_view(mapping: ImageMapping) -> Json:
    ebs = {
        "DeleteOnTermination": mapping.delete_on_vm_deletion,
        "Iops": mapping.iops,
        "SnapshotId": mapping.snapshot_id,
        "VolumeSize": mapping.size,
        "VolumeType": mapping.type,
    }
    return {"DeviceName": mapping.device_name, "Ebs": ebs}


def image_view(image: Image) -> Json:
    comment = None
    if image.state_message is not None:
        comment = {"Code": "Server.InternalError", "Message": image.state_message}
    return {
        "ImageId": image.id,
        "ImageLocation": _location(image),
        "State": image.state,
        "StateReason": comment,
        "OwnerId": image.account_id,
        "ImageOwnerAlias": alias_of(image.account_id),
        "Public": image.permissions.public,
        "ProductCodes": [{"ProductCodeId": each, "ProductCodeType": "marketplace"} for each in image.product_codes],
        "Architecture": image.architecture,
        "ImageType": "machine",
        "Name": image.name,
        "Description": image.description,
        "RootDeviceType": ROOT_DEVICE_TYPE,
        "RootDeviceName": image.root_device,
        "BlockDeviceMappings": [_mapping_view(each) for each in image.mappings],
        "VirtualizationType": "hvm",
        "Hypervisor": "xen",
        "CreationDate": image.created,
        "Tags": tag_views(image),
    }


FILTERS: dict[str, Getter[Image]] = {
    "architecture": lambda one: [one.architecture],
    "block-device-mapping.delete-on-termination": lambda one: [
        str(each.delete_on_vm_deletion).lower() for each in one.mappings
    ],
    "block-device-mapping.device-name": lambda one: [each.device_name for each in one.mappings],
    "block-device-mapping.snapshot-id": lambda one: [each.snapshot_id for each in one.mappings],
    "block-device-mapping.volume-size": lambda one: [str(each.size) for each in one.mappings],
    "block-device-mapping.volume-type": lambda one: [each.type for each in one.mappings],
    "description": lambda one: [one.description],
    "hypervisor": lambda one: ["xen"],
    "image-id": lambda one: [one.id],
    "image-type": lambda one: ["machine"],
    "is-public": lambda one: [str(one.permissions.public).lower()],
    "manifest-location": lambda one: [_location(one)],
    "name": lambda one: [one.name],
    "owner-alias": lambda one: maybe(alias_of(one.account_id)),
    "owner-id": lambda one: [one.account_id],
    "platform": lambda one: [],
    "product-code.type": lambda one: ["marketplace"],
    "product-code": lambda one: one.product_codes,
    "root-device-name": lambda one: [one.root_device],
    "root-device-type": lambda one: [ROOT_DEVICE_TYPE],
    "state": lambda one: [one.state],
    "virtualization-type": lambda one: ["hvm"],
    **tag_getters(),
}
"""FCU's whole list (fcu/DescribeImages)."""


@operation("DescribeImages", "ImageIds", "Owners", "ExecutableUsers", "Filters")
def describe_images(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    seen = [each for each in cloud.store.all(Image) if images.visible(caller, each)]
    found = by_ids(parameters.get("ImageIds"), seen, lambda one: one.id, Fail.NO_IMAGE)
    owners = [caller.id if each == "self" else each for each in parameters.get("Owners", [])]
    if owners:
        found = [each for each in found if {each.account_id, alias_of(each.account_id)} & set(owners)]
    users = [caller.id if each == "self" else each for each in parameters.get("ExecutableUsers", [])]
    if users:
        found = [
            each
            for each in found
            if (each.permissions.public and "all" in users) or set(users) & set(each.permissions.account_ids)
        ]
    return {"Images": [image_view(each) for each in filtered(parameters, found, FILTERS)]}


@operation(
    "RegisterImage", "Name", "Architecture", "BlockDeviceMappings", "Description", "ImageLocation", "RootDeviceName"
)
def register_image(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    if parameters.get("ImageLocation"):
        raise CloudError(Fail.BAD_LOCATION, "The sandbox imports no image from a file.")
    image = images.register_image(
        cloud,
        caller,
        name=required(parameters, "Name"),
        description=parameters.get("Description", ""),
        architecture=parameters.get("Architecture", DEFAULT_ARCHITECTURE),
        root_device=parameters.get("RootDeviceName"),
        devices=[device_request(each) for each in parameters.get("BlockDeviceMappings", [])],
    )
    return {"ImageId": image.id}


@operation("CreateImage", "InstanceId", "Name", "Description", "NoReboot")
def create_image(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    image = images.image_of_vm(
        cloud,
        caller,
        vm_id=required(parameters, "InstanceId"),
        name=required(parameters, "Name"),
        description=parameters.get("Description", ""),
    )
    return {"ImageId": image.id}


@operation("CopyImage", "SourceImageId", "SourceRegion", "Name", "Description", "ClientToken")
def copy_image(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    image = images.copy_image(
        cloud,
        caller,
        source_id=required(parameters, "SourceImageId"),
        source_region=required(parameters, "SourceRegion"),
        name=parameters.get("Name"),
        description=parameters.get("Description"),
    )
    return {"ImageId": image.id}


@operation("DeregisterImage", "ImageId")
def deregister_image(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    images.deregister_image(cloud, caller, required(parameters, "ImageId"))
    return {"Return": True}


@operation("DescribeImageAttribute", "ImageId", "Attribute")
def describe_image_attribute(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    image = cloud.own(caller, Image, required(parameters, "ImageId"), Fail.NO_IMAGE)
    attribute = required(parameters, "Attribute")
    answer: Json = {"ImageId": image.id}
    if attribute == "launchPermission":
        everyone = [{"Group": "all"}] if image.permissions.public else []
        answer["LaunchPermissions"] = everyone + [{"UserId": each} for each in image.permissions.account_ids]
    elif attribute == "description":
        answer["Description"] = {"Value": image.description}
    elif attribute == "productCodes":
        answer["ProductCodes"] = image_view(image)["ProductCodes"]
    else:
        raise CloudError(Fail.BAD_VALUE, f"The attribute '{attribute}' is invalid.")
    return answer


@operation(
    "ModifyImageAttribute",
    "ImageId",
    "Attribute",
    "Description",
    "LaunchPermission",
    "OperationType",
    "ProductCodes",
    "UserGroups",
    "UserIds",
    "Value",
)
def modify_image_attribute(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    image_id = required(parameters, "ImageId")
    launch = parameters.get("LaunchPermission", {})
    add, remove = permissions_of(launch.get("Add", [])), permissions_of(launch.get("Remove", []))
    listed = Permissions(
        public="all" in parameters.get("UserGroups", []), account_ids=tuple(parameters.get("UserIds", []))
    )
    if listed != Permissions():
        add, remove = (listed, remove) if parameters.get("OperationType") == "add" else (add, listed)
    description = parameters.get("Description", {}).get("Value")
    if parameters.get("Attribute") == "description":
        description = parameters.get("Value", "")
    codes = parameters.get("ProductCodes")
    images.update_image(
        cloud,
        caller,
        image_id,
        description=description,
        product_codes=tuple(codes) if codes else None,
        add=add,
        remove=remove,
    )
    return {}


def permissions_of(entries: list[Json]) -> Permissions:
    """Rights as LaunchPermission and CreateVolumePermission list them."""
    return Permissions(
        public=any(each.get("Group") == "all" for each in entries),
        account_ids=tuple(each["UserId"] for each in entries if each.get("UserId")),
    )
