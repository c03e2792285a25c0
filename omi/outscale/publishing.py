"""What others see of an OMI: who may launch it, that its snapshots are nobody else's, and what is said of its stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omi.errors import CloudError
from omi.identity import STAGE_TAGS, Identity
from omi.outscale.busy import is_gone
from omi.outscale.cloud import Cloud
from omi.outscale.images import Omi, put_tags
from omi.profile.model import EVERYONE, Access


def share(cloud: Cloud, omi_id: str, access: Access) -> None:
    """Make the launch permissions be exactly these; rights are taken before others are given.

    A failed call is made up for by looking. Raises CloudError that says whom the cloud refused.
    """
    have, want = _launchers(cloud, omi_id), access.launchers(cloud.account)
    # FCU takes either additions or removals in one call
    for change, who in (("Remove", have - want), ("Add", want - have)):
        if not who:
            continue
        permission: Any = {change: [_entry(name) for name in sorted(who)]}
        try:
            cloud.call(cloud.ec2.modify_image_attribute, ImageId=omi_id, LaunchPermission=permission)
        except CloudError as error:
            if _launchers(cloud, omi_id) == want:
                return
            names = ", ".join(sorted(who))
            done = f"shared with {names}" if change == "Add" else f"taken from {names}"
            raise CloudError(f"{omi_id} could not be {done}: {error}; see `access`", error.code) from error


def close_snapshots(cloud: Cloud, snapshot_ids: Sequence[str]) -> tuple[str, ...]:
    """Let nobody else make volumes of these snapshots, which a shared OMI doesn't need; returns those that were open.

    One that is gone counts as closed.
    """
    opened = []
    for snapshot_id in snapshot_ids:
        asked: Any = {"SnapshotId": snapshot_id, "Attribute": "createVolumePermission"}
        try:
            answer = cloud.call(cloud.ec2.describe_snapshot_attribute, **asked)
        except CloudError as error:
            if is_gone(error):
                continue
            raise
        rights = [right for right in answer.get("CreateVolumePermissions", []) if right.get("UserId") != cloud.account]
        if rights:
            permission: Any = {"Remove": rights}
            cloud.call(cloud.ec2.modify_snapshot_attribute, SnapshotId=snapshot_id, CreateVolumePermission=permission)
            opened.append(snapshot_id)
    return tuple(opened)


def tell_stage(cloud: Cloud, omi: Omi, identity: Identity) -> None:
    """Make description and tags say how far the OMI's withdrawal is, and nothing of it where it is current."""
    tags = identity.stage_tags
    if stale := [key for key in STAGE_TAGS if key in omi.tags and key not in tags]:
        keys: Any = [{"Key": key} for key in stale]
        cloud.call(cloud.ec2.delete_tags, Resources=[omi.omi_id], Tags=keys)
    if not omi.bears(tags):
        put_tags(cloud, [omi.omi_id], tags)
    if omi.description != identity.description:
        cloud.call(cloud.ec2.modify_image_attribute, ImageId=omi.omi_id, Description={"Value": identity.description})


def _launchers(cloud: Cloud, omi_id: str) -> frozenset[str]:
    """Who may launch it besides the owner, as Access.launchers tells."""
    answer = cloud.call(cloud.ec2.describe_image_attribute, ImageId=omi_id, Attribute="launchPermission")
    found = answer.get("LaunchPermissions", [])
    names = {EVERYONE if item.get("Group") else item.get("UserId", "") for item in found}
    return frozenset(names) - {"", cloud.account}


def _entry(name: str) -> dict[str, str]:
    return {"Group": "all"} if name == EVERYONE else {"UserId": name}
