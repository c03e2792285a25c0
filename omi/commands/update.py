"""`update` of an image's resource: who may launch it, its tags and its stage; the image itself never changes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from omi.commands.wire import export, give_record, read_record, read_spec
from omi.errors import CloudError
from omi.identity import DISK, Identity
from omi.narration import tell
from omi.outscale.cloud import Cloud
from omi.outscale.images import complete_tags, read_omi
from omi.outscale.publishing import close_snapshots, share, tell_stage


def update(_: Sequence[str]) -> int:
    """Make launch permissions, tags and what is said of the OMI's stage be those of the spec; print the record again.

    Raises CloudError if the OMI is no longer there.
    """
    spec, record = read_spec(), read_record(os.environ)
    if record.adopted:
        tell(f"{record.omi} was not made here: left as it is")
    else:
        cloud = Cloud.connect(spec.cloud)
        cloud.require_account(record.account, record.omi)
        omi = read_omi(cloud, record.omi)
        if omi is None or omi.owner != record.account:
            raise CloudError(
                f"{record.omi} ({record.name}) is gone from the account; take its build out of the profile, "
                "or remove it from the stack by `pulumi state delete` and run `pulumi up` to build it again"
            )
        identity = Identity(spec)
        share(cloud, omi.omi_id, spec.launch_access)
        if opened := close_snapshots(cloud, omi.snapshots):
            tell(f"made {', '.join(opened)} private again")
        if lacking := complete_tags(cloud, omi, identity.tags):
            tell(f"put tags on {', '.join(lacking)}")
        tell_stage(cloud, omi, identity)
        record = record.model_copy(update={"disk": record.disk or omi.tags.get(DISK)})
    export("record", spec, record)
    give_record(record)
    return 0
