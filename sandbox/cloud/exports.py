"""The background work on exports: pending/queued → pending → completed."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import tempfile
from pathlib import Path

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.model import Account, Image, ImageExportTask
from sandbox.machines.protocol import MachineError

log = logging.getLogger("sandbox")

GIB = 1 << 30
CHUNK = 1 << 20
STEPS = (20, 60, 90)
"""The progress in percent that a running task shows."""


def run_export(cloud: LocalCloud, caller: Account, task_id: str) -> None:
    """Go through pending/queued, pending, completed or failed. A fault may make it stuck, failed or cancelled."""
    cloud.pause(cloud.timing.export_queue)
    task = cloud.store.get(ImageExportTask, task_id)

    def go_on() -> None:
        run_export(cloud, caller, task_id)

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
    problem = _write_out(cloud, caller, task)
    state = {"state": "failed", "comment": problem} if problem else {"state": "completed", "progress": 100}
    cloud.change(ImageExportTask, task_id, {"pending"}, **state)


def _write_out(cloud: LocalCloud, caller: Account, task: ImageExportTask) -> str | None:
    """Write the disks, gzipped, and the manifest; returns the problem, if any."""
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
                    shutil.copyfileobj(plain, out, CHUNK)
                content = packed.read_bytes()
        except (MachineError, OSError) as error:
            log.warning("%s: %s", task.id, error)
            return str(error)
        if not cloud.objects.put(caller.id, task.bucket, key, content):
            return f"the bucket {task.bucket} can't be written"
        disks.append(
            {
                "Device": mapping.device_name,
                "Filename": name,
                "PreSignedUrl": cloud.objects.presign(caller, task.bucket, key),
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
    return None if cloud.objects.put(caller.id, task.bucket, task.manifest, content) else "the bucket can't be written"
