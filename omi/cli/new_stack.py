"""`stack new`: the configuration of a stack of one's own."""

from __future__ import annotations

import re
from typing import Annotated

import typer
import yaml

from omi.cli.new_file import write_new
from omi.config.settings import REGIONS, Settings
from omi.config.stack import PROJECT, STACKS, StackFile, check_own_releases
from omi.profile.load import load_profile
from omi.support.errors import InputError, SettingsError
from omi.support.places import PROFILES

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
LOCAL = "sandbox"
"""The stack whose file says how the local cloud is reached."""
_ON_OUTSCALE = """\
# The images of the profile {profile}. Credentials never go here: set OSC_ACCESS_KEY and OSC_SECRET_KEY, or OSC_PROFILE.
{config}  # A key of any other account is refused before anything is read or done.
  # {project}:account: "012345678901"
"""
_LOCAL = """\
# The images of the profile {profile}, in the cloud on this machine (`python -m sandbox start`): no account, no cost.
{config}"""


def new_stack(
    name: Annotated[str, typer.Argument(metavar="NAME", help="the stack's name")],
    profile: Annotated[str, typer.Option("--profile", help="the profile whose images it has")],
    region: Annotated[str | None, typer.Option("--region", help="on OUTSCALE: the account's Region")] = None,
    local: Annotated[bool, typer.Option("--local", help="in the local cloud, of `python -m sandbox`")] = False,
) -> None:
    """Write the configuration of a new stack, in the local cloud or on OUTSCALE.

    Raises InputError for what can't be, and for a stack whose file is there already.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r}: is no stack's name; give letters, digits, _ and -, at most 100, like web")
    if local == (region is not None):
        raise InputError(f"stack {name}: give --local, or --region with one of {', '.join(REGIONS)}")
    if region is not None and region not in REGIONS:
        raise InputError(f"--region: {region!r} is no Region of OUTSCALE; there are: {', '.join(REGIONS)}")
    load_profile(profile, PROFILES)
    path = STACKS / f"Pulumi.{name}.yaml"
    config: dict[str, object] = _local_cloud() if region is None else {"region": region}
    releases = _releases(name, profile, config)
    values = {"profile": profile, **config, **({"releases_dir": releases} if releases else {})}
    text = yaml.safe_dump({"config": {f"{PROJECT}:{key}": each for key, each in values.items()}}, sort_keys=False)
    write_new(path, (_ON_OUTSCALE if region else _LOCAL).format(profile=profile, config=text, project=PROJECT))
    print(f"{path}: written; {_before(region)}\n  pulumi stack select --create {name}\n  pulumi preview")


def _before(region: str | None) -> str:
    if region is None:
        return "start the local cloud (`python -m sandbox start`), and then run"
    return "set the key (docs/settings.md, Credentials), and then run"


def _local_cloud() -> dict[str, object]:
    """How the local cloud is reached, as the file of its own stack has it."""
    source = StackFile(LOCAL)
    Settings.load(source)
    return {key: value for key in ("region", "cloud", "upstream", "vm") if (value := source.get_object(key))}


def _releases(name: str, profile: str, config: dict[str, object]) -> str | None:
    """The folder of its releases files; None is the usual one. One of its own where another stack writes the same."""
    usual = "releases" if "cloud" not in config else f"releases/{LOCAL}"
    try:
        check_own_releases(Settings(profile=profile, region=str(config["region"]), releases_dir=usual), name)
    except SettingsError:
        return f"releases/{name}"
    return usual if "cloud" in config else None
