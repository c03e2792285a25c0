"""`delete` of an image's resource. It needs only the state: neither the profile nor the checkout of the build."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from omi.commands.wire import export, read_record, read_spec
from omi.outscale.claims import find_held, is_held
from omi.outscale.client import Cloud
from omi.outscale.images import Ours, delete_omi
from omi.outscale.shapes import CloudVm, Omi, listed
from omi.profile.model import EVERYONE
from omi.support.errors import few
from omi.support.narration import tell


def delete(_: Sequence[str]) -> int:
    """Deregister the recorded OMI and delete its snapshots; an adopted or missing one is only forgotten.

    An OMI that another record holds stays, with its releases entry. Raises CloudError.
    """
    spec, record = read_spec(), read_record(os.environ)
    if record.missing is not None:
        tell(f"{record.omi} ({record.name}) is missing since {record.missing}: forgotten, nothing is deleted")
    elif record.adopted:
        tell(f"{record.omi} ({record.name}) was not made here: forgotten, not deregistered")
    else:
        cloud = Cloud.connect(spec.cloud)
        omi = find_held(cloud, record)
        if omi is not None and not is_held(omi, record):
            tell(f"{record.omi} ({record.name}) bears another claim, so another record holds it: left as it is")
            return 0
        users = [] if omi is None else list(_users(cloud, omi))
        if omi is None:
            tell(f"{record.omi} ({record.name}): already gone")
        delete_omi(cloud, omi, record.snapshots, Ours(spec.owner.proof), tell)
        for line in users:
            tell(line)
    export("forget", spec, record)
    return 0


def _users(cloud: Cloud, omi: Omi) -> Iterator[str]:
    """A line about the accounts that may launch the OMI, and one about the VMs that run from it."""
    others = omi.permissions.names(cloud.account) if omi.permissions else frozenset()
    if others:
        accounts = "every account" if EVERYONE in others else f"account {few(sorted(others))}"
        yield f"{omi.omi_id} was shared with {accounts}: nobody can launch it any more"
    vms = sorted(
        vm.vm_id for vm in listed(cloud, CloudVm, ImageIds=[omi.omi_id]) if vm.omi == omi.omi_id and not vm.is_lost
    )
    if vms:
        yield f"VMs were made from {omi.omi_id} ({few(vms)}): they go on"
