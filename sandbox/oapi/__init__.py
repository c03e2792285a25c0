"""The OUTSCALE API (OAPI) face: JSON calls at /api/v1/<Action>. Importing it registers every action."""

from sandbox.oapi import (  # noqa: F401 - each registers its actions
    access_keys,
    catalogue,
    exports,
    images,
    keypairs,
    launch,
    nets,
    public_ips,
    security_groups,
    snapshots,
    tags,
    vms,
    volumes,
)
from sandbox.oapi.base import ACTIONS, answer, handle, held, needs_signature, refusal, shown, without

__all__ = ["ACTIONS", "answer", "handle", "held", "needs_signature", "refusal", "shown", "without"]
