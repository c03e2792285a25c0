"""OOS, the object store, by boto3's S3: short-lived buckets with unguessable names, and their objects.

OOS is like the early S3: path-style URLs and no checksums by default (as OUTSCALE's own Go SDK sets, pkg/oos).
"""

from __future__ import annotations

import gzip
import io
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from pydantic import BaseModel, ConfigDict, ValidationError
from urllib3.exceptions import HTTPError

from omi.outscale.busy import IN_USE, remove
from omi.outscale.client import authority
from omi.outscale.credentials import Credentials, lone_session
from omi.outscale.deadline import TooLateError, within
from omi.outscale.faults import not_the_api, refusal_of_store, translate
from omi.outscale.waiting import NEVER
from omi.state.image import CloudAccess
from omi.support.errors import CloudError, OmiError, one_line

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_URL = 7 * 24 * 3600
"""Seconds that a pre-signed URL may be valid (OUTSCALE's guide, Copying an OMI Across Regions)."""
PREFIX = "alpine-omi-"
MARK = "alpine-omi.json"
"""The object that names a bucket's owner, since OOS has no tags."""
_TRIES = 4
_PAGES = 1000
"""The most pages of a bucket's list, each of up to a thousand objects; a bucket of ours holds four."""
_CHUNK = 1024 * 1024
_SMALL = 1024 * 1024
"""Bytes of a manifest or mark, which have a few hundred."""
_MADE = "BucketAlreadyOwnedByYou"
"""The bucket exists: an earlier try made it and its answer was lost, since nobody else guesses such a name."""
_GONE = frozenset({"NoSuchBucket", "NoSuchKey", "404"})
_LARGE = "EntityTooLarge"
_NO_MARK = _GONE | {_LARGE}


class Mark(BaseModel):
    """The content of the object MARK."""

    model_config = ConfigDict(frozen=True)

    stack_id: str
    run: str
    """The image's run (ImageSpec.run)."""


class ObjectStore:
    """The buckets of one account. Every failure is raised as an OmiError."""

    def __init__(self, access: CloudAccess, credentials: Credentials) -> None:
        self.access, self.credentials = access, credentials
        try:
            self.s3: S3Client = boto3.session.Session(botocore_session=lone_session()).client(
                "s3",
                region_name=access.region,
                endpoint_url=access.object_store,
                aws_access_key_id=credentials.access_key,
                aws_secret_access_key=credentials.secret_key,
                verify=authority(access),
                config=Config(
                    signature_version="s3v4",
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    s3={"addressing_style": "path"},
                    connect_timeout=access.limits.connect,
                    read_timeout=access.limits.answer,
                    retries={"mode": "standard", "total_max_attempts": _TRIES},
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise CloudError(
                f"{access.object_store}: {one_line(str(error))}; correct cloud.oos in the stack's config"
            ) from error

    def call(self, operation: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one operation of `self.s3`, translating what it raises."""
        action, url, limits = getattr(operation, "__name__", "request"), self.access.object_store, self.access.limits
        try:
            return within(_TRIES * (limits.connect + limits.answer), lambda: operation(*args, **kwargs))
        except TooLateError as error:
            told = f"{_TRIES} tries of {limits.connect + limits.answer} s (cloud.limits.connect and answer)"
            raise CloudError(f"{url}: no whole answer to {action} within {told}; run again") from error
        except BotoCoreError as error:
            raise translate(error, action, url, self.access) from error
        except ClientError as error:
            raise refusal_of_store(error, action, url, self.access, self.credentials.source) from error
        except (ResponseParserError, ValueError, TypeError, AttributeError, LookupError) as error:
            raise CloudError(
                f"{action} at {url}: its answer can't be read ({type(error).__name__}); run again"
            ) from error

    def create(self, run: str, mark: Mark) -> str:
        """Make a bucket for this run; its name has 128 random bits."""
        name = f"{prefix_of(run)}{secrets.token_hex(16)}"
        try:
            self.call(self.s3.create_bucket, Bucket=name)
        except CloudError as error:
            if error.code != _MADE:
                raise
        self.put(name, MARK, mark.model_dump_json().encode())
        return name

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Write a small object."""
        self.call(self.s3.put_object, Bucket=bucket, Key=key, Body=content)

    def get(self, bucket: str, key: str) -> bytes:
        """Read a small object; CloudError if it isn't small."""
        content = bytearray()
        for chunk in self.stream(bucket, key, limit=self.access.limits.answer):
            content += chunk
            if len(content) > _SMALL:
                raise CloudError(f"{bucket}/{key}: has more than {_SMALL} bytes, so it isn't what it should be", _LARGE)
        return bytes(content)

    def stream(
        self, bucket: str, key: str, stop: threading.Event = NEVER, limit: float | None = None
    ) -> Iterator[bytes]:
        """Read an object piece by piece, in `limit` seconds in all (cloud.limits.transfer by default).

        Raises InterruptedBuildError once `stop` is set.
        """
        limit = self.access.limits.transfer if limit is None else limit
        end = time.monotonic() + limit
        answer = self.call(self.s3.get_object, Bucket=bucket, Key=key)
        if not answer.get("ETag"):  # every object has an ETag (S3's reference, GetObject); a proxy's page hasn't
            raise not_the_api("get_object", self.access.object_store, "not an object of a store")
        body = answer["Body"]
        try:
            with body:
                while chunk := within(end - time.monotonic(), partial(body.read, _CHUNK), stop):
                    yield chunk
        except TooLateError as error:
            raise CloudError(f"{bucket}/{key}: not read within {limit:.0f} s (cloud.limits); run again") from error
        except (BotoCoreError, HTTPError, OSError) as error:
            raise CloudError(f"{bucket}/{key}: reading it broke off ({type(error).__name__}); run again") from error

    def presign(self, bucket: str, key: str, seconds: int) -> str:
        """A URL that lets anyone who has it read the object for so long."""
        return self.call(
            self.s3.generate_presigned_url, "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=seconds
        )

    def keys(self, bucket: str) -> list[str]:
        """The names of all objects in it."""
        found: list[str] = []
        more: dict[str, Any] = {}
        for _ in range(_PAGES):
            page = self.call(self.s3.list_objects_v2, Bucket=bucket, **more)
            if not {"Name", "KeyCount"} & page.keys():  # a page of something else is not an empty bucket
                raise not_the_api("list_objects_v2", self.access.object_store, "not a list of objects")
            found += [item["Key"] for item in page.get("Contents", []) if "Key" in item]
            token = page.get("NextContinuationToken")
            if not token:
                return found
            more = {"ContinuationToken": token}
        raise CloudError(f"{bucket}: has more than {_PAGES} pages of objects; is {self.access.object_store} OOS?")

    def own(self, prefix: str = PREFIX) -> list[str]:
        """The account's buckets whose names begin with the prefix."""
        answer = self.call(self.s3.list_buckets)
        if not {"Buckets", "Owner"} & answer.keys():
            raise not_the_api("list_buckets", self.access.object_store, "not a list of buckets")
        return sorted(name for each in answer.get("Buckets", []) if (name := each.get("Name", "")).startswith(prefix))

    def mark_of(self, bucket: str) -> Mark | None:
        """The bucket's owner by its mark; None without a mark."""
        try:
            return Mark.model_validate_json(self.get(bucket, MARK))
        except (CloudError, ValidationError) as error:
            if isinstance(error, CloudError) and error.code not in _NO_MARK:
                raise
            return None

    def delete(self, bucket: str) -> None:
        """Delete the bucket with its objects, even those that an export still writes."""
        remove(lambda: self._empty_and_delete(bucket), self.access.limits.in_use)

    def drop(self, bucket: str, is_ours: Callable[[Mark], bool]) -> bool:
        """Delete a bucket whose mark is ours, with its objects, or an empty one without a mark; else return False.

        The store itself checks that it is empty: it refuses to delete any other.
        """
        mark = self.mark_of(bucket)
        if mark is not None:
            if is_ours(mark):
                self.delete(bucket)
            return is_ours(mark)
        try:
            self.call(self.s3.delete_bucket, Bucket=bucket)
        except CloudError as error:
            if error.code == "BucketNotEmpty":
                return False
            if error.code not in _GONE:
                raise
        return True

    def _empty_and_delete(self, bucket: str) -> None:
        try:
            # the mark last: after an interruption, the next delete can still tell the owner
            for key in sorted(self.keys(bucket), key=lambda each: each == MARK):
                self.call(self.s3.delete_object, Bucket=bucket, Key=key)
            self.call(self.s3.delete_bucket, Bucket=bucket)
        except CloudError as error:
            if error.code == "BucketNotEmpty":
                raise CloudError(f"{error} (something is still written into it)", IN_USE) from error
            if error.code not in _GONE:
                raise


def prefix_of(run: str) -> str:
    """The beginning of the names of a run's buckets."""
    return f"{PREFIX}{run}-"


@contextmanager
def temporary_bucket(store: ObjectStore, run: str, mark: Mark, say: Callable[[str], None]) -> Iterator[str]:
    """Make a bucket, and delete it with its objects afterwards, whatever happens.

    If it can't be deleted, that is only reported, since the copy itself succeeded; drop_buckets tries again.
    """
    bucket = store.create(run, mark)
    try:
        yield bucket
    finally:
        try:
            store.delete(bucket)
        except OmiError as error:
            say(f"bucket {bucket} is still there: {error}")


def drop_buckets(store: ObjectStore, run: str, mark: Mark, say: Callable[[str], None]) -> None:
    """Delete the buckets that an earlier run of this image left: those of its name that bear its mark or are empty."""
    for bucket in store.own(prefix_of(run)):
        if store.drop(bucket, lambda told: told == mark):
            say(f"deleted bucket {bucket} and what was in it")


class _Pieces(io.RawIOBase):
    """Makes pieces of bytes readable as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._pieces, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unzip gzipped data in pieces of a MiB at most; other data is unchanged. CloudError if it can't be read.

    A mostly empty disk shrinks to a thousandth. Without the limit, one chunk would unzip to the whole disk.
    """
    file = io.BufferedReader(_Pieces(chunks), _CHUNK)
    is_packed = file.peek(2)[:2] == b"\x1f\x8b"
    whole = gzip.GzipFile(fileobj=file) if is_packed else file
    try:
        while piece := whole.read(_CHUNK):
            yield piece
    except (gzip.BadGzipFile, zlib.error) as error:
        raise CloudError(f"the exported disk is not a good gzip ({error}); run again") from error
    except EOFError as error:
        raise CloudError("the exported disk is not a good gzip (it ends too early); run again") from error
