"""The accounts' connections, made while the program still does other things."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, wait

from omi.config.settings import Settings
from omi.outscale.client import Cloud
from omi.outscale.deadline import begun
from omi.outscale.waiting import QUIET
from omi.state.image import CloudAccess
from omi.support.errors import CloudError
from omi.support.narration import tell

Connections = Mapping[str, Future[Cloud]]
"""By Region."""
_LIMIT = 600.0
"""Seconds; each call has limits of its own (cloud.limits), and is tried a few times."""


def connect(settings: Settings) -> Connections:
    """Begin to connect to the account of each Region of the stack's config."""
    return {region: connect_to(settings.cloud_access(region)) for region in settings.all_regions}


def connect_to(access: CloudAccess) -> Future[Cloud]:
    """Begin to connect to an account, and ask which it is; nothing is waited for here.

    The result raises CredentialsError or CloudError.
    """

    def connect() -> Cloud:
        cloud = Cloud.connect(access)
        _ = cloud.account
        return cloud

    return begun(connect)


def connected(connecting: Future[Cloud], access: CloudAccess) -> Cloud:
    """The connection, once it is there; a wait that isn't short is told. Raises what `connect_to` says."""
    done, _ = wait([connecting], timeout=QUIET)
    if not done:
        tell(f"waiting for {access.api}, at most {_LIMIT:.0f} s")
        done, _ = wait([connecting], timeout=_LIMIT)
    if not done:
        raise CloudError(f"{access.api}: did not answer which account the key is of within {_LIMIT:.0f} s; run again")
    return connecting.result()
