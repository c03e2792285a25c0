"""The access keys of the sandbox's accounts, kept in OUTSCALE's profile-file format."""

from __future__ import annotations

import json
import os
import secrets
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.auth import AccessKey
from sandbox.config import Addresses

_ALPHABET = string.ascii_uppercase + string.digits


def ensure_profiles(path: Path, addresses: Addresses, wanted: Mapping[str, str]) -> dict[str, AccessKey]:
    """Read `path`, making random keys for those of the `wanted` profiles (name -> Region) that lack them.

    The endpoints are renewed. Returns the keys by access key. The file is replaced in one step and only its owner can
    read it.
    """
    known = _read(path)
    profiles = {name: _profile(known.get(name, {}), region, addresses) for name, region in wanted.items()}
    if profiles != known:
        _write(path, profiles)
    return {
        each["access_key"]: AccessKey(each["access_key"], each["secret_key"], name, each["region"])
        for name, each in profiles.items()
    }


def _profile(known: dict[str, Any], region: str, addresses: Addresses) -> dict[str, Any]:
    return {
        "access_key": known.get("access_key") or _random(20),
        "secret_key": known.get("secret_key") or _random(40),
        "region": region,
        "endpoints": {"api": addresses.api_endpoint, "oos": addresses.oos_endpoint},
    }


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {name: each for name, each in content.items() if isinstance(each, dict)} if isinstance(content, dict) else {}


def _write(path: Path, profiles: dict[str, Any]) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(profiles, stream, indent=2)
        stream.write("\n")
    fresh.replace(path)
