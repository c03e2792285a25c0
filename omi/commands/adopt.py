"""`adopt` (create of an adopted image's resource): takes an OMI into the stack that is there; it never builds one."""

from __future__ import annotations

from collections.abc import Sequence

from omi.commands.wire import export, give_record, read_spec
from omi.errors import CloudError
from omi.image import ImageRecord
from omi.outscale.claims import take_up
from omi.outscale.cloud import Cloud
from omi.outscale.images import find_own, wait_available
from omi.owner import maker_of


def adopt(_: Sequence[str]) -> int:
    """Print the record of the account's OMI of the spec's name, and change nothing about it but the claim.

    It counts as made here only if it carries this stack's tags. Raises CloudError if it isn't there.
    """
    spec = read_spec()
    cloud = Cloud.connect(spec.cloud)
    omi = find_own(cloud, spec.name)
    if omi is not None and omi.state == "pending":  # another stack registers it right now
        omi = wait_available(cloud, omi.omi_id)
    if omi is None or omi.state != "available":
        state = "is not in the account" if omi is None else f"is {omi.state}"
        raise CloudError(f"{spec.name} {state}, so it is not adopted; take it out of `adopt` in the stack's config")
    own = spec.owner.owns(omi.tags)
    record = ImageRecord(
        name=omi.name,
        omi=omi.omi_id,
        snapshots=omi.snapshots,
        account=cloud.account,
        region=spec.cloud.region,
        created=omi.created,
        volume_size=omi.volume_size,
        used_bytes=None,
        trimmed_bytes=None,
        installed_bytes=None,
        packages=None,
        installed=None,
        documents=None,
        build_seconds=None,
        boot_seconds=None,
        boot_modes=omi.boot_modes,
        disk=None,
        copied_from=None,
        verified=False,
        adopted=not own,
        digest=omi.tags.get("digest"),
        made_by=None if own else maker_of(omi.tags),
        claim=take_up(cloud, omi) if own else None,
        missing=None,
    )
    export("record", spec, record)
    give_record(record)
    return 0
