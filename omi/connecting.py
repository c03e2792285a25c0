"""The accounts' connections, made while the program still does other things."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING

from omi.image import CloudAccess
from omi.settings import Settings

if TYPE_CHECKING:
    from omi.outscale.oapi import Oapi

Connections = Mapping[str, "Future[Oapi]"]
"""By Region."""


def connect(settings: Settings) -> Connections:
    """Begin to connect to the account of each Region of the stack's config."""
    return {region: connect_to(settings.cloud_access(region)) for region in settings.all_regions}


def connect_to(access: CloudAccess) -> Future[Oapi]:
    """Begin to connect to an account, and ask which it is; nothing is waited for here.

    The result raises CredentialsError or CloudError. The thread is a daemon, so that a program that ends for another
    reason doesn't wait for a cloud that is slow to answer.
    """
    connecting: Future[Oapi] = Future()
    threading.Thread(target=_connect, args=(access, connecting), name="account", daemon=True).start()
    return connecting


def _connect(access: CloudAccess, connecting: Future[Oapi]) -> None:
    try:
        # boto3's core takes a while to import, too
        from omi.outscale.oapi import Oapi

        oapi = Oapi.connect(access)
        _ = oapi.account
    except BaseException as error:
        connecting.set_exception(error)
    else:
        connecting.set_result(oapi)
