"""The places of files: the project's own folders, relative to its top, and the cache outside of it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

from omi.support.errors import InputError

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
    own = os.environ.get("ALPINE_OMI_CACHE")
    written = own or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/alpine-omi"
    return below_home(written, "set ALPINE_OMI_CACHE to a folder").absolute()


def expand(path: str) -> Path:
    """A path in the stack's config on this machine, with `~` and variables such as `$ALPINE_OMI_STATE` filled in.

    InputError for an unknown home folder.
    """
    return below_home(os.path.expandvars(path), "write a path that begins with /")


def below_home(path: str, otherwise: str) -> Path:
    """The path with a home folder in place of `~` or `~USER`; InputError, with the other cure, for one not known."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = path.partition("/")[0]
        cure = f"set HOME, or {otherwise}" if user == "~" else otherwise
        raise InputError(f"{path}: there is no home folder {user} on this machine; {cure}") from error
