"""What is in the account by this stack's hand and in no one's care: found, told, and removed on demand."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from omi.account import AccountView
from omi.errors import CloudError, OmiError
from omi.ledger import Ledger
from omi.outscale.account import read_account
from omi.outscale.cloud import Cloud
from omi.outscale.entry import delete_group, delete_key
from omi.outscale.images import Ours, delete_omi, delete_snapshot, own_omis, own_snapshots
from omi.outscale.oos import ObjectStore, prefix_of
from omi.outscale.refused import RefusedKeyError
from omi.outscale.shapes import Group, Keypair, listed
from omi.outscale.vms import delete_volume, own_volumes, terminate_vms, vms_with
from omi.owner import VERIFIED, Owner, build_id_of
from omi.profile.model import Access

_NAMED = re.compile(r"alpine-omi-(b-[0-9a-f]{16})(?:-build|-verify)?")
"""Keypairs and security groups can't be told by tags; their names hold the build id."""


@dataclass(frozen=True)
class Orphan:
    """One thing that may go."""

    kind: str
    """VM, volume, image, snapshot, keypair, group or bucket."""
    id: str
    name: str
    why: str
    stays: bool = False
    """It is only told of."""


def find_orphans(cloud: Cloud, ledger: Ledger, owner: Owner, names: Collection[str]) -> list[Orphan]:
    """In the order in which they are to be removed.

    VMs, volumes, images and snapshots count if they carry the tags of this project and stack; keypairs and groups if
    they are called after a build of one of `names`, of the ledger's images or of what carries the tags. Raises
    CredentialsError (also for an account that the ledger's images aren't in) and CloudError.
    """
    for image in ledger.images:
        cloud.require_account(image.record.account, f"{image.record.omi} ({image.name})")
    view = read_account(cloud, owner, [image.record.omi for image in ledger.images])
    tags = owner.proof
    vms = vms_with(cloud, (), tags)
    snapshots = own_snapshots(cloud, tags=tags)
    known = {build_id_of(owner, name) for name in _names(ledger, view, names)}
    known |= {vm.tags.get("build-id", "") for vm in vms} | {each.tags.get("build-id", "") for each in snapshots}
    on_vms = {volume for vm in vms for volume in vm.volumes}
    return [
        *(Orphan("VM", vm.vm_id, vm.tags.get("Name", ""), "left by a build or its check") for vm in vms),
        *(
            Orphan("volume", volume, "", "left by a build or its check")
            for volume in own_volumes(cloud, tags)
            if volume not in on_vms
        ),
        *_images(view, ledger),
        *_snapshots(cloud, ledger, [(each.snapshot_id, each.tags.get("Name", "")) for each in snapshots]),
        *_entries(cloud, known),
    ]


def find_buckets(store: ObjectStore, owner: Owner, runs: Collection[str]) -> list[Orphan]:
    """Buckets of images that were to be carried over to another Region: those that say that they are this stack's, and
    empty ones that are named after one of `runs` (ImageSpec.run).
    """
    names = tuple(prefix_of(build_id_of(owner, run).removeprefix("b-")) for run in runs)
    found = []
    for bucket in store.own():
        try:
            mark = store.mark_of(bucket)
        except RefusedKeyError:
            raise
        except OmiError as error:
            found.append(Orphan("bucket", bucket, "", f"whose it is can't be read: {error}", stays=True))
            continue
        ours = mark is not None and mark.stack_id == owner.stack_id
        if ours or (mark is None and bucket.startswith(names) and not store.keys(bucket)):
            found.append(Orphan("bucket", bucket, mark.run if mark else "", "left by an image that was carried over"))
    return found


def _names(ledger: Ledger, view: AccountView, names: Collection[str]) -> Iterator[str]:
    yield from names
    yield from (image.name for image in view.images if image.managed)
    for image in ledger.images:
        yield image.name
        yield image.spec.build.image_name(image.release, image.revision + 1)  # what an interrupted run was to make


def _images(view: AccountView, ledger: Ledger) -> Iterator[Orphan]:
    held = {image.record.omi for image in ledger.images}
    for image in view.images:
        if image.omi in held:
            continue
        if image.managed and image.used_by:
            why = f"no state holds it, but {', '.join(image.used_by)} runs from it"
            yield Orphan("image", image.omi, image.name, why, stays=True)
        elif image.managed and (VERIFIED in image.tags or image.access not in (None, Access())):
            why = "no state holds it, but it was verified or is shared: deregister it by hand if nobody needs it"
            yield Orphan("image", image.omi, image.name, why, stays=True)
        elif image.managed:
            yield Orphan("image", image.omi, image.name, "no state holds it")
        elif image.half_made:
            why = "half-made and without tags: the next build of its name removes it"
            yield Orphan("image", image.omi, image.name, why, stays=True)


def _snapshots(cloud: Cloud, ledger: Ledger, tagged: Sequence[tuple[str, str]]) -> Iterator[Orphan]:
    used = {snapshot for omi in own_omis(cloud, {}) for snapshot in omi.snapshots}
    held = {snapshot for image in ledger.images for snapshot in image.record.snapshots}
    for snapshot, name in tagged:
        if snapshot not in used | held:
            yield Orphan("snapshot", snapshot, name, "no image is made of it")


def _entries(cloud: Cloud, known: Collection[str]) -> Iterator[Orphan]:
    def ours(name: str) -> bool:
        match = _NAMED.fullmatch(name)
        return match is not None and match[1] in known

    for pair in listed(cloud, Keypair):
        if ours(pair.name):
            yield Orphan("keypair", pair.name, pair.name, "left by a build or its check")
    for group in listed(cloud, Group):
        if ours(group.name):
            yield Orphan("group", group.group_id, group.name, "left by a build or its check")


def remove_orphans(
    cloud: Cloud,
    orphans: Sequence[Orphan],
    owner: Owner,
    say: Callable[[str], None],
    store: ObjectStore | None = None,
) -> None:
    """Remove those that may go and say so; what is gone by then counts as done. `store` has the buckets among them.

    Goes on after a failure and raises the first CloudError at the end.
    """
    ours = Ours(owner.proof)
    how: dict[str, Callable[[str], Any]] = {
        "VM": lambda vm: terminate_vms(cloud, [vm]),
        "volume": lambda volume: delete_volume(cloud, volume),
        "image": lambda omi: delete_omi(cloud, omi, (), ours, say),
        "snapshot": lambda snapshot: delete_snapshot(cloud, snapshot),
        "keypair": lambda name: delete_key(cloud, name),
        "group": lambda group: delete_group(cloud, group),
    }
    if store is not None:
        how["bucket"] = lambda bucket: store.drop(bucket, lambda told: told.stack_id == owner.stack_id)
    failures: list[CloudError] = []
    for orphan in orphans:
        if orphan.stays:
            continue
        try:
            how[orphan.kind](orphan.id)
            say(f"removed {orphan.kind} {orphan.id}")
        except CloudError as error:
            failures.append(error)
            say(f"not removed: {orphan.kind} {orphan.id}: {error}")
    if failures:
        raise failures[0]
