"""Changes an OMI as others see it: its launch permissions, its snapshots' privacy, its stage in the description."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omi.outscale.client import Cloud
from omi.outscale.images import delete_tags, put_tags, read_omi, read_snapshots
from omi.outscale.shapes import Omi
from omi.profile.model import EVERYONE, Access
from omi.state.identity import STAGE_TAGS, Identity
from omi.state.withdrawal import Stage
from omi.support.errors import CloudError


def share(cloud: Cloud, omi_id: str, access: Access, *, narrow: bool = True) -> None:
    """Set the launch permissions to exactly these or, without `narrow`, at least these.

    Nobody who may launch it before and after loses that meanwhile, whichever call fails. So additions come first where
    everyone is added or removed; else removals do, since whoever goes must not stay because the cloud refuses another.
    After a failed call the permissions are read again. Raises CloudError with the accounts that the cloud refused.
    """
    have, want = _launchers(cloud, omi_id), access.launchers(cloud.account)
    want = want if narrow else want | have
    # a call takes either additions or removals
    changes = [("Removals", have - want), ("Additions", want - have)]
    if EVERYONE in have ^ want:
        changes.reverse()
    for change, who in changes:
        if not who:
            continue
        have = have | who if change == "Additions" else have - who
        try:
            _update(cloud, omi_id, PermissionsToLaunch={change: _permissions(who)})
        except CloudError as error:
            if _launchers(cloud, omi_id) == have:
                continue
            names = ", ".join(sorted(who))
            done = f"shared with {names}" if change == "Additions" else f"taken from {names}"
            raise CloudError(f"{omi_id} could not be {done}: {error}; see `access`", error.code) from error


def close_snapshots(cloud: Cloud, snapshot_ids: Sequence[str]) -> tuple[str, ...]:
    """Let nobody else make volumes of these snapshots; a shared OMI doesn't need that. Returns those that were open.

    One that is gone counts as closed.
    """
    opened = []
    for snapshot in read_snapshots(cloud, snapshot_ids):
        if others := snapshot.permissions.names(cloud.account):
            change = {"Removals": _permissions(others)}
            cloud.call("UpdateSnapshot", {"SnapshotId": snapshot.snapshot_id, "PermissionsToCreateVolume": change})
            opened.append(snapshot.snapshot_id)
    return tuple(opened)


def describe_verified(cloud: Cloud, omi: Omi, identity: Identity) -> None:
    """Add to the description, too, that the OMI was verified, since tags are easily lost."""
    if omi.description != (described := identity.described(verified=True)):
        _update(cloud, omi.omi_id, Description=described)


def write_stage(cloud: Cloud, omi: Omi, identity: Identity) -> None:
    """Write the OMI's stage into its description and tags; a current one has no stage there."""
    tags = identity.stage_tags
    if stale := {key: omi.tags[key] for key in STAGE_TAGS if key in omi.tags and key not in tags}:
        delete_tags(cloud, omi.omi_id, stale)
    if not omi.bears(tags):
        put_tags(cloud, [omi.omi_id], tags)
    if omi.description != (described := identity.described(verified=omi.verified_by(identity.spec.owner))):
        _update(cloud, omi.omi_id, Description=described)


def reach_stage(cloud: Cloud, omi: Omi, identity: Identity) -> None:
    """Make an own OMI private if that is its stage, and write the stage if its tags have another.

    A create needs this, too: `pulumi up --replace` runs it in place of the update that withdraws the image.
    """
    if identity.spec.stage is Stage.PRIVATE:
        share(cloud, omi.omi_id, identity.spec.launch_access)
    if any(omi.tags.get(key) != identity.stage_tags.get(key) for key in STAGE_TAGS):
        write_stage(cloud, omi, identity)


def _update(cloud: Cloud, omi_id: str, **changes: Any) -> None:
    cloud.call("UpdateImage", {"ImageId": omi_id, **changes})


def _launchers(cloud: Cloud, omi_id: str) -> frozenset[str]:
    """The accounts that may launch it besides the owner, as in Access.launchers."""
    omi = read_omi(cloud, omi_id)
    if omi is None or omi.permissions is None:
        raise CloudError(f"{omi_id}: ReadImages at {cloud.access.api} doesn't show who may launch it; run again")
    return omi.permissions.names(cloud.account)


def _permissions(who: frozenset[str]) -> dict[str, Any]:
    accounts = sorted(who - {EVERYONE})
    return {
        **({"AccountIds": accounts} if accounts else {}),
        **({"GlobalPermission": True} if EVERYONE in who else {}),
    }
