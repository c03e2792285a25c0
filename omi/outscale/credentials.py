"""Where the access key comes from: a profile file that is named, the OSC_* variables, or boto3's own chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError

from omi.errors import CredentialsError
from omi.image import CloudAccess
from omi.places import PROFILE_FILE, expand
from omi.safe_json import read_json

_CURE = (
    "set OSC_ACCESS_KEY and OSC_SECRET_KEY, or OSC_PROFILE with "
    f"{PROFILE_FILE}, or cloud.osc_file and cloud.osc_profile in the stack's config"
)


@dataclass(frozen=True)
class Credentials:
    """An access key of one account; the secret never shows in a repr."""

    access_key: str
    secret_key: str = field(repr=False)
    source: str = ""
    """Where it was found, for error messages."""


def find_credentials(access: CloudAccess, environ: Mapping[str, str]) -> Credentials:
    """The first that is given of: the profile file in `access`, OSC_ACCESS_KEY, OSC_PROFILE, boto3's chain.

    The metadata service of a cloud VM is never asked. Raises CredentialsError with the cure.
    """
    if access.osc_file is not None:
        return read_profile(expand(access.osc_file), access.osc_profile or "default", access.region)
    key, secret = environ.get("OSC_ACCESS_KEY", ""), environ.get("OSC_SECRET_KEY", "")
    if key and secret:
        return Credentials(key, secret, "OSC_ACCESS_KEY")
    if key or secret:
        absent = "OSC_SECRET_KEY" if key else "OSC_ACCESS_KEY"
        raise CredentialsError(f"credentials: {absent} is not set though its other half is; set both")
    profile = access.osc_profile or environ.get("OSC_PROFILE")
    if profile:
        return read_profile(Path(PROFILE_FILE).expanduser(), profile, access.region)
    return _from_boto_chain()


def read_profile(path: Path, profile: str, region: str) -> Credentials:
    """A profile of OUTSCALE's file; CredentialsError if file, profile or keys are missing or of another Region."""
    try:
        content: Any = read_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CredentialsError(f"credentials: {path}: cannot be read ({reason}); {_CURE}") from error
    except ValueError as error:
        raise CredentialsError(
            f"credentials: {path}: is not JSON ({error}); write it as osc-config-spec says"
        ) from error
    entry = content.get(profile) if isinstance(content, dict) else None
    if not isinstance(entry, dict):
        known = ", ".join(sorted(content)) if isinstance(content, dict) and content else "none"
        raise CredentialsError(f"credentials: {path}: has no profile {profile!r} (it has: {known}); name one of these")
    key, secret = entry.get("access_key"), entry.get("secret_key")
    if not (isinstance(key, str) and key and isinstance(secret, str) and secret):
        raise CredentialsError(f"credentials: {path}: profile {profile!r} lacks access_key or secret_key; add both")
    theirs = entry.get("region", region)
    if theirs != region:
        raise CredentialsError(
            f"credentials: {path}: profile {profile!r} is of Region {theirs}, the stack's is {region}; "
            "an account belongs to one Region: name the profile of that Region's account"
        )
    return Credentials(key, secret, f"{path}, profile {profile}")


def _from_boto_chain() -> Credentials:
    import botocore.session  # takes a while, and where the key is given by other means, a preview shan't wait for it

    session = botocore.session.Session()
    session.get_component("credential_provider").remove("iam-role")
    try:
        found = session.get_credentials()
        frozen = found.get_frozen_credentials() if found is not None else None
    except BotoCoreError as error:
        raise CredentialsError(f"credentials: {error}; {_CURE}") from error
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise CredentialsError(f"credentials: none found; {_CURE}")
    return Credentials(frozen.access_key, frozen.secret_key, "boto3's chain")
