"""Reads the account's contents for a plan: three calls, and one for the snapshots, however many images there are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from omi.outscale.client import Cloud
from omi.outscale.images import bearing_tags
from omi.outscale.shapes import CloudSnapshot, CloudVm, Omi, listed
from omi.profile.model import Access
from omi.state.account import AccountImage, AccountView
from omi.state.owner import CLAIM, STACK_ID, STANDS_FOR, Owner, build_id_of

_ENDED = frozenset({"shutting-down", "terminated"})


def read_account(
    cloud: Cloud, owner: Owner, expected: Collection[str] = (), snapshots: Collection[str] = ()
) -> AccountView:
    """Read all OMIs of the account in its Region, with their launch permissions and the account's VMs of each.

    ReadAccounts goes first and alone, so that a wrong key is tried only once. If the list lacks some of the `expected`
    ids, these are read by id, then by their tags, before they count as missing. `snapshots` are read to find those that
    others may use. Raises CredentialsError or CloudError.
    """
    account = cloud.account
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="account") as other:
        used = other.submit(_vms_by_omi, cloud)
        opened = other.submit(_open_snapshots, cloud, account, snapshots)
        images = list(listed(cloud, Omi, AccountIds=[account]))
        if missing := set(expected) - {image.omi_id for image in images}:
            images += listed(cloud, Omi, ImageIds=missing)
        vms = used.result()
    # compared again, in case the cloud ignored the filter and listed all public images, too
    own = [image for image in images if image.owner == account]
    is_open = opened.result()
    views = [_view(image, owner, vms.get(image.omi_id, []), is_open.intersection(image.snapshots)) for image in own]
    unseen = set(expected) - {view.omi for view in views}
    return AccountView.of(views, account, unseen - bearing_tags(cloud, unseen))


def _vms_by_omi(cloud: Cloud) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for vm in listed(cloud, CloudVm):
        if vm.state not in _ENDED:
            found.setdefault(vm.omi, []).append(vm.vm_id)
    return found


def _open_snapshots(cloud: Cloud, account: str, wanted: Collection[str]) -> frozenset[str]:
    found = listed(cloud, CloudSnapshot, SnapshotIds=wanted)
    return frozenset(each.snapshot_id for each in found if each.permissions.names(account))


def _view(image: Omi, owner: Owner, vms: list[str], opened: Collection[str]) -> AccountImage:
    digest = image.tags.get("digest")
    unfinished = (image.state != "available" or digest is None) and CLAIM not in image.tags
    permissions = image.permissions
    is_own = owner.owns_omi(image.name, image.tags)
    is_marked = build_id_of(owner, image.name) in image.description
    is_stray = not is_own and (owner.owns(image.tags) or (is_marked and STACK_ID not in image.tags))
    return AccountImage(
        name=image.name,
        omi=image.omi_id,
        tags=image.tags,
        description=image.description,
        managed=is_own,
        stray=is_stray,
        half_made=unfinished and not image.verified_by(owner) and is_marked,
        digest=digest,
        unchecked=is_own and STANDS_FOR not in image.tags and not image.is_in_use(owner),
        access=Access(public=permissions.public, accounts=tuple(sorted(permissions.accounts))) if permissions else None,
        used_by=tuple(sorted(vms)),
        open_snapshots=tuple(sorted(opened)),
    )
