"""OMIs and their snapshots: finds the account's own, tags them, and removes only those that are provably ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from omi.outscale.busy import remove
from omi.outscale.client import Cloud
from omi.outscale.shapes import CloudSnapshot, Omi, Tag, listed
from omi.outscale.waiting import NEVER, wait_until
from omi.state.owner import BUILD_ID, GOING, STACK_ID, going_mark
from omi.support.errors import CloudError

_SNAPSHOT_IN_USE = "9002"


@dataclass(frozen=True)
class Ours:
    """The proof that this stack made an OMI: its tags, or a mark in its description if no tag names another stack."""

    tags: Mapping[str, str]
    mark: str = ""

    @property
    def all_tags(self) -> Mapping[str, str]:
        """The tags by which a sweep finds a thing of this stack, and of this build if the mark is its id."""
        return {**self.tags, BUILD_ID: self.mark} if self.mark else self.tags

    def recognises(self, omi: Omi) -> bool:
        """Whether the OMI has either proof."""
        is_marked = bool(self.mark) and self.mark in omi.description
        return omi.bears(self.all_tags) or (is_marked and (omi.bears(self.tags) or STACK_ID not in omi.tags))


def bearing_tags(cloud: Cloud, ids: Collection[str]) -> set[str]:
    """The ids of OMIs or snapshots that bear a tag. If another list lacks one but this one has it, it is not gone."""
    return {tag.resource for tag in listed(cloud, Tag, ResourceIds=ids)}.intersection(ids) if ids else set()


def find_own(cloud: Cloud, name: str) -> Omi | None:
    """The account's own OMI of this name. Another account's public OMI may have the same name and doesn't count."""
    found = listed(cloud, Omi, AccountIds=[cloud.account], ImageNames=[name])
    return next((omi for omi in found if omi.name == name and omi.owner == cloud.account), None)


def is_name_taken(cloud: Cloud, name: str) -> bool:
    """Whether any OMI that this account may launch has the name, whoever owns it."""
    return any(omi.name == name for omi in listed(cloud, Omi, ImageNames=[name]))


def find_source(cloud: Cloud, pattern: str, owner: str) -> Omi:
    """The newest available OMI of an account (alias or id) whose name fits `pattern` (`*` allowed); else CloudError."""
    of_owner = {"AccountIds" if owner.isdecimal() else "AccountAliases": [owner]}
    found = [
        omi
        for omi in listed(cloud, Omi, ImageNames=[pattern], **of_owner)
        # compared again, in case the cloud ignored a filter: anyone may give an OMI such a name
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
    return next((omi for omi in listed(cloud, Omi, ImageIds=[omi_id]) if omi.omi_id == omi_id), None)


def own_omis(cloud: Cloud, tags: Mapping[str, str]) -> list[Omi]:
    """The account's own OMIs that carry all of these tags."""
    found = listed(cloud, Omi, AccountIds=[cloud.account])
    return [omi for omi in found if omi.owner == cloud.account and omi.bears(tags)]


def read_snapshots(cloud: Cloud, snapshot_ids: Iterable[str]) -> list[CloudSnapshot]:
    """The snapshots of these ids that exist."""
    wanted = set(snapshot_ids)
    return [each for each in listed(cloud, CloudSnapshot, SnapshotIds=wanted) if each.snapshot_id in wanted]


def snapshots_of(cloud: Cloud, volume_ids: Collection[str]) -> list[CloudSnapshot]:
    """The account's own snapshots of these volumes."""
    found = listed(cloud, CloudSnapshot, AccountIds=[cloud.account], VolumeIds=volume_ids)
    return [each for each in found if each.volume_id in volume_ids and each.owner == cloud.account]


def wait_available(
    cloud: Cloud,
    omi_id: str,
    stop: threading.Event = NEVER,
    *,
    limit: float | None = None,
    setting: str = "cloud.limits.image",
) -> Omi:
    """Wait until the OMI is available; CloudError if it failed, vanished, or took longer than `limit` (`setting`)."""
    limit = cloud.limits.image if limit is None else limit
    omi = _settled(cloud, omi_id, "to become available", limit, setting, stop)
    if omi is None or omi.state != "available":
        raise CloudError(f"{omi_id} is {omi.state if omi else 'gone'} instead of available; build it again")
    return omi


def _settled(
    cloud: Cloud,
    omi_id: str,
    what: str,
    limit: float,
    setting: str = "cloud.limits.image",
    stop: threading.Event = NEVER,
) -> Omi | None:
    """Wait until the OMI is no longer pending."""
    return wait_until(
        partial(read_omi, cloud, omi_id),
        lambda seen: seen is None or seen.state != "pending",
        f"{omi_id} {what}",
        limit,
        every=2.0,
        stop=stop,
        setting=setting,
    )


def put_tags(cloud: Cloud, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
    """Set these tags on all of the resources; their other tags stay."""
    if resource_ids and tags:
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        cloud.call("CreateTags", {"ResourceIds": list(resource_ids), "Tags": pairs})


def delete_tags(cloud: Cloud, resource_id: str, tags: Mapping[str, str]) -> None:
    """Remove these tags if they have these values."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    cloud.call("DeleteTags", {"ResourceIds": [resource_id], "Tags": pairs})


def complete_tags(cloud: Cloud, omi: Omi, tags: Mapping[str, str]) -> tuple[str, ...]:
    """Put the missing ones of `tags` on the OMI and its snapshots; returns the ids that lacked some."""
    snapshots = read_snapshots(cloud, omi.snapshots)
    lacking = tuple(
        [omi.omi_id] * (not omi.bears(tags)) + [each.snapshot_id for each in snapshots if not each.bears(tags)]
    )
    put_tags(cloud, lacking, tags)
    return lacking


def register_from(
    cloud: Cloud,
    omi: Omi,
    name: str,
    description: str,
    boot_modes: Sequence[str],
    volume_type: str,
    stop: threading.Event = NEVER,
) -> Omi:
    """Register a second OMI under another name on the same snapshot; both use it until one is deregistered."""
    bsu = {
        "SnapshotId": omi.snapshots[0],
        "VolumeSize": omi.volume_size,
        "VolumeType": volume_type,
        "DeleteOnVmDeletion": True,
    }
    made_of = {
        "Architecture": "x86_64",
        "RootDeviceName": omi.root_device,
        "BlockDeviceMappings": [{"DeviceName": omi.root_device, "Bsu": bsu}],
    }
    return wait_available(cloud, create_omi(cloud, made_of, name, description, boot_modes), stop)


def create_omi(cloud: Cloud, made_of: Mapping[str, Any], name: str, description: str, boot_modes: Sequence[str]) -> str:
    """Make an OMI; returns its id. If the response is lost, look the OMI up by name."""
    wanted = {**made_of, "ImageName": name, "Description": description, "BootModes": list(boot_modes)}

    def found() -> str | None:
        made = find_own(cloud, name)
        return made.omi_id if made is not None and made.description == description else None

    return cloud.create("CreateImage", wanted, lambda answer: _id_of(answer["Image"]), found)


def _id_of(image: Any) -> str:
    if not isinstance(image, dict) or not isinstance(image.get("ImageId"), str):
        raise CloudError("CreateImage: its answer names no OMI; run again")
    return str(image["ImageId"])


def delete_omi(
    cloud: Cloud,
    omi: Omi | None,
    snapshot_ids: Sequence[str],
    ours: Ours,
    say: Callable[[str], None],
    spare: Collection[str] = (),
) -> None:
    """Deregister an own OMI and delete its snapshots; things already gone count as done.

    `omi` is the OMI as the caller read it, None if it is certainly gone; it isn't read again. Refuses (CloudError)
    unless the account owns the OMI and `ours` recognises it. A snapshot is deleted only if the account owns it, no
    other OMI is made of it, and the OMI is made of it or it bears our tags. Those in `spare` stay. Before the OMI is
    deregistered, its snapshots get the tag GOING. Once the OMI is gone, that tag is the proof: a person who
    deregistered the OMI may want the snapshot.
    """
    proven = omi.snapshots if omi is not None else ()
    snapshots = _all_of(cloud, {*proven, *snapshot_ids})
    staying = _staying(cloud, omi, snapshots, ours) | dict.fromkeys(spare, "it is held by state")
    going = [each.snapshot_id for each in snapshots if each.snapshot_id not in staying]
    if omi is not None:
        require_ours(cloud, omi, ours)
        mark_going(cloud, going, ours)
        try:
            deregister(cloud, omi, ours)
        except CloudError as error:
            if error.code:  # a refusal: the OMI stays, and so may a person want its snapshots one day
                _unmark(cloud, going, ours)
            raise
        say(f"deregistered {omi.omi_id} ({omi.name})")
    for each in snapshots:
        why = staying.get(each.snapshot_id) or _delete_unless_used(cloud, each.snapshot_id)
        say(f"left snapshot {each.snapshot_id}: {why}" if why else f"deleted snapshot {each.snapshot_id}")


def _all_of(cloud: Cloud, wanted: Collection[str]) -> list[CloudSnapshot]:
    """The snapshots of these ids; CloudError if the list lacks one that bears tags, since one answer proves nothing."""
    snapshots = read_snapshots(cloud, wanted)
    if unlisted := bearing_tags(cloud, set(wanted) - {each.snapshot_id for each in snapshots}):
        ids = ", ".join(sorted(unlisted))
        raise CloudError(f"{ids}: missing in ReadSnapshots, but not in ReadTags; nothing is changed, run again")
    return snapshots


def mark_going(cloud: Cloud, snapshot_ids: Iterable[str], ours: Ours) -> None:
    """Put the tag GOING on snapshots that are about to be deleted."""
    for one in snapshot_ids:
        put_tags(cloud, [one], {**ours.all_tags, GOING: going_mark(ours.tags[STACK_ID], one)})


def _unmark(cloud: Cloud, snapshot_ids: Iterable[str], ours: Ours) -> None:
    """Take the tag GOING off again, as far as the cloud lets it."""
    for one in snapshot_ids:
        with suppress(CloudError):
            delete_tags(cloud, one, {GOING: going_mark(ours.tags[STACK_ID], one)})


def _staying(cloud: Cloud, omi: Omi | None, snapshots: Sequence[CloudSnapshot], ours: Ours) -> dict[str, str]:
    """By id: why a snapshot stays."""
    made_of = omi.snapshots if omi is not None else ()
    staying = {
        each.snapshot_id: "it does not carry the tags of this stack"
        for each in snapshots
        if each.owner != cloud.account or not (each.snapshot_id in made_of or each.bears(ours.tags))
    }
    for each in snapshots if omi is None else ():
        if not each.bears({GOING: going_mark(ours.tags[STACK_ID], each.snapshot_id)}):
            staying.setdefault(each.snapshot_id, "its OMI was not deregistered here; delete it if nobody wants it")
    others = [other for other in own_omis(cloud, {}) if omi is None or other.omi_id != omi.omi_id]
    for each in snapshots:
        if users := [other.omi_id for other in others if each.snapshot_id in other.snapshots]:
            staying.setdefault(each.snapshot_id, f"{', '.join(users)} is made of it, too")
    return staying


def _delete_unless_used(cloud: Cloud, snapshot_id: str) -> str | None:
    """Delete a snapshot. Returns why it stays if an OMI that this account can't see is made of it."""
    try:
        delete_snapshot(cloud, snapshot_id)
    except CloudError as error:
        if error.code != _SNAPSHOT_IN_USE:
            raise
        return f"another account's OMI may be made of it, `python -m omi sweep` deletes it later: {error}"
    return None


def deregister(cloud: Cloud, omi: Omi, ours: Ours) -> None:
    """Deregister an OMI and leave its snapshots; refuses like delete_omi."""
    require_ours(cloud, omi, ours)
    if omi.state == "pending":  # a pending OMI can't be deregistered yet
        _settled(cloud, omi.omi_id, "to leave state pending", cloud.limits.image)
    remove(partial(cloud.call, "DeleteImage", {"ImageId": omi.omi_id}), cloud.limits.in_use)


def require_ours(cloud: Cloud, omi: Omi, ours: Ours) -> None:
    """CloudError unless the OMI is this account's and `ours` recognises it."""
    if omi.owner != cloud.account:
        raise CloudError(f"{omi.omi_id} belongs to account {omi.owner}, not to {cloud.account}; it is not deregistered")
    if not ours.recognises(omi):
        wanted = ", ".join(f"{key}={value}" for key, value in ours.all_tags.items())
        raise CloudError(
            f"{omi.omi_id} ({omi.name}) does not carry the tags {wanted}, so it is not deregistered; "
            "put the tags back, or deregister it by hand and run again"
        )


def delete_snapshot(cloud: Cloud, snapshot_id: str) -> None:
    """Delete the snapshot, waiting while a vanishing OMI still uses it."""
    remove(partial(cloud.call, "DeleteSnapshot", {"SnapshotId": snapshot_id}), cloud.limits.in_use)
