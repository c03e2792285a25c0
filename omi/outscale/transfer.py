"""Moves an OMI to another Region through the object store: export task, manifest, import."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from omi.outscale.client import Cloud
from omi.outscale.images import create_omi, wait_available
from omi.outscale.oos import LONGEST_URL, MARK, ObjectStore, unpacked
from omi.outscale.shapes import Omi, Shape, listed, parsed
from omi.outscale.waiting import wait_until
from omi.support.errors import CloudError, first_problem

FORMAT = "raw"
"""The disk's format: the exported object unpacks to exactly the disk's bytes, so its digest is the disk's."""
_MANIFEST = "carried/manifest.json"
EVERY = 2.0
"""Seconds between two queries of an export, which takes minutes."""
_GOES_ON = frozenset({"pending/queued", "pending", "active"})
_SIGNED = re.compile(r"\S*X-Amz-\S*")
"""Matches a pre-signed URL, or the part of one that a server quotes."""
_MARGIN = 3600
"""Seconds that URLs are valid beyond the import's limit."""


class _Export(Shape):
    bucket: str = Field(default="", alias="OsuBucket")
    manifest: str = Field(default="", alias="OsuManifestUrl")


class _Task(Shape):
    """An export task (OAPI's reference, schema ImageExportTask)."""

    listed_by = ("ReadImageExportTasks", "ImageExportTasks")

    task: str = Field(alias="TaskId")
    state: str = Field(default="", alias="State")
    comment: str = Field(default="", alias="Comment")
    export: _Export = Field(default=_Export(), alias="OsuExport")


class _Disk(Shape):
    """A snapshot of a manifest (OUTSCALE's guide, Manifest File Reference)."""

    device: str = Field(alias="Device")
    file: str = Field(alias="Filename", min_length=1)
    size: int = Field(alias="Size", gt=0)


class _Image(Shape):
    disks: tuple[_Disk, ...] = Field(alias="Snapshots", min_length=1, max_length=1)


class _Manifest(Shape):
    image: _Image = Field(alias="Image")


@dataclass(frozen=True)
class Exported:
    """One disk in a bucket."""

    bucket: str
    key: str
    device: str
    size: int
    """Bytes of the disk."""


def export_omi(cloud: Cloud, store: ObjectStore, omi: Omi, bucket: str, stop: threading.Event) -> Exported:
    """Export the OMI into the bucket; CloudError if that fails or takes too long.

    No key is sent: the export has the account's own rights to its own bucket.
    """
    wanted = {"DiskImageFormat": FORMAT, "OsuBucket": bucket, "OsuPrefix": "export/"}
    task = cloud.create(
        "CreateImageExportTask",
        {"ImageId": omi.omi_id, "OsuExport": wanted},
        lambda answer: parsed(_Task, answer["ImageExportTask"], "CreateImageExportTask", cloud),
        lambda: next((each for each in listed(cloud, _Task) if each.export.bucket == bucket), None),
    )

    def seen() -> _Task:
        for each in listed(cloud, _Task, TaskIds=[task.task]):
            if each.task == task.task:
                return each
        raise CloudError(f"{omi.omi_id}: its export {task.task} is not listed; run again")

    done = wait_until(
        seen,
        lambda each: each.state not in _GOES_ON,
        f"{omi.omi_id} to be exported ({task.task})",
        cloud.limits.transfer,
        every=EVERY,
        stop=stop,
        setting="cloud.limits.transfer",
    )
    if done.state != "completed":
        raise CloudError(
            f"{omi.omi_id}: its export {done.task} is {done.state} ({done.comment or 'no reason given'}); run again"
        )
    return _find_disk(store, bucket, done)


def _find_disk(store: ObjectStore, bucket: str, task: _Task) -> Exported:
    keys = store.keys(bucket)
    told = [key for key in keys if key != MARK and key.endswith(".json")]
    manifests = [key for key in told if urlsplit(task.export.manifest).path.endswith(key)] or told
    if len(manifests) != 1:
        raise CloudError(
            f"{task.task}: no manifest is where it should be, {task.export.manifest or 'nowhere'}; run again"
        )
    try:
        (disk,) = _Manifest.model_validate_json(store.get(bucket, manifests[0])).image.disks
    except ValidationError as error:
        raise CloudError(f"{task.task}: its manifest can't be read: {first_problem(error)}; run again") from error
    named = [key for key in keys if key.rpartition("/")[2] == disk.file.rpartition("/")[2]]
    if len(named) != 1:
        raise CloudError(f"{task.task}: its manifest names {disk.file}, which is not there; run again")
    return Exported(bucket=bucket, key=named[0], device=disk.device, size=disk.size)


def digest_of(store: ObjectStore, disk: Exported, stop: threading.Event) -> str:
    """`sha256:` and 64 hex digits of the disk's raw content, read from the exported object."""
    digest, size = hashlib.sha256(), 0
    for chunk in unpacked(store.stream(disk.bucket, disk.key, stop)):
        digest.update(chunk)
        size += len(chunk)
    if not size:
        raise CloudError(f"{disk.bucket}/{disk.key}: the exported disk is empty; run again")
    return f"sha256:{digest.hexdigest()}"


def offer(store: ObjectStore, disk: Exported, name: str, description: str, volume_type: str) -> str:
    """Write a manifest of the disk with fresh URLs, and return the manifest's own URL.

    The URLs are valid for the import's limit and an hour more, seven days at most.
    """
    lasts = min(store.access.limits.transfer + _MARGIN, LONGEST_URL)
    snapshot = {
        "Device": disk.device,
        "Filename": disk.key.rpartition("/")[2],
        "PreSignedUrl": store.presign(disk.bucket, disk.key, lasts),
        "Size": disk.size,
        "VolumeType": volume_type,
        "DeleteOnTermination": True,
        "Iops": None,
    }
    image = {
        "Name": name,
        "Description": description,
        "Architecture": "x86_64",
        "Type": "machine",
        "ProductTypes": ["0001"],
        "Public": False,
        "Snapshots": [snapshot],
    }
    store.put(disk.bucket, _MANIFEST, json.dumps({"Version": 1, "Image": image}).encode())
    return store.presign(disk.bucket, _MANIFEST, lasts)


def import_omi(
    cloud: Cloud, location: str, name: str, description: str, boot_modes: Sequence[str], stop: threading.Event
) -> Omi:
    """Make an OMI from the manifest at this URL and wait for it.

    No error shows the URL, since it lets anyone read the disk.
    """
    try:
        omi_id = create_omi(cloud, {"FileLocation": location}, name, description, boot_modes)
    except CloudError as error:
        told = _SIGNED.sub("(its URL)", str(error))
        raise CloudError(f"the import of {name} was refused: {told}", error.code) from None
    return wait_available(cloud, omi_id, stop, limit=cloud.limits.transfer, setting="cloud.limits.transfer")
