"""Removing what a build left in the account: only what carries the build's id or bears its names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from omi.errors import CloudError
from omi.outscale.cloud import Cloud
from omi.outscale.entry import delete_group, delete_key, find_groups
from omi.outscale.images import delete_snapshot, own_snapshots
from omi.outscale.vms import delete_volume, own_volumes, terminate_vms, vms_with


@dataclass(frozen=True)
class Leftovers:
    """How a build's things are recognised; `volumes` are ids seen in its log, whose snapshots may carry no tags."""

    build_id: str
    key_names: tuple[str, ...]
    group_name: str | None = None
    """None while the group is still needed."""
    volumes: tuple[str, ...] = ()

    @property
    def tags(self) -> dict[str, str]:
        """What a thing of this build carries."""
        return {"build-id": self.build_id}


def sweep(cloud: Cloud, left: Leftovers, spare: Sequence[str], say: Callable[[str], None]) -> None:
    """End VMs, then delete volumes, snapshots (but those in `spare`), keypairs and groups that the build left.

    Goes on after a failure and raises the first CloudError at the end.
    """
    failures: list[CloudError] = []
    steps: tuple[Callable[[], None], ...] = (
        lambda: _end_vms(cloud, left, say),
        lambda: _drop_volumes(cloud, left, say),
        lambda: _drop_snapshots(cloud, left, spare, say),
        *(partial(_drop_key, cloud, name, say) for name in left.key_names),
        lambda: _drop_group(cloud, left, say),
    )
    for step in steps:
        try:
            step()
        except CloudError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _end_vms(cloud: Cloud, left: Leftovers, say: Callable[[str], None]) -> None:
    for vm in vms_with(cloud, left.key_names, left.tags):
        say(f"terminating {vm.vm_id}, which was left running")
        terminate_vms(cloud, [vm.vm_id])
        for volume in vm.volumes:
            delete_volume(cloud, volume)


def _drop_volumes(cloud: Cloud, left: Leftovers, say: Callable[[str], None]) -> None:
    for volume in own_volumes(cloud, left.tags):
        if delete_volume(cloud, volume):
            say(f"deleted volume {volume}")


def _drop_snapshots(cloud: Cloud, left: Leftovers, spare: Sequence[str], say: Callable[[str], None]) -> None:
    for snapshot in own_snapshots(cloud, left.volumes, left.tags):
        if snapshot.snapshot_id not in spare:
            delete_snapshot(cloud, snapshot.snapshot_id)
            say(f"deleted snapshot {snapshot.snapshot_id}")


def _drop_key(cloud: Cloud, name: str, say: Callable[[str], None]) -> None:
    if delete_key(cloud, name):
        say(f"deleted keypair {name}")


def _drop_group(cloud: Cloud, left: Leftovers, say: Callable[[str], None]) -> None:
    for group in find_groups(cloud, left.group_name) if left.group_name else ():
        if delete_group(cloud, group):
            say(f"deleted security group {group}")
