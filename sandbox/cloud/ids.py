"""Ids in OUTSCALE's form: a prefix and eight hexadecimal digits."""

from __future__ import annotations

import re
import secrets

from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.model import Keypair, Resource


def new_id(prefix: str) -> str:
    """A fresh id such as `ami-0a1b2c3d` (a keypair's has 32 digits, as on OUTSCALE)."""
    return f"{prefix}-{secrets.token_hex(16 if prefix == Keypair.prefix else 4)}"


def new_account_id() -> str:
    """A fresh 12-digit account id."""
    return str(10**11 + secrets.randbelow(9 * 10**11))


def check_id(kind: type[Resource], value: str) -> str:
    """`value` if it has the form of an id of that kind."""
    if re.fullmatch(rf"{kind.prefix}-[0-9a-f]{{8,32}}", value):
        return value
    fail = Fail.BAD_ID if value.startswith(f"{kind.prefix}-") else Fail.BAD_PREFIX
    raise RefusedError(fail, f"The id '{value}' is malformed: '{kind.prefix}-' and 8 hexadecimal digits are expected.")
