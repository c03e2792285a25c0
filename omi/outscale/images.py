"""OMIs and their snapshots: finding the account's own, tagging, removing only what is proved to be ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from omi.errors import CloudError
from omi.outscale.busy import is_gone, remove
from omi.outscale.cloud import Cloud
from omi.outscale.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef, ImageTypeDef, SnapshotTypeDef

LEGACY = "legacy"
"""The boot mode of an OMI that was registered without one."""
_NEVER = threading.Event()


@dataclass(frozen=True)
class Omi:
    """An OMI as FCU describes it; `created` in UTC, `volume_size` in GiB."""

    omi_id: str
    name: str
    owner: str
    state: str
    description: str
    created: datetime
    volume_size: int
    root_device: str
    snapshots: tuple[str, ...]
    tags: Mapping[str, str]
    alias: str = ""
    """Its owner's alias, `Outscale`; empty for an account without one."""

    def bears(self, tags: Mapping[str, str]) -> bool:
        """Whether it carries all of these tags with these values."""
        return all(self.tags.get(key) == value for key, value in tags.items())


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as FCU describes it; `progress` in percent."""

    snapshot_id: str
    owner: str
    state: str
    progress: int
    volume_id: str
    tags: Mapping[str, str]

    def bears(self, tags: Mapping[str, str]) -> bool:
        """Whether it carries all of these tags with these values."""
        return all(self.tags.get(key) == value for key, value in tags.items())


@dataclass(frozen=True)
class Ours:
    """What proves that an OMI was made by this stack: its tags or, before it has any, a mark in its description."""

    tags: Mapping[str, str]
    mark: str = ""

    @property
    def all_tags(self) -> Mapping[str, str]:
        """What a sweep finds a thing of this stack by, and one of this build where the mark is its id."""
        return {**self.tags, "build-id": self.mark} if self.mark else self.tags

    def recognises(self, omi: Omi) -> bool:
        """Whether either proof is there."""
        return omi.bears(self.tags) or bool(self.mark and self.mark in omi.description)


def find_own(cloud: Cloud, name: str) -> Omi | None:
    """The account's own OMI of this name; another account's public one may bear the same name and is not it."""
    filters = [_filter("owner-id", cloud.account), _filter("name", name)]
    found = [omi for omi in _describe(cloud, filters) if omi.name == name and omi.owner == cloud.account]
    return found[0] if found else None


def is_name_taken(cloud: Cloud, name: str) -> bool:
    """Whether any OMI that this account may launch bears the name, whoever owns it."""
    return any(omi.name == name for omi in _describe(cloud, [_filter("name", name)]))


def find_source(cloud: Cloud, pattern: str, owner: str) -> Omi:
    """The newest available OMI whose name fits `pattern` (`*` allowed) of an account alias or id; else CloudError."""
    of_owner = _filter("owner-id" if owner.isdecimal() else "owner-alias", owner)
    found = [
        omi
        for omi in _describe(cloud, [_filter("name", pattern), of_owner])
        # again, should the cloud have ignored a filter: anyone may give an OMI of theirs such a name
        if omi.state == "available" and owner in {omi.owner, omi.alias} and fnmatchcase(omi.name, pattern)
    ]
    if not found:
        raise CloudError(
            f"source OMI: nothing named {pattern!r} of {owner} in Region {cloud.access.region}; "
            "set vm.source_omi and vm.source_owner to an official Debian OMI that is offered there"
        )
    return max(found, key=lambda omi: omi.created)


def read_omi(cloud: Cloud, omi_id: str) -> Omi | None:
    """The OMI of this id that the account may launch, or None."""
    try:
        images = cloud.call(cloud.ec2.describe_images, ImageIds=[omi_id])["Images"]
    except CloudError as error:
        if is_gone(error):
            return None
        raise
    return next((omi for omi in map(_omi, images) if omi.omi_id == omi_id), None)


def own_omis(cloud: Cloud, tags: Mapping[str, str]) -> list[Omi]:
    """The account's own OMIs that carry all of these tags."""
    filters = [_filter("owner-id", cloud.account), *(_filter(f"tag:{key}", value) for key, value in tags.items())]
    return [omi for omi in _describe(cloud, filters) if omi.owner == cloud.account and omi.bears(tags)]


def read_snapshots(cloud: Cloud, snapshot_ids: Iterable[str]) -> list[Snapshot]:
    """Those of the ids that exist."""
    found = []
    for snapshot_id in snapshot_ids:
        try:
            answer = cloud.call(cloud.ec2.describe_snapshots, SnapshotIds=[snapshot_id])["Snapshots"]
        except CloudError as error:
            if is_gone(error):
                continue
            raise
        found += [_snapshot(item) for item in answer if item.get("SnapshotId") == snapshot_id]
    return found


def own_snapshots(
    cloud: Cloud, volume_ids: Sequence[str] = (), tags: Mapping[str, str] | None = None
) -> list[Snapshot]:
    """The account's own snapshots of these volumes, or those that carry all of these tags."""
    found: dict[str, Snapshot] = {}
    wanted = [[_filter("volume-id", *volume_ids)]] if volume_ids else []
    wanted += [[_filter(f"tag:{key}", value) for key, value in tags.items()]] if tags else []
    for filters in wanted:
        filters.append(_filter("owner-id", cloud.account))
        for item in cloud.call(cloud.ec2.describe_snapshots, Filters=filters)["Snapshots"]:
            snapshot = _snapshot(item)
            fits = snapshot.volume_id in volume_ids or (
                tags is not None and all(snapshot.tags.get(key) == value for key, value in tags.items())
            )
            if (
                fits and snapshot.owner == cloud.account and snapshot.state != "deleting"
            ):  # again, should the cloud have ignored a filter
                found[snapshot.snapshot_id] = snapshot
    return list(found.values())


def wait_available(
    cloud: Cloud,
    omi_id: str,
    stop: threading.Event = _NEVER,
    *,
    limit: float | None = None,
    setting: str = "cloud.limits.image",
) -> Omi:
    """Wait until the OMI is available; CloudError if it failed, vanished or took too long: by `setting`, `limit`."""
    omi = wait_until(
        lambda: read_omi(cloud, omi_id),
        lambda seen: seen is None or seen.state != "pending",
        f"{omi_id} to become available",
        cloud.limits.image if limit is None else limit,
        every=2.0,
        stop=stop,
        setting=setting,
    )
    if omi is None or omi.state != "available":
        raise CloudError(f"{omi_id} is {omi.state if omi else 'gone'} instead of available; build it again")
    return omi


def put_tags(cloud: Cloud, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
    """Set these tags on all of the resources; others that they carry stay."""
    if resource_ids and tags:
        pairs: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
        cloud.call(cloud.ec2.create_tags, Resources=list(resource_ids), Tags=pairs)


def complete_tags(cloud: Cloud, omi: Omi, tags: Mapping[str, str]) -> tuple[str, ...]:
    """Put what is missing of `tags` on the OMI and its snapshots; returns the ids that lacked some."""
    snapshots = read_snapshots(cloud, omi.snapshots)
    carried = [(omi.omi_id, omi.tags), *((snapshot.snapshot_id, snapshot.tags) for snapshot in snapshots)]
    lacking = tuple(
        identifier for identifier, theirs in carried if any(theirs.get(key) != value for key, value in tags.items())
    )
    put_tags(cloud, lacking, tags)
    return lacking


def read_boot_modes(cloud: Cloud, omi_id: str) -> tuple[str, ...]:
    """The OMI's boot modes, sorted; by OAPI, since FCU doesn't tell them."""
    images = cloud.oapi.read("ReadImages", {"Filters": {"ImageIds": [omi_id]}}).get("Images") or [{}]
    try:
        return tuple(sorted(str(mode) for mode in images[0].get("BootModes") or [LEGACY]))
    except (AttributeError, LookupError, TypeError) as error:
        raise CloudError(f"ReadImages: its answer on {omi_id} tells no boot modes; is this OUTSCALE's API?") from error


def register_from(
    cloud: Cloud,
    omi: Omi,
    name: str,
    description: str,
    boot_modes: Sequence[str],
    volume_type: str,
    stop: threading.Event = _NEVER,
) -> Omi:
    """Register a second OMI under another name on the same snapshot; both use it until one is deregistered.

    By OAPI, since FCU knows no boot modes.
    """
    bsu = {
        "SnapshotId": omi.snapshots[0],
        "VolumeSize": omi.volume_size,
        "VolumeType": volume_type,
        "DeleteOnVmDeletion": True,
    }
    if volume_type == "io1":
        bsu["Iops"] = min(3000, 300 * omi.volume_size)  # as the template asks for
    made_of = {
        "Architecture": "x86_64",
        "RootDeviceName": omi.root_device,
        "BlockDeviceMappings": [{"DeviceName": omi.root_device, "Bsu": bsu}],
    }
    return wait_available(cloud, create_omi(cloud, made_of, name, description, boot_modes), stop)


def create_omi(cloud: Cloud, made_of: Mapping[str, Any], name: str, description: str, boot_modes: Sequence[str]) -> str:
    """Ask OAPI for an OMI; its id. An answer that is lost is made up for by looking; CloudError where there is none."""
    wanted = {
        **made_of,
        "ImageName": name,
        "Description": description,
        "BootModes": list(boot_modes),
    }
    try:
        return str(cloud.oapi.change("CreateImage", wanted)["Image"]["ImageId"])
    except (CloudError, KeyError, TypeError) as error:
        made = find_own(cloud, name)
        if made is not None and made.description == description:
            return made.omi_id
        if isinstance(error, CloudError):
            raise
        raise CloudError("CreateImage: its answer names no OMI") from error


def delete_omi(cloud: Cloud, omi_id: str, snapshot_ids: Sequence[str], ours: Ours, say: Callable[[str], None]) -> None:
    """Deregister an own OMI and delete its snapshots; what is already gone counts as done.

    Refuses (CloudError) unless the account owns the OMI and `ours` recognises it. A snapshot goes only if the account
    owns it and either the OMI was made of it or it carries the tags itself. One that was imported has neither tags nor
    a volume: it gets tags before the OMI goes, so that it is still found where it can't be deleted now.
    """
    omi = read_omi(cloud, omi_id)
    proven = omi.snapshots if omi is not None else ()
    snapshots = read_snapshots(cloud, dict.fromkeys((*proven, *snapshot_ids)))
    if omi is None:
        say(f"{omi_id}: already gone")
    else:
        require_ours(cloud, omi, ours)
        made_of = [each for each in snapshots if each.snapshot_id in proven and each.owner == cloud.account]
        put_tags(cloud, [each.snapshot_id for each in made_of if not each.bears(ours.tags)], ours.all_tags)
        deregister(cloud, omi, ours)
        say(f"deregistered {omi_id} ({omi.name})")
    for snapshot in snapshots:
        if snapshot.owner != cloud.account or not (snapshot.snapshot_id in proven or snapshot.bears(ours.tags)):
            say(f"left snapshot {snapshot.snapshot_id}: it does not carry the tags of this stack")
            continue
        delete_snapshot(cloud, snapshot.snapshot_id)
        say(f"deleted snapshot {snapshot.snapshot_id}")


def deregister(cloud: Cloud, omi: Omi, ours: Ours) -> None:
    """Deregister an OMI and leave its snapshots; refuses as delete_omi does."""
    require_ours(cloud, omi, ours)
    _settle(cloud, omi)
    remove(lambda: cloud.call(cloud.ec2.deregister_image, ImageId=omi.omi_id), cloud.limits.in_use)


def require_ours(cloud: Cloud, omi: Omi, ours: Ours) -> None:
    """CloudError unless the OMI is this account's and `ours` recognises it."""
    if omi.owner != cloud.account:
        raise CloudError(f"{omi.omi_id} belongs to account {omi.owner}, not to {cloud.account}; it is not deregistered")
    if not ours.recognises(omi):
        wanted = ", ".join(f"{key}={value}" for key, value in ours.tags.items())
        raise CloudError(
            f"{omi.omi_id} ({omi.name}) does not carry the tags {wanted}, so it is not deregistered; "
            "put the tags back, or deregister it by hand and run again"
        )


def delete_snapshot(cloud: Cloud, snapshot_id: str) -> None:
    """Delete it, waiting while an OMI that is going still uses it."""
    remove(lambda: cloud.call(cloud.ec2.delete_snapshot, SnapshotId=snapshot_id), cloud.limits.in_use)


def _settle(cloud: Cloud, omi: Omi) -> None:
    """Wait for a pending OMI to become something that can be deregistered."""
    if omi.state == "pending":
        wait_until(
            lambda: read_omi(cloud, omi.omi_id),
            lambda seen: seen is None or seen.state != "pending",
            f"{omi.omi_id} to leave state pending",
            cloud.limits.image,
            every=2.0,
            setting="cloud.limits.image",
        )


def _describe(cloud: Cloud, filters: list[FilterTypeDef]) -> list[Omi]:
    # neither paging nor IncludeDeprecated: FCU knows only ids, owners and filters
    return [_omi(item) for item in cloud.call(cloud.ec2.describe_images, Filters=filters)["Images"]]


def _filter(name: str, *values: str) -> FilterTypeDef:
    return {"Name": name, "Values": list(values)}


def _tags(item: ImageTypeDef | SnapshotTypeDef) -> dict[str, str]:
    return {tag.get("Key", ""): tag.get("Value", "") for tag in item.get("Tags", [])}


def _omi(item: ImageTypeDef) -> Omi:
    mappings = item.get("BlockDeviceMappings", [])
    root = item.get("RootDeviceName", "/dev/sda1")
    sizes = [entry.get("Ebs", {}).get("VolumeSize", 0) for entry in mappings if entry.get("DeviceName") == root]
    return Omi(
        omi_id=item.get("ImageId", ""),
        name=item.get("Name", ""),
        owner=item.get("OwnerId", ""),
        state=item.get("State", ""),
        description=item.get("Description", ""),
        created=_when(item.get("CreationDate", "")),
        volume_size=sizes[0] if sizes else 0,
        root_device=root,
        snapshots=tuple(entry["Ebs"]["SnapshotId"] for entry in mappings if entry.get("Ebs", {}).get("SnapshotId")),
        tags=_tags(item),
        alias=item.get("ImageOwnerAlias", ""),
    )


def _snapshot(item: SnapshotTypeDef) -> Snapshot:
    percent = item.get("Progress", "").rstrip("%")
    return Snapshot(
        snapshot_id=item.get("SnapshotId", ""),
        owner=item.get("OwnerId", ""),
        state=item.get("State", ""),
        progress=int(percent) if percent.isdecimal() and len(percent) <= 3 else 0,
        volume_id=item.get("VolumeId", ""),
        tags=_tags(item),
    )


def _when(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
