"""`update` of an image's resource: tags and access right as the spec says; the image itself never changes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from omi.commands.wire import export, give_record, read_record, read_spec, tell
from omi.errors import CloudError


def update(_: Sequence[str]) -> int:
    """Set the OMI's tags and launch permissions to those of the spec and print the record again.

    Raises CloudError if the OMI is no longer there.
    """
    from omi.identity import Identity
    from omi.outscale.cloud import Cloud
    from omi.outscale.images import complete_tags, read_omi, share

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
        if lacking := complete_tags(cloud, omi, Identity(spec).tags):
            tell(f"put tags on {', '.join(lacking)}")
        share(cloud, omi.omi_id, spec.access)
    export("record", spec, record)
    give_record(record)
    return 0
