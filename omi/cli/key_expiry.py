"""Finds when the access key and the signing key expire, for `doctor` and `health`."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from omi.cli.findings import Doubt, NotChecked
from omi.outscale.access_key import read_expiry
from omi.outscale.client import Cloud
from omi.publish.manifest import SIGNATURE, SIGNERS, PublishedManifest
from omi.publish.signature import Signature
from omi.publish.store import read_text
from omi.support import clock
from omi.support.errors import CredentialsError


def key_expiry(cloud: Cloud) -> datetime | None:
    """The access key's date; None without one. Raises NotChecked with the cure if the key may not ask."""
    try:
        return read_expiry(cloud)
    except CredentialsError as error:
        raise NotChecked(str(error)) from error


def expiry_words(expires: datetime | None, warn_days: int) -> str:
    """When the key expires, in words. Raises Doubt if fewer than `warn_days` are left, CredentialsError after it."""
    if expires is None:
        return "the access key doesn't expire"
    left, day = expires - clock.now(), f"{expires:%Y-%m-%d %H:%M} UTC"
    cure = "make a new one in Cockpit, and give it where this one is"
    if left.total_seconds() <= 0:
        raise CredentialsError(f"the access key expired on {day}: {cure}")
    words = f"the access key expires in {left.days} days, on {day}"
    if left.days < warn_days:
        raise Doubt(f"{words}: {cure}")
    return words


def signing_words(folder: Path, warn_days: int) -> str:
    """How long the signature of a releases folder is valid, by its allowed_signers.

    Raises Doubt if it is valid for fewer days than `warn_days`, CredentialsError if it isn't valid any more.
    """
    manifest, text = PublishedManifest.read(folder), read_text(folder / SIGNATURE)
    if manifest is None or text is None:
        raise Doubt(f"{folder}: nothing is signed yet: run `python -m omi publish` with a key")
    signature, signers, content = Signature(text), folder / SIGNERS, manifest.to_text()
    cure = f"publish by a key that {SIGNERS} allows for longer (docs/signing.md)"
    if problem := signature.problem(signers, manifest.stack, content, clock.now()):
        raise CredentialsError(f"{folder}: its signature is no longer valid ({problem}): {cure}")
    if signature.problem(signers, manifest.stack, content, clock.now() + timedelta(days=warn_days)):
        raise Doubt(f"{folder}: its signature counts for fewer than {warn_days} more days: {cure}")
    return f"{folder}: its signature counts for {warn_days} more days at least"
