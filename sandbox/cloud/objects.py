"""The interface of the object store that the cloud uses (sandbox.oos has one)."""

from __future__ import annotations

from typing import Protocol

from sandbox.cloud.model import Account


class ExportStore(Protocol):
    """An object store to export to and import from."""

    def owns(self, account_id: str, bucket: str) -> bool:
        """Whether the account has this bucket."""
        ...

    def put(self, account_id: str, bucket: str, key: str, content: bytes) -> bool:
        """Write an object; False if that isn't possible."""
        ...

    def presign(self, caller: Account, bucket: str, key: str) -> str:
        """A URL that lets anyone who has it read the object for seven days."""
        ...

    def fetch(self, url: str) -> bytes:
        """The object behind a pre-signed URL; raises RefusedError."""
        ...
