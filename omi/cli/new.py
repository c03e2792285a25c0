"""`profile new` and `stack new`: write a first profile and a stack's configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
import yaml

from omi.config.settings import REGIONS, Settings
from omi.config.stack import PROJECT, STACKS, check_own_releases, stack_config
from omi.profile.load import PROFILE_NAME, load_profile
from omi.support.errors import InputError, SettingsError
from omi.support.places import PROFILES
from omi.support.version import EDGE, release_key

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
LOCAL = "sandbox"
"""The stack whose file has the local cloud's endpoints."""
LOCAL_VERSIONS = ("3.22", "3.23")
"""The versions on the local cloud's mirror, besides edge."""
_PROFILE = """\
# yaml-language-server: $schema=profile.schema.json
# Lines that begin with # and a key are examples: take the # away. README.md in this folder has every key.
# `python -m omi profile check {name}` finds what is wrong with it.

# Ends the names of its OMIs, so that they differ from those of other profiles.
suffix: "-{name}"
#description: Alpine Linux for {name}

#volume_size: 2 # GiB
#user: admin # who logs in by SSH
#privileges: sudo

# Packages besides those of base/1.yaml; false takes one away. A preview names those that don't exist.
#packages:
#  nginx: true

# Services that start at boot, by runlevel.
#services:
#  default: {{nginx: true}}

# What may listen besides sshd; anything else that does fails the check of the image.
#ports: {{80/tcp: true}}

# A POSIX sh script that runs last in the image, and a check of your own that runs in a VM of it: files of this folder.
#setup_script: setup/{name}.sh
#tests: {{{name}: setup/{name}-test.sh}}

# What makes a new revision besides another content: security fixes, and an age in days.
#rebuild_on: security
#max_age: 30

# The images to build, by names that you choose, each with its branch of Alpine.
builds:
  {build}: {{version: "{version}"}}
"""
_ON_OUTSCALE = """\
# The images of the profile {profile}. Credentials never go here: set OSC_ACCESS_KEY and OSC_SECRET_KEY, or OSC_PROFILE.
{config}  # A key of any other account is refused before anything is read or done.
  # {project}:account: "012345678901"
"""
_LOCAL = """\
# The images of the profile {profile}, in the cloud on this machine (`python -m sandbox start`): no account, no cost.
{config}"""


def new_profile(
    name: Annotated[str, typer.Argument(metavar="NAME", help="the profile's name")],
    version: Annotated[
        str | None, typer.Option(help="the branch of Alpine to begin with (default: the newest known)")
    ] = None,
) -> None:
    """Begin a profile: a file of its own with comments, which an editor completes and checks."""
    if name.endswith(".yaml"):
        raise InputError(f"{name!r}: is a file's name; give the profile's: {name.removesuffix('.yaml')!r}")
    if not PROFILE_NAME.fullmatch(name) or len(name) > 40:
        raise InputError(f"{name!r}: is not a profile's name; give letters, digits, _ . and -, at most 40, like web")
    path = PROFILES / f"{name}.yaml"
    version = _known_version(version)
    _write_new(path, _PROFILE.format(name=name, version=version, build=f"v{version.replace('.', '_')}-x86_64"))
    print(
        f"{path}: edit it, and then run\n"
        f"  python -m omi profile check {name}\n"
        f"  python -m omi stack new {name} --profile {name} --local"
    )
    if version not in LOCAL_VERSIONS:
        known = " or ".join(LOCAL_VERSIONS)
        print(f"the local cloud has no Alpine {version}: for it set the build's version to {known}")


def _known_version(version: str | None) -> str:
    """A version that has a core profile; the newest if none is given."""
    folder = PROFILES / "version"
    known = sorted({path.stem for path in folder.glob("*.yaml")} - {EDGE}, key=release_key)
    if not known:
        raise InputError(f"{folder}: at least one profile is missing; bring it back from git")
    if version is not None and version not in known:
        raise InputError(f"version {version!r} has no profile in {folder}; there are: {', '.join(known)}")
    return version or known[-1]


def new_stack(
    name: Annotated[str, typer.Argument(metavar="NAME", help="the stack's name")],
    profile: Annotated[str, typer.Option(help="the profile whose images it has")],
    region: Annotated[str | None, typer.Option(help="on OUTSCALE: the account's Region")] = None,
    local: Annotated[bool, typer.Option("--local", help="in the local cloud, of `python -m sandbox`")] = False,
) -> None:
    """Write the configuration of a new stack, in the local cloud or on OUTSCALE."""
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r}: is not a stack's name; give letters, digits, _ and -, at most 100, like web")
    if local == (region is not None):
        raise InputError(f"stack {name}: give --local, or --region with one of {', '.join(REGIONS)}")
    if region is not None and region not in REGIONS:
        raise InputError(f"--region: {region!r} is not a Region of OUTSCALE; there are: {', '.join(REGIONS)}")
    load_profile(profile)
    path = STACKS / f"Pulumi.{name}.yaml"
    config: dict[str, object] = _local_cloud() if region is None else {"region": region}
    releases = _releases(name, profile, config)
    values = {"profile": profile, **config, **({"releases_dir": releases} if releases else {})}
    text = yaml.safe_dump({"config": {f"{PROJECT}:{key}": each for key, each in values.items()}}, sort_keys=False)
    _write_new(path, (_ON_OUTSCALE if region else _LOCAL).format(profile=profile, config=text, project=PROJECT))
    first = (
        "set the key (docs/settings.md, Credentials)" if region else "start the local cloud (`python -m sandbox start`)"
    )
    print(f"{path}: written; {first}, and then run\n  pulumi stack select --create {name}\n  pulumi preview")


def _local_cloud() -> dict[str, object]:
    """The local cloud's endpoints, from the file of its own stack."""
    values = stack_config(LOCAL)
    Settings.load(values)
    return {key: values[key] for key in ("region", "cloud", "upstream", "vm") if values.get(key)}


def _releases(name: str, profile: str, config: dict[str, object]) -> str | None:
    """The stack's releases folder; None is the default. It is a separate one if another stack writes the same files."""
    usual = "releases" if "cloud" not in config else f"releases/{LOCAL}"
    try:
        check_own_releases(Settings(profile=profile, region=str(config["region"]), releases_dir=usual), name)
    except SettingsError:
        return f"releases/{name}"
    return usual if "cloud" in config else None


def _write_new(path: Path, text: str) -> None:
    """Write a new file, which a person then edits."""
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder; run this from the project's top")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InputError(f"{path}: is there already; give another name, or edit it") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; make the folder writable") from error
