"""`claim`: gives an OMI back to the record of this stack, by its tag in the account."""

from __future__ import annotations

from typing import Annotated

import typer

from omi.cli.stack import Stack, read_stack
from omi.cli.stack_lock import hold_stack
from omi.outscale.claims import await_claim, find_held
from omi.outscale.client import Cloud
from omi.outscale.images import put_tags
from omi.plan.held import Held
from omi.state.ledger import Ledger, LedgerImage
from omi.state.owner import CLAIM, STACK_ID
from omi.support.errors import CloudError, InputError


def claim(
    stack: Stack,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="the image's name, or the OMI's id")],
) -> None:
    """Write the claim of this stack's record to an OMI's tag.

    A record of another state that held the OMI leaves it alone from then on. The command refuses to run while it can
    see that an update of the stack runs, which may write a new claim.
    """
    with hold_stack(stack):
        _claim(read_stack(stack)[1], image)


def _claim(held: Held, image: str) -> None:
    found = _find(held.ledger, image)
    record = found.record
    if record.claim is None:
        raise InputError(f"{record.omi} ({record.name}): was not made by this stack, so it has no claim to write")
    cloud = Cloud.connect(found.spec.cloud)
    omi = find_held(cloud, record)
    if omi is None:
        raise CloudError(f"{record.omi} ({record.name}): is not in the account; `pulumi up` marks it as missing")
    if not held.owner.owns(omi.tags):
        whose, owner = omi.tags.get(STACK_ID, "none"), held.owner
        cure = f"put its tag {STACK_ID}={owner.stack_id} back, and run this again"
        if STACK_ID in omi.tags:
            urns = f"`pulumi stack -s {owner.stack} --show-urns`"
            cure = f"`pulumi state delete -s {owner.stack}` with its URN from {urns} forgets this record"
        raise CloudError(
            f"{omi.omi_id} ({omi.name}): its tag {STACK_ID} is {whose}, so it isn't this stack's to claim; {cure}"
        )
    before = omi.tags.get(CLAIM)
    if before == record.claim:
        print(f"{record.omi} ({record.name}) bears this stack's claim already: nothing is changed")
        return
    put_tags(cloud, [omi.omi_id], {CLAIM: record.claim})
    await_claim(cloud, omi, record.claim)
    print(f"{record.omi} ({record.name}) bears this stack's claim {record.claim} now (before: {before or 'none'})")


def _find(ledger: Ledger, wanted: str) -> LedgerImage:
    found = [image for image in ledger.images if wanted in (image.name, image.record.omi)]
    if not found:
        raise InputError(f"image {wanted!r}: is not the stack's; `python -m omi images` lists them")
    if len(found) > 1:
        omis = ", ".join(f"{image.record.omi} ({image.region})" for image in found)
        raise InputError(f"image {wanted!r}: is in several Regions; give the OMI's id, one of {omis}")
    return found[0]
