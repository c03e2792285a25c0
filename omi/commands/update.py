"""`update` of an image's resource: changes permissions, tags and stage. The image itself never changes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from omi.build.supervisor import run_supervised
from omi.commands.wire import export, give_record, read_record, read_spec
from omi.outscale.claims import find_held, is_held
from omi.outscale.client import Cloud
from omi.outscale.images import complete_tags
from omi.outscale.publishing import close_snapshots, share, write_stage
from omi.outscale.shapes import Omi
from omi.state.identity import DISK, Identity
from omi.state.image import ImageRecord, ImageSpec
from omi.state.owner import taking_back
from omi.support import clock
from omi.support.errors import CloudError
from omi.support.narration import tell


def update(_: Sequence[str]) -> int:
    """Set launch permissions, tags and stage to those of the spec; print the record again.

    If the spec has a `take_over`, an external OMI becomes the stack's own, and nothing else changes yet. A missing OMI
    is marked in its record; a later plan forgets it. Raises CloudError if the cloud's answers differ, or if another
    record holds the OMI.
    """
    spec, record = read_spec(), read_record(os.environ)
    cloud = Cloud.connect(spec.cloud)
    omi = find_held(cloud, record)
    if omi is None:
        missing = record.missing or clock.today()
        tell(f"{record.omi} ({record.name}) is missing from the account: marked, the next update forgets it")
        give_record(record.model_copy(update={"missing": missing}))
        return 0
    if not record.adopted and not is_held(omi, record):
        raise CloudError(
            f"{record.omi} ({record.name}) bears another claim, so another record holds it; it is left as it is: "
            f"forget this one with `pulumi state delete`; or {taking_back(record.name)}"
        )
    if record.adopted and spec.take_over is not None:
        return run_supervised(spec)
    if record.adopted:
        tell(f"{record.omi} was not made here: left as it is")
    else:
        record = _bring_up_to_date(cloud, omi, spec, record)
    record = record.model_copy(update={"missing": None})
    export("record", spec, record)
    give_record(record)
    return 0


def _bring_up_to_date(cloud: Cloud, omi: Omi, spec: ImageSpec, record: ImageRecord) -> ImageRecord:
    identity = Identity(spec)
    share(cloud, omi.omi_id, spec.launch_access)
    if opened := close_snapshots(cloud, omi.snapshots):
        tell(f"made {', '.join(opened)} private again")
    if lacking := complete_tags(cloud, omi, identity.tags):
        tell(f"put tags on {', '.join(lacking)}")
    write_stage(cloud, omi, identity)
    return record.model_copy(update={"disk": record.disk or omi.tags.get(DISK)})
