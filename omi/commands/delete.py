"""`delete` of an image's resource. It works from what state holds alone: no profile, no checkout of that time."""

from __future__ import annotations

import os
from collections.abc import Sequence

from omi.commands.wire import export, read_record, read_spec
from omi.narration import tell
from omi.outscale.claims import find_held
from omi.outscale.cloud import Cloud
from omi.outscale.images import Ours, delete_omi


def delete(_: Sequence[str]) -> int:
    """Deregister the recorded OMI and delete its snapshots; an adopted one is only forgotten, a missing one is done."""
    spec, record = read_spec(), read_record(os.environ)
    if record.missing is not None:
        tell(f"{record.omi} ({record.name}) is missing since {record.missing}: forgotten, nothing is deleted")
    elif record.adopted:
        tell(f"{record.omi} ({record.name}) was not made here: forgotten, not deregistered")
    else:
        cloud = Cloud.connect(spec.cloud)
        find_held(cloud, record)
        ours = Ours(spec.owner.proof)
        delete_omi(cloud, record.omi, record.snapshots, ours, tell)
    export("forget", spec, record)
    return 0
