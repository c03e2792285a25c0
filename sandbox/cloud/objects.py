"""The object store as the cloud uses it (sandbox.oos is one)."""

from __future__ import annotations

from typing import Protocol

from sandbox.cloud.model import Account


class ExportStore(Protocol):
    """An object store to export to and import from."""

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
        """The object behind a pre-signed URL; raises RefusedError."""
        ...
