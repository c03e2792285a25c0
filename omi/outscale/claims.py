"""Claims on an OMI, and the test whether it is missing."""

from __future__ import annotations

from functools import partial

from omi.outscale.client import Cloud
from omi.outscale.images import bearing_tags, put_tags, read_omi
from omi.outscale.shapes import Omi
from omi.outscale.waiting import wait_until
from omi.state.image import ImageRecord
from omi.state.owner import CLAIM, random_id, taking_back
from omi.support.errors import CloudError


def find_held(cloud: Cloud, record: ImageRecord) -> Omi | None:
    """The recorded OMI, or None if it is missing: neither the images nor the tags show it.

    Raises CredentialsError if the key is of another account, and CloudError if the two answers differ.
    """
    cloud.require_account(record.account, f"{record.omi} ({record.name})")
    omi = read_omi(cloud, record.omi)
    if omi is not None and omi.owner == record.account:
        return omi
    if bearing_tags(cloud, [record.omi]):
        raise CloudError(
            f"{record.omi} ({record.name}): ReadImages lacks it, but ReadTags shows it; nothing is changed, run again"
        )
    return None


def take_up(cloud: Cloud, omi: Omi) -> str:
    """Put a new claim on the OMI and return it once the cloud shows it. This ends the claim of any other record."""
    claim = random_id()
    put_tags(cloud, [omi.omi_id], {CLAIM: claim})
    await_claim(cloud, omi, claim)
    return claim


def await_claim(cloud: Cloud, omi: Omi, claim: str) -> None:
    """Wait until the cloud shows the OMI's new claim; NotInTimeError after cloud.limits.answer.

    The delete of a replaced record follows at once, and would take an old claim for its own.
    """
    wait_until(
        partial(read_omi, cloud, omi.omi_id),
        lambda seen: seen is not None and seen.tags.get(CLAIM) == claim,
        f"{omi.omi_id} to show its new claim",
        cloud.limits.answer,
        setting="cloud.limits.answer",
    )


def is_held(omi: Omi, record: ImageRecord) -> bool:
    """Whether the OMI bears the record's claim and not another's; CloudError if it bears none."""
    found = omi.tags.get(CLAIM)
    if record.claim is not None and found is None:
        raise CloudError(
            f"{omi.omi_id} ({omi.name}) has lost its tag {CLAIM}, so it is left as it is; "
            f"{taking_back(omi.name)} and then this again"
        )
    return found == record.claim
