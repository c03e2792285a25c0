"""Buckets and objects, kept by moto in this process: they are gone when it ends."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# Checked before: moto only learns that there was one. Without a Region in it, it asks for no LocationConstraint.
_SIGNED = "AWS4-HMAC-SHA256 Credential=SANDBOX/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
_PASSED_ON = ("content-type", "content-md5", "range", "if-match", "if-none-match")


@dataclass(frozen=True)
class S3Answer:
    """One answer of S3's API; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Objects:
    """The buckets of all accounts. Their names are unique over all accounts and, other than OUTSCALE's, all Regions."""

    def __init__(self) -> None:
        self._guard = threading.RLock()

    @cached_property
    def _app(self) -> Any:
        # takes a second to import, which a sandbox that nobody asks for objects needn't wait for
        from moto.moto_server.werkzeug_app import create_backend_app

        return create_backend_app("s3")

    def request(
        self,
        account_id: str,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> S3Answer:
        """One request of this account, whose right to it was checked."""
        from werkzeug.test import EnvironBuilder, run_wsgi_app

        kept = {
            name: value for name, value in (headers or {}).items() if name in _PASSED_ON or name.startswith("x-amz")
        }
        kept = {name: value for name, value in kept.items() if name not in ("x-amz-content-sha256", "x-amz-date")}
        kept |= {"authorization": _SIGNED, "x-moto-account-id": account_id}
        with self._guard:
            builder = EnvironBuilder(
                path=path,
                query_string=query,
                method=method,
                headers=list(kept.items()),
                data=body,
                base_url="http://127.0.0.1",
            )
            found, status, given = run_wsgi_app(self._app, builder.get_environ(), buffered=True)
            answer = b"".join(found)
        return S3Answer(int(status.partition(" ")[0]), {name.lower(): value for name, value in given.items()}, answer)

    def owns(self, account_id: str, bucket: str) -> bool:
        """Whether the account has a bucket of this name."""
        return self.request(account_id, "HEAD", f"/{bucket}").status == 200

    def put(self, account_id: str, bucket: str, key: str, content: bytes) -> bool:
        """Write an object; False where that fails, since the bucket has gone, say."""
        return self.request(account_id, "PUT", f"/{bucket}/{key}", body=content).status == 200

    def buckets(self) -> dict[str, dict[str, list[str]]]:
        """Account id to its buckets, each with its objects' names."""
        from moto.s3.models import s3_backends

        with self._guard:
            return {
                account: {bucket.name: sorted(bucket.keys) for bucket in backend.buckets.values()}
                for account, partitions in s3_backends.items()
                for backend in partitions.values()
                if backend.buckets
            }

    def clear(self) -> None:
        """Forget all of it: several sandboxes of one process, as tests have them, share moto's memory."""
        if "_app" in self.__dict__:
            from moto.s3.models import s3_backends

            with self._guard:
                s3_backends.reset()
