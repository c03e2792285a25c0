"""Images to and from the object store: export tasks, and images that are made from a manifest in a bucket."""

from __future__ import annotations

import gzip
import io
import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.images import imported_image
from sandbox.cloud.model import Account, Image, ImageExportTask, ImageMapping, Snapshot
from sandbox.cloud.objects import ExportStore
from sandbox.cloud.request import CreateImageRequest
from sandbox.cloud.snapshots import put_snapshot, take_snapshot
from sandbox.machines.protocol import MachineError
from sandbox.problem import first_problem

log = logging.getLogger("sandbox")

GIB = 1 << 30
_CHUNK = 1 << 20
FORMATS = ("qcow2", "raw")
STEPS = (20, 60, 90)
"""Percent that a task shows on its way."""


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
    """The file that CreateImage(FileLocation) makes an image from."""

    image: ManifestImage = Field(alias="Image")


def create_export(
    cloud: LocalCloud, caller: Account, store: ExportStore, *, image_id: str, bucket: str, prefix: str, kind: str
) -> ImageExportTask:
    """Begin to export one of the caller's own images into one of its buckets."""
    with cloud.transaction():
        image = cloud.own(caller, Image, image_id, Fail.NO_IMAGE)
        if image.state != "available":
            raise RefusedError(Fail.IMAGE_STATE, f"The image {image_id} is {image.state}, not available.")
        if kind not in FORMATS:
            raise RefusedError(Fail.BAD_VALUE, f"The disk image format '{kind}' is not valid: {', '.join(FORMATS)}.")
        if not store.owns(caller.id, bucket):
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
        cloud.later(f"export {key}", lambda: run_export(cloud, caller, store, key))
        return task


def run_export(cloud: LocalCloud, caller: Account, store: ExportStore, task_id: str) -> None:
    """Background: pending/queued, pending, completed or failed; a fault may have it stuck, failed or cancelled."""
    cloud.pause(cloud.timing.export_queue)
    task = cloud.store.get(ImageExportTask, task_id)

    def go_on() -> None:
        run_export(cloud, caller, store, task_id)

    if task is None or cloud.fault_of(task, "export", "pending/queued", stuck=go_on):
        return
    cloud.change(ImageExportTask, task_id, {"pending/queued"}, state="pending")
    if cloud.fault_of(task, "export", "pending", stuck=go_on):
        return
    for progress in STEPS:
        cloud.change(ImageExportTask, task_id, {"pending"}, progress=progress)
        cloud.pause(cloud.timing.export_copy / len(STEPS))
    if ended := cloud.fault_of(task, "export", "failed", "cancelled"):
        cloud.change(ImageExportTask, task_id, {"pending"}, state=ended, comment="a fault that was asked for")
        return
    problem = _write_out(cloud, caller, store, task)
    state = {"state": "failed", "comment": problem} if problem else {"state": "completed", "progress": 100}
    cloud.change(ImageExportTask, task_id, {"pending"}, **state)


def _write_out(cloud: LocalCloud, caller: Account, store: ExportStore, task: ImageExportTask) -> str | None:
    """The disks, gzipped, and the manifest; returns what went wrong."""
    image = cloud.store.get(Image, task.image_id)
    if image is None:
        return "the image is gone"
    disks = []
    for mapping in image.mappings:
        name = f"{mapping.snapshot_id}.{task.format}.gz"
        key = f"{task.manifest.rpartition('/')[0]}/{name}"
        try:
            with tempfile.TemporaryDirectory(prefix="sandbox-export-") as folder:
                path, packed = Path(folder) / "disk", Path(folder) / "disk.gz"
                cloud.machines.export_snapshot(mapping.snapshot_id, str(path), task.format)
                with path.open("rb") as plain, gzip.open(packed, "wb", compresslevel=1) as out:
                    shutil.copyfileobj(plain, out, _CHUNK)
                content = packed.read_bytes()
        except (MachineError, OSError) as error:
            log.warning("%s: %s", task.id, error)
            return str(error)
        if not store.put(caller.id, task.bucket, key, content):
            return f"the bucket {task.bucket} can't be written"
        disks.append(
            {
                "Device": mapping.device_name,
                "Filename": name,
                "PreSignedUrl": store.presign(caller, task.bucket, key),
                "Size": mapping.size * GIB,
                "VolumeType": mapping.type,
                "DeleteOnTermination": mapping.delete_on_vm_deletion,
                "Iops": mapping.iops,
            }
        )
    shown = {
        "Name": image.name,
        "Description": image.description,
        "Architecture": image.architecture,
        "Type": "machine",
        "ProductTypes": list(image.product_codes),
        "Public": False,
        "Snapshots": disks,
    }
    content = json.dumps({"Version": 1, "Image": shown}).encode()
    return None if store.put(caller.id, task.bucket, task.manifest, content) else "the bucket can't be written"


def import_image(cloud: LocalCloud, caller: Account, request: CreateImageRequest) -> Image:
    """An image of the disks that a manifest names; the manifest is read at once, its disks in the background."""
    fetch = cloud.objects.fetch
    try:
        manifest = Manifest.model_validate_json(fetch(request.file_location or "")).image
    except ValidationError as error:
        raise RefusedError(Fail.BAD_LOCATION, f"The file is no manifest: {first_problem(error)}.") from None
    name = request.image_name or manifest.name
    with cloud.transaction():
        mappings = []
        for disk in manifest.snapshots:
            size = -(-disk.size // GIB)
            snapshot = put_snapshot(cloud, caller, f"Imported for {name}", size)
            cloud.later(f"import {snapshot.id}", _importing(cloud, fetch, snapshot, disk.url))
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
        return imported_image(
            cloud,
            caller,
            name=name,
            description=manifest.description if request.description is None else request.description,
            architecture=manifest.architecture,
            mappings=tuple(mappings),
        )


def _importing(cloud: LocalCloud, fetch: Callable[[str], bytes], snapshot: Snapshot, url: str) -> Callable[[], None]:
    def work() -> None:
        take_snapshot(cloud, snapshot.id, lambda path: _unpack(fetch(url), path))

    return work


def _unpack(content: bytes, path: Path) -> None:
    if content[:2] != b"\x1f\x8b":
        path.write_bytes(content)
        return
    with gzip.open(io.BytesIO(content)) as plain, path.open("wb") as out:
        shutil.copyfileobj(plain, out, _CHUNK)
