"""`adopt` (create of an adopted or recovered image's resource): takes in an OMI that is there; it never builds one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omi.build.supervisor import run_supervised
from omi.commands.wire import export, give_record, read_spec
from omi.outscale.claims import take_up
from omi.outscale.cloud import Cloud
from omi.outscale.images import find_own, wait_available
from omi.publish.recorded import recorded
from omi.state.identity import COPIED_FROM, DISK
from omi.state.image import ImageRecord
from omi.state.owner import STANDS_FOR, maker_of
from omi.support.errors import CloudError


def adopt(_: Sequence[str]) -> int:
    """Print the record of the account's OMI of the spec's name, and change nothing about it but the claim.

    One that is to be taken over becomes the stack's own first (omi.build.taking_over).

    It counts as made here only if it carries this stack's tags; then the releases files know more of it, where they
    are there. Raises CloudError if it isn't there.
    """
    spec = read_spec()
    if spec.take_over is not None:
        return run_supervised(spec)
    cloud = Cloud.connect(spec.cloud)
    omi = find_own(cloud, spec.name)
    if omi is not None and omi.state == "pending":  # another stack registers it right now
        omi = wait_available(cloud, omi.omi_id)
    if omi is None or omi.state != "available":
        state = "is not in the account" if omi is None else f"is {omi.state}"
        raise CloudError(
            f"{spec.name} {state}, so it is not taken in; preview again, or take it out of `adopt` in the config"
        )
    if spec.owner.has_taken_over(omi.tags):
        raise CloudError(
            f"{omi.omi_id} ({spec.name}) was taken over by this stack, as its tag {STANDS_FOR} shows, so it is not "
            "taken in as an image built here; preview again, and the plan takes it in as what it is"
        )
    own, digest = spec.owner.owns(omi.tags), omi.tags.get("digest")
    known: dict[str, Any] = {"made_by": maker_of(omi.tags), "digest": digest}
    if own:
        known = {"digest": None if digest == spec.digest else digest, **recorded(spec, omi.omi_id)}
        known |= {
            "verified": omi.verified_by(spec.owner),
            "disk": omi.tags.get(DISK),
            "copied_from": omi.tags.get(COPIED_FROM),
        }
        known |= {"claim": take_up(cloud, omi)}
    record = ImageRecord.found(
        omi.name,
        omi.omi_id,
        cloud.account,
        spec.cloud.region,
        snapshots=omi.snapshots,
        created=omi.created,
        volume_size=omi.volume_size,
        boot_modes=omi.boot_modes,
        adopted=not own,
        **known,
    )
    export("record", spec, record)
    give_record(record)
    return 0
