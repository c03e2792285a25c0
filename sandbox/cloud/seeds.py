"""The first things in a fresh cloud: accounts, default security groups and the public OMIs of other accounts."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.ids import new_account_id
from sandbox.cloud.model import Account, Image, ImageMapping, Permissions, Snapshot, now
from sandbox.cloud.security_groups import default_group
from sandbox.config import REGIONS

OFFICIAL_ALIAS = "Outscale"
OFFICIAL_ACCOUNT = "476193008254"
FOREIGN_ACCOUNT = "815926374010"
"""A foreign account that publishes OMIs under names that others use, as anyone may on OUTSCALE."""
PUBLISHED = {OFFICIAL_ACCOUNT: 2, FOREIGN_ACCOUNT: 2}
"""The number of OMIs of each of them in a Region."""
CLASHING_NAME = "alpine-3.23.6-x86_64-r0"
ROOT_DEVICE = "/dev/sda1"


@dataclass(frozen=True)
class SeedDisk:
    """The disk of the official OMI: a qcow2 file, its size in GiB, its name and when it was made."""

    path: Path
    size: int
    name: str
    created: dt.datetime


def ensure_accounts(cloud: LocalCloud, profiles: Mapping[str, str]) -> dict[str, Account]:
    """The account of every profile (name -> Region), made at first start; returns them by profile name."""
    with cloud.transaction() as store:
        known = {each.profile: each for each in store.all(Account) if each.profile}
        for profile, region in profiles.items():
            if profile not in known:
                account = Account(id=new_account_id(), account_id="", region=region, created=now(), profile=profile)
                known[profile] = store.put(account.model_copy(update={"account_id": account.id}))
            default_group(cloud, known[profile])
        return known


def seeded(cloud: LocalCloud) -> bool:
    """Whether all public OMIs exist, so that their disk need not be made."""
    found = Counter(each.region for each in cloud.store.all(Image) if each.account_id in PUBLISHED)
    return all(found[region.name] >= sum(PUBLISHED.values()) for region in REGIONS)


def ensure_images(cloud: LocalCloud, source: SeedDisk, progress: Callable[[str], None]) -> None:
    """Put the public OMIs into every Region that lacks them.

    These are the official Debian-12, an older official one, a newer foreign OMI of the official name, and a foreign OMI
    with a name of our own images. All have the official one's disk.
    """
    older = f"Debian-12-{source.created - dt.timedelta(days=180):%Y-%m-%d}"
    disk: str | None = None
    for region in REGIONS:
        progress(f"registering the public OMIs of {region.name}")
        present = {(each.account_id, each.name) for each in cloud.store.all(Image) if each.region == region.name}
        for account, name, age in (
            (OFFICIAL_ACCOUNT, older, dt.timedelta(days=180)),
            (OFFICIAL_ACCOUNT, source.name, dt.timedelta()),
            (FOREIGN_ACCOUNT, source.name, -dt.timedelta(hours=1)),
            (FOREIGN_ACCOUNT, CLASHING_NAME, -dt.timedelta(hours=1)),
        ):
            if (account, name) not in present:
                snapshot_id = cloud.fresh_id(Snapshot)
                if disk is None:
                    cloud.machines.import_snapshot(snapshot_id, str(source.path))
                    disk = snapshot_id
                else:
                    cloud.machines.copy_snapshot(snapshot_id, disk)
                _register(cloud, source, snapshot_id, region.name, account, name, source.created - age)


def _register(
    cloud: LocalCloud, source: SeedDisk, snapshot_id: str, region: str, account: str, name: str, created: dt.datetime
) -> None:
    owner = Account(id=account, account_id=account, region=region, created=created)
    mapping = ImageMapping(
        device_name=ROOT_DEVICE, snapshot_id=snapshot_id, size=source.size, type="standard", delete_on_vm_deletion=True
    )
    with cloud.transaction():
        cloud.make(
            Snapshot,
            owner,
            id=snapshot_id,
            created=created,
            description=f"Root volume of {name}",
            volume_id=None,
            size=source.size,
            state="completed",
            progress=100,
            copied=True,
        )
        cloud.make(
            Image,
            owner,
            created=created,
            name=name,
            description="",
            architecture="x86_64",
            root_device=ROOT_DEVICE,
            mappings=(mapping,),
            state="available",
            permissions=Permissions(public=True),
        )


def alias_of(account_id: str) -> str | None:
    """The alias of an account; only the official one has any."""
    return OFFICIAL_ALIAS if account_id == OFFICIAL_ACCOUNT else None
