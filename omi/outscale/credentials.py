"""Finds the access key: in the OSC_* variables, a named profile file, or boto3's own chain."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from omi.outscale.deadline import TooLateError, within
from omi.state.image import CloudAccess
from omi.support.errors import CredentialsError, one_line
from omi.support.places import PROFILE_FILE, below_home, expand
from omi.support.safe_json import read_json

_CURE = (
    "set OSC_ACCESS_KEY and OSC_SECRET_KEY, or OSC_PROFILE with "
    f"{PROFILE_FILE}, or cloud.osc_file and cloud.osc_profile in the stack's config"
)

_CHAIN = 30.0
"""Seconds for boto3's chain, which may run a program of the user's (credential_process)."""
_PROFILE = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
"""Variables that name a profile, as botocore reads them."""


@dataclass(frozen=True)
class Credentials:
    """An access key of one account; the secret never shows in a repr."""

    access_key: str
    secret_key: str = field(repr=False)
    source: str = ""
    """The place where it was found, for error messages."""


def find_credentials(access: CloudAccess, environ: Mapping[str, str]) -> Credentials:
    """Find the first of: OSC_ACCESS_KEY, OSC_PROFILE or the profile in `access`, boto3's chain.

    If `access` has a key of its own, only its profile counts. The metadata service of a cloud VM is never asked.
    Raises CredentialsError with the cure.
    """
    environ = {} if access.own_key else environ
    key, secret = environ.get("OSC_ACCESS_KEY", ""), environ.get("OSC_SECRET_KEY", "")
    if key and secret:
        return Credentials(key, secret, "OSC_ACCESS_KEY")
    if key or secret:
        absent = "OSC_SECRET_KEY" if key else "OSC_ACCESS_KEY"
        raise CredentialsError(f"credentials: {absent} is not set though its other half is; set both")
    profile = environ.get("OSC_PROFILE") or access.osc_profile
    if access.osc_file is not None:
        return read_profile(expand(access.osc_file), profile or "default", access.region)
    if profile:
        file = below_home(PROFILE_FILE, "name the file by cloud.osc_file in the stack's config")
        return read_profile(file, profile, access.region)
    return _from_boto_chain()


def read_profile(path: Path, profile: str, region: str) -> Credentials:
    """Read a profile of OUTSCALE's file; CredentialsError if file, profile or keys are missing or of another Region."""
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


def lone_session() -> botocore.session.Session:
    """A botocore session that reads neither AWS_PROFILE nor a file of the user's: for clients with explicit keys."""
    nothing: Any = (None, None, os.devnull, None)
    unset: Any = (None, [], None, None)
    return botocore.session.Session({"profile": unset, "config_file": nothing, "credentials_file": nothing})


def _from_boto_chain() -> Credentials:
    try:
        frozen = within(_CHAIN, _ask_chain)
    except ProfileNotFound as error:
        name = next((name for name in _PROFILE if os.environ.get(name)), _PROFILE[0])
        raise CredentialsError(
            f"credentials: {name} names the profile {os.environ.get(name, '')!r}, which the AWS files of this machine "
            f"don't have; correct or unset {name}, or {_CURE}"
        ) from error
    except TooLateError as error:
        raise CredentialsError(
            f"credentials: the AWS files of this machine gave none within {_CHAIN:.0f} s; does a credential_process "
            f"hang? Or {_CURE}"
        ) from error
    except (BotoCoreError, ClientError, OSError, ValueError, KeyError, TypeError) as error:
        why = one_line(str(error), 160)
        raise CredentialsError(
            f"credentials: the AWS files of this machine gave none ({why}); correct that, or {_CURE}"
        ) from error
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise CredentialsError(f"credentials: none found; {_CURE}")
    return Credentials(frozen.access_key, frozen.secret_key, "boto3's chain")


def _ask_chain() -> ReadOnlyCredentials | None:
    session = botocore.session.Session()
    session.get_component("credential_provider").remove("iam-role")
    found = session.get_credentials()
    return None if found is None else found.get_frozen_credentials()
