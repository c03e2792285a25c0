"""The account's connection, made while the program still does other things."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from omi.settings import Settings

if TYPE_CHECKING:
    from omi.outscale.oapi import Oapi


def connect(settings: Settings) -> Future[Oapi]:
    """Begin to connect to the stack's account, and ask which it is; nothing is waited for here.

    The result raises CredentialsError or CloudError. The thread is a daemon, so that a program that ends for another
    reason doesn't wait for a cloud that is slow to answer.
    """
    connecting: Future[Oapi] = Future()
    threading.Thread(target=_connect, args=(settings, connecting), name="account", daemon=True).start()
    return connecting


def _connect(settings: Settings, connecting: Future[Oapi]) -> None:
    try:
        # boto3's core takes a while to import, too
        from omi.outscale.oapi import Oapi

        oapi = Oapi.connect(settings.cloud_access())
        _ = oapi.account
    except BaseException as error:
        connecting.set_exception(error)
    else:
        connecting.set_result(oapi)
