"""What the cloud asks of its object store (sandbox.oos is one)."""

from __future__ import annotations

from typing import Protocol

from sandbox.cloud.model import Account


class ObjectStore(Protocol):
    """What exporting and importing need of the object store."""

    def owns(self, account_id: str, bucket: str) -> bool:
        """Whether the account has this bucket."""
        ...

    def put(self, account_id: str, bucket: str, key: str, content: bytes) -> bool:
        """Write an object; False where that can't be."""
        ...

    def presign(self, caller: Account, bucket: str, key: str) -> str:
        """A URL by which whoever has it may read the object for seven days."""
        ...

    def fetch(self, url: str) -> bytes:
        """What a pre-signed URL leads to; raises CloudError."""
        ...
