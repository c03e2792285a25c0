"""`adopt` (create of an adopted or recovered image's resource): takes in an OMI that is there; it never builds one."""

from __future__ import annotations

from collections.abc import Sequence

from omi.build.record import copy_facts, external_record, record_of
from omi.build.supervisor import run_supervised
from omi.commands.wire import export, give_record, read_spec
from omi.outscale.claims import take_up
from omi.outscale.client import Cloud
from omi.outscale.images import find_own, wait_available
from omi.outscale.publishing import reach_stage
from omi.publish.recorded import recorded
from omi.state.identity import Identity
from omi.state.owner import STANDS_FOR
from omi.support.errors import CloudError


def adopt(_: Sequence[str]) -> int:
    """Print the record of the account's OMI of the spec's name.

    An own OMI gets a new claim and is brought to the spec's stage: if that is private, nobody else can launch it from
    then on. Nothing else changes.

    If the spec has a `take_over`, the OMI first becomes the stack's own (omi.build.taking_over).

    It counts as made here only if its tags and its name prove that; then further facts come from the releases files, if
    they exist. Raises CloudError if the OMI isn't in the account.
    """
    spec = read_spec()
    if spec.take_over is not None:
        return run_supervised(spec)
    cloud = Cloud.connect(spec.cloud)
    omi = find_own(cloud, spec.name)
    if omi is not None and omi.state == "pending":  # another stack is registering it right now
        omi = wait_available(cloud, omi.omi_id)
    if omi is None or omi.state != "available":
        state = "is not in the account" if omi is None else f"is {omi.state}"
        raise CloudError(
            f"{spec.name} {state}, so it is not taken in; preview again, or take it out of `adopt` in the config"
        )
    if spec.owner.has_taken_over(omi.name, omi.tags):
        raise CloudError(
            f"{omi.omi_id} ({spec.name}) was taken over by this stack, as its tag {STANDS_FOR} shows, so it is not "
            "taken in as an image built here; preview again, and the plan takes it in as what it is"
        )
    if spec.owner.owns_omi(omi.name, omi.tags):
        digest = omi.tags.get("digest")
        known = {"digest": None if digest == spec.digest else digest, **copy_facts(omi), **recorded(spec, omi.omi_id)}
        reach_stage(cloud, omi, Identity(spec))
        verified, claim = omi.verified_by(spec.owner), take_up(cloud, omi)
        record = record_of(cloud, omi, adopted=False, verified=verified, claim=claim, **known)
    else:
        record = external_record(cloud, omi)
    export("record", spec, record)
    give_record(record)
    return 0
