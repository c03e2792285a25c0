"""Remembers a refused key for a minute, so that only one of several commands tries it.

An update or destroy runs a command for each image, several at once, and four wrong tries in a row lock the key.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from omi.outscale.credentials import Credentials
from omi.support.errors import CredentialsError
from omi.support.locks import LockedError, hold
from omi.support.places import cache_folder

REMEMBERED = 60.0
"""Seconds; as long as OUTSCALE locks a key after four wrong tries."""
_WAIT = 15.0  # seconds for another command's try to end
_DIGITS = 16  # hexadecimal: enough to distinguish keys, too few to reveal the secret


class RefusedKeyError(CredentialsError):
    """The key itself was refused, for any call."""


@contextmanager
def tried_once(url: str, credentials: Credentials) -> Iterator[None]:
    """Allow one try of a key at a time. A RefusedKeyError is remembered, and raised at once at the next try.

    If the cache folder can't be used, every command tries for itself.
    """
    told = f"{url}\0{credentials.access_key}\0{credentials.secret_key}"
    path = cache_folder() / "refused" / hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]
    with ExitStack() as stack:
        with suppress(OSError, LockedError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(hold(path, f"{url}: trying the access key", _WAIT))
        if _is_remembered(path):
            raise RefusedKeyError(
                f"credentials: {url} refused the access key from {credentials.source} a moment ago, so it is not tried "
                f"again for {REMEMBERED:.0f} s (four wrong tries lock it); give another one, or wait"
            )
        try:
            yield
        except RefusedKeyError:
            with suppress(OSError):
                path.write_bytes(b"refused")
            raise


def _is_remembered(path: Path) -> bool:
    with suppress(OSError):
        known = path.stat()
        return known.st_size > 0 and 0 <= time.time() - known.st_mtime < REMEMBERED
    return False
