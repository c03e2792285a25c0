"""The stack's configuration as one validated value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omi.errors import SettingsError
from omi.image import BuildVm, CloudAccess, Limits
from omi.profile.check import known_keys, nearest

REGIONS = ("eu-west-2", "us-east-2", "us-west-1", "ap-northeast-1", "cloudgouv-eu-west-1")
"""OUTSCALE's public Regions (its API reference); ReadRegions is not guaranteed to list them all."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConfigSource(Protocol):
    """Where settings come from: Pulumi's Config of the stack, or its YAML read without the engine."""

    def keys(self) -> Iterable[str]:
        """Every key that is set, without the project's name before it."""
        ...

    def get(self, key: str) -> str | None: ...

    def get_object(self, key: str) -> Any: ...


class Upstream(_Settings):
    """Where Alpine's releases are read from, as this machine reaches it."""

    releases: str = "https://alpinelinux.org/releases.json"
    mirror: str = "https://dl-cdn.alpinelinux.org/alpine"


class Level(_Settings):
    """One prune level: how many to keep, for which builds (none named: all), the grace after an end of life (days)."""

    keep: int = Field(default=1, ge=1)
    builds: tuple[str, ...] = ()
    grace_days: int = Field(default=0, ge=0)


class Retention(_Settings):
    """What goes besides what the profile no longer names; an absent level prunes nothing."""

    revision: Level | None = None
    release: Level | None = None
    end_of_life: Level | None = None
    protect: tuple[str, ...] = ()
    """OMI names or ids that are never pruned."""
    max_prunes: int = Field(default=5, ge=0)
    """More prunes than this, or of more than half of the images, in one update are refused."""
    allow_mass_prune: tuple[str, ...] = ()
    """Images or builds, by name, or `all`, that may be pruned beyond that."""


class Adoption(_Settings):
    """An OMI of another hand that the stack takes in; it is never changed and never deregistered."""

    name: str
    omi: str
    build: str
    """The build of the profile whose image it counts as."""
    release: str
    revision: int = Field(default=0, ge=0)


class Endpoints(_Settings):
    """How this stack reaches the cloud; what is absent follows from the Region."""

    api: str | None = None
    fcu: str | None = None
    ca_file: str | None = None
    osc_file: str | None = None
    osc_profile: str | None = None
    limits: Limits = Limits()


class Settings(_Settings):
    """Everything a stack may set."""

    profile: str = "alpine"
    builds: tuple[str, ...] = ()
    """Only these builds are built or pruned in this run; none named means all."""
    region: str
    cloud: Endpoints = Endpoints()
    upstream: Upstream = Upstream()
    vm: BuildVm = BuildVm()
    retention: Retention = Retention()
    adopt: tuple[Adoption, ...] = ()
    """Written by `python -m omi import`; what the ledger holds already has no effect here any more."""
    releases_dir: str = "releases"

    def access(self) -> CloudAccess:
        """The endpoints that hold: those set, else OUTSCALE's own for the Region."""
        return CloudAccess(
            region=self.region,
            api=self.cloud.api or f"https://api.{self.region}.outscale.com/api/v1",
            fcu=self.cloud.fcu or f"https://fcu.{self.region}.outscale.com",
            ca_file=self.cloud.ca_file,
            osc_file=self.cloud.osc_file,
            osc_profile=self.cloud.osc_profile,
            limits=self.cloud.limits,
        )

    @classmethod
    def load(cls, source: ConfigSource) -> Self:
        """Read and check all of it; raises SettingsError naming key, value and what is allowed."""
        for key in source.keys():  # noqa: SIM118 - a source is no mapping
            if key not in cls.model_fields:
                raise SettingsError(f"stack config: {key}: {_unknown(key, list(cls.model_fields))}")
        values: dict[str, Any] = {}
        for key, field in cls.model_fields.items():
            plain = field.annotation is str
            value = source.get(key) if plain else source.get_object(key)
            if value is not None:
                values[key] = value
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from error
        if settings.region not in REGIONS and settings.cloud.api is None:
            raise SettingsError(
                f"stack config: region: {settings.region!r} is not an OUTSCALE Region ({', '.join(REGIONS)}); "
                "set one of these, or cloud.api and cloud.fcu for another one"
            )
        return settings


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path)
    match first["type"]:
        case "missing" if len(path) == 1:
            problem = f"is not set; run `pulumi config set {key} VALUE`"
        case "missing":
            problem = "is not set; set it in the stack's file"
        case "extra_forbidden":
            problem = _unknown(path[-1], known_keys(Settings, path[:-1]))
        case "model_type":
            problem = f"{first['input']!r} is not allowed; allowed: a map of {', '.join(known_keys(Settings, path))}"
        case _:
            problem = f"{first['input']!r} is not allowed: {first['msg']}"
    return f"stack config: {key}: {problem}"


def _unknown(key: str, known: list[str]) -> str:
    return f"unknown setting{nearest(key, known) or '; there are: ' + ', '.join(sorted(known))}"
