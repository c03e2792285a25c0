"""The FCU face: the EC2 query API with XML answers. Importing it registers every operation."""

from sandbox.fcu import (  # noqa: F401 - each registers its operations
    images,
    network,
    snapshots,
    vms,
    volumes,
)
from sandbox.fcu.base import OPERATIONS, handle, refusal, shown

__all__ = ["OPERATIONS", "handle", "refusal", "shown"]
