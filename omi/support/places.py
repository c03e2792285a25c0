"""The places of files: the project's own folders, relative to its top, and the cache outside of it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

from omi.support.errors import SettingsError

PROFILES = Path("profiles")
GUEST = Path("guest")
TEMPLATE = Path("omi/build/packer/alpine.pkr.hcl")
PROFILE_FILE = "~/.osc/config.json"
"""OUTSCALE's own file of credentials by profile (outscale/osc-config-spec)."""
BUILD = Path("build")
"""Temporary files and logs, with a folder for each stack and in it one for each image; `make clean` removes it."""
SITE = Path("site")
"""The static site, for any web server."""


def file_name_of(name: str) -> str:
    """The name of the file or folder for an OMI; only OMIs of the same name share it."""
    safe = name.replace("%", "%25").replace("/", "%2F")
    return safe.replace(".", "%2E", 1) if safe.startswith(".") else safe


def name_of_file(file_name: str) -> str:
    """The OMI's name (or ImageSpec.run, with its Region) from which `file_name_of` made this."""
    return unquote(file_name)


def image_of(run: str) -> str:
    """The name of a run's image, without its Region."""
    return run.partition("@")[0]


def in_region(image: str, region: str) -> str:
    """The image's name in a further Region; an OMI's own name has no `@`."""
    return f"{image}@{region}"


def cache_folder() -> Path:
    """The folder of dispensable files: ALPINE_OMI_CACHE, else `alpine-omi` in the user's cache folder."""
    if own := os.environ.get("ALPINE_OMI_CACHE"):
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "alpine-omi"


def expand(path: str) -> Path:
    """A path in the stack's config on this machine, with `~` and variables such as `$ALPINE_OMI_STATE` filled in.

    SettingsError for an unknown home folder.
    """
    try:
        return Path(os.path.expandvars(path)).expanduser()
    except RuntimeError as error:
        raise SettingsError(f"stack config: {path}: {error}; give a path that begins with / or ~/") from error
