"""OAPI: images to and from the object store: export tasks, and images made from a manifest in a bucket."""

from __future__ import annotations

import gzip
import io
import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.exports import CHUNK, GIB, run_export
from sandbox.cloud.model import Account, Image, ImageExportTask, ImageMapping
from sandbox.cloud.snapshots import start_snapshot
from sandbox.oapi.base import Json, action, listing, tag_views
from sandbox.oapi.request import Part
from sandbox.problem import first_problem

FORMATS = ("qcow2", "raw")


class ApiKeyPart(Part):
    api_key_id: str | None = None
    secret_key: str | None = None


class ExportPart(Part):
    disk_image_format: str
    osu_bucket: str
    osu_api_key: ApiKeyPart | None = None
    osu_manifest_url: str | None = None
    osu_prefix: str | None = None


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


@listing("ImageExportTasks", "ImageIds TaskIds", tagged=False)
def read_image_export_tasks(cloud: LocalCloud, caller: Account) -> list[Json]:
    return [task_view(cloud, each) for each in cloud.owned(caller, ImageExportTask)]


@action("CreateImageExportTask")
def create_image_export_task(cloud: LocalCloud, caller: Account, *, image_id: str, osu_export: ExportPart) -> Json:
    """Begin to export one of the caller's own images into one of its buckets."""
    if osu_export.osu_api_key is not None:
        raise RefusedError(Fail.BAD_VALUE, "The sandbox exports with the rights of the account itself.")
    bucket, prefix, kind = osu_export.osu_bucket, osu_export.osu_prefix or "", osu_export.disk_image_format
    image = cloud.own(caller, Image, image_id, Fail.NO_IMAGE)
    if image.state != "available":
        raise RefusedError(Fail.IMAGE_STATE, f"The image {image_id} is {image.state}, not available.")
    if kind not in FORMATS:
        raise RefusedError(Fail.BAD_VALUE, f"The disk image format '{kind}' is not valid: {', '.join(FORMATS)}.")
    if not cloud.objects.owns(caller.id, bucket):
        raise RefusedError(Fail.NO_BUCKET, f"The bucket '{bucket}' does not exist.")
    key = cloud.fresh_id(ImageExportTask)
    task = cloud.make(
        ImageExportTask,
        caller,
        id=key,
        image_id=image_id,
        bucket=bucket,
        prefix_of_keys=prefix,
        format=kind,
        manifest=f"{prefix}{key}/manifest.json",
        state="pending/queued",
        progress=0,
    )
    cloud.later(f"export {key}", lambda: run_export(cloud, caller, key))
    return {"ImageExportTask": task_view(cloud, task)}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ManifestSnapshot(_Part):
    """A disk of a manifest (OUTSCALE's guide, Manifest File Reference)."""

    device: str = Field(alias="Device")
    url: str = Field(alias="PreSignedUrl")
    size: int = Field(alias="Size", gt=0)
    """Bytes."""
    volume_type: str = Field(default="standard", alias="VolumeType")
    delete: bool = Field(default=False, alias="DeleteOnTermination")
    iops: int | None = Field(default=None, alias="Iops")


class ManifestImage(_Part):
    architecture: str = Field(default="x86_64", alias="Architecture")
    name: str = Field(default="", alias="Name")
    description: str = Field(default="", alias="Description")
    snapshots: tuple[ManifestSnapshot, ...] = Field(alias="Snapshots", min_length=1)


class Manifest(_Part):
    """The manifest for CreateImage(FileLocation)."""

    image: ManifestImage = Field(alias="Image")


def manifest_at(cloud: LocalCloud, url: str) -> ManifestImage:
    """The image of the manifest at a pre-signed URL."""
    try:
        return Manifest.model_validate_json(cloud.objects.fetch(url)).image
    except ValidationError as error:
        raise RefusedError(Fail.BAD_LOCATION, f"The file is not a manifest: {first_problem(error)}.") from None


def import_disks(cloud: LocalCloud, caller: Account, manifest: ManifestImage, name: str) -> tuple[ImageMapping, ...]:
    """Begin to import the disks that a manifest names, for an image of this name."""
    mappings = []
    for disk in manifest.snapshots:
        size = -(-disk.size // GIB)
        write = _importing(cloud, disk.url)
        snapshot = start_snapshot(cloud, caller, f"Imported for {name}", size, write=write)
        mappings.append(
            ImageMapping(
                device_name=disk.device,
                snapshot_id=snapshot.id,
                size=size,
                type=disk.volume_type,
                iops=disk.iops,
                delete_on_vm_deletion=disk.delete,
            )
        )
    return tuple(mappings)


def _importing(cloud: LocalCloud, url: str) -> Callable[[Path], None]:
    return lambda path: _unpack(cloud.objects.fetch(url), path)


def _unpack(content: bytes, path: Path) -> None:
    if content[:2] != b"\x1f\x8b":
        path.write_bytes(content)
        return
    with gzip.open(io.BytesIO(content)) as plain, path.open("wb") as out:
        shutil.copyfileobj(plain, out, CHUNK)
