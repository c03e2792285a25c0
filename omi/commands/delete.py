"""`delete` of an image's resource. It works from what state holds alone: no profile, no checkout of that time."""

from __future__ import annotations

import os
from collections.abc import Sequence

from omi.commands.wire import export, read_record, read_spec
from omi.outscale.claims import find_held, is_held
from omi.outscale.cloud import Cloud
from omi.outscale.images import Ours, delete_omi
from omi.support.narration import tell


def delete(_: Sequence[str]) -> int:
    """Deregister the recorded OMI and delete its snapshots; one that is adopted or missing is only forgotten.

    An OMI that another record holds by now is left, with its releases entry. Raises CloudError.
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
        if omi is None:
            tell(f"{record.omi} ({record.name}): already gone")
        delete_omi(cloud, omi, record.snapshots, Ours(spec.owner.proof), tell)
    export("forget", spec, record)
    return 0
