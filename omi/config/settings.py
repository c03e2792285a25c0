"""The stack's configuration as one validated value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from omi.config.transport import check_region, check_url
from omi.profile.check import known_keys, nearest
from omi.profile.model import Access
from omi.state.image import BuildVm, CloudAccess, Limits
from omi.support.errors import SettingsError, one_line, why_wrong
from omi.support.places import PROFILE_FILE

REGIONS = ("eu-west-2", "us-east-2", "us-west-1", "ap-northeast-1", "cloudgouv-eu-west-1")
"""OUTSCALE's public Regions (its API reference); ReadRegions is not guaranteed to list them all."""


MAX_DAYS = 3650
"""The most days that a setting takes; more is a slip of the pen."""
MAX_REASON = 120
"""Characters of why an image is revoked: its OMI's description has room for no more."""
_SHOWN = 100
"""Characters of a wrong value in its error."""
_ACCOUNT = re.compile(r"[0-9]{12}")


def _as_access(value: object) -> Access:
    """`private`, `public` or a list of account ids; an id without a leading zero may come as a number."""
    if value in ("private", "public"):
        return Access(public=value == "public")
    ids = [str(each) for each in value] if isinstance(value, list | tuple) else None
    if ids is None or not all(_ACCOUNT.fullmatch(each) for each in ids):
        raise PydanticCustomError("rule", "private, public, or a list of account ids: 12 digits each, quoted")
    return Access(accounts=tuple(sorted(set(ids))))


def _formed(pattern: str, rule: str) -> BeforeValidator:
    """A text of this form; one of digits alone may come as a number."""

    def check(value: object) -> str:
        if not re.fullmatch(pattern, text := str(value)):
            raise PydanticCustomError("rule", rule)
        return text

    return BeforeValidator(check)


_AccountId = Annotated[str | None, _formed("[0-9]{12}", "an account's id: 12 digits, quoted")]
_SYSTEM_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def _no_bool(value: object) -> object:
    """Python counts true as 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "must be a whole number")
    return value


_Count = Annotated[int, BeforeValidator(_no_bool)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UpstreamSettings(_Settings):
    """Where Alpine's releases are read from, as this machine reaches it."""

    releases: str = "https://alpinelinux.org/releases.json"
    mirror: str = "https://dl-cdn.alpinelinux.org/alpine"
    security: str = "https://secdb.alpinelinux.org"
    """Which fixes there are, for builds with `rebuild_on: security`."""


class Level(_Settings):
    """One prune level: how many to keep, for which builds (none named: all), the grace after an end of life (days)."""

    keep: _Count = Field(default=1, ge=1)
    builds: tuple[str, ...] = ()
    grace_days: _Count = Field(default=0, ge=0, le=MAX_DAYS)


class StageDays(_Settings):
    """How many days an image that is to go stays in each stage before the next; 0 leaves the stage out."""

    deprecated_days: _Count = Field(default=0, ge=0, le=MAX_DAYS)
    private_days: _Count = Field(default=0, ge=0, le=MAX_DAYS)


class SharedDays(StageDays):
    """The same, of images that others may launch: they get a month to notice, and one more to ask for it back."""

    deprecated_days: _Count = Field(default=30, ge=0, le=MAX_DAYS)
    private_days: _Count = Field(default=30, ge=0, le=MAX_DAYS)


class Stages(_Settings):
    """How images go: current, deprecated, private, deregistered."""

    shared: SharedDays = SharedDays()
    private: StageDays = StageDays()


class Retention(_Settings):
    """The levels by which images go, besides builds that left the profile; an absent level prunes nothing."""

    revision: Level | None = None
    release: Level | None = None
    end_of_life: Level | None = None
    protect: tuple[str, ...] = ()
    """OMI names or ids that are never pruned."""
    max_prunes: _Count = Field(default=5, ge=0)
    """More prunes in one Region than this, or of more than half of its images, in one update are refused."""
    allow_mass_prune: tuple[str, ...] = ()
    """Images, builds or Regions, by name, or `all`, that may be pruned beyond that."""
    stages: Stages = Stages()
    """The stages between the day on which an image is to go and its prune."""


class Adoption(_Settings):
    """An OMI made elsewhere that the stack takes in; unless it is to be its `own`, it is never changed or deregistered.

    `verify` and `user` are about the check that comes before the stack owns it.
    """

    name: str
    omi: str
    build: str
    """The build of the profile whose image it counts as."""
    release: str
    revision: _Count = Field(default=0, ge=0)
    region: str | None = None
    """The Region that it is in; None is the home Region."""
    own: bool = False
    """Whether the stack becomes its owner: then it is shared, withdrawn and deregistered as the stack's others are."""
    verify: bool = True
    """Whether it is booted first; one that isn't stays unverified."""
    user: str | None = None
    """The user who logs in to check it; None is the user of its build in the profile."""


class Recovery(_Settings):
    """Images of the stack's own that its state has lost, for the next update to take in again."""

    stack_id: Annotated[str, _formed("[0-9a-f]{16}", "16 hex digits, as the images' tag `stack-id` has them")]
    """The stack id of the lost state; a state without one takes it."""
    images: tuple[str, ...] = ()
    """OMI names; none named means all that the account holds."""


class Endpoints(_Settings):
    """How this stack reaches the cloud; what is absent follows from the Region."""

    api: str | None = None
    oos: str | None = None
    ca_file: str | None = None
    osc_file: str | None = None
    osc_profile: str | None = None
    limits: Limits = Limits()


class FurtherRegion(_Settings):
    """A Region beside the home one: what differs in it."""

    cloud: Endpoints = Endpoints()
    """Endpoints follow from the Region where they are absent, all else but `osc_profile` from the home Region's."""
    vm: BuildVm = BuildVm()
    """Absent keys are as in the home Region, except Subregion and Subnet."""
    images: Literal["build", "copy"] = "build"
    """Whether they are built here, or copied from the home Region, with the same bytes."""
    access: Annotated[Access | None, BeforeValidator(_as_access)] = None
    """The launch permissions here, since accounts are per Region; None is as in the home Region."""
    account: _AccountId = None
    """The account that this Region's key must be of; None is any."""


class Health(_Settings):
    """The limits, in days, beyond which `python -m omi health` finds an error or a warning."""

    max_age_days: _Count = Field(default=45, ge=1, le=MAX_DAYS)
    """The oldest that a build's newest verified image may be."""
    max_run_days: _Count = Field(default=8, ge=1, le=MAX_DAYS)
    """Since the last update that succeeded."""
    end_of_life_days: _Count = Field(default=60, ge=0, le=MAX_DAYS)
    """Days of support left: fewer is a warning."""
    key_expiry_days: _Count = Field(default=14, ge=0, le=MAX_DAYS)
    """Days until an access key or the signing key expires: fewer is a warning."""


class Settings(_Settings):
    """Everything a stack may set."""

    profile: str = "alpine"
    region: str
    """The home Region."""
    account: _AccountId = None
    """The account that the key must be of; None is any."""
    cloud: Endpoints = Endpoints()
    upstream: UpstreamSettings = UpstreamSettings()
    vm: BuildVm = BuildVm()
    retention: Retention = Retention()
    again: dict[str, Annotated[_Count, Field(ge=1)]] = {}
    """How often each build was asked for again, by name: another number makes another revision. Written by
    `python -m omi build --again`."""
    adopt: tuple[Adoption, ...] = ()
    """Written by `python -m omi import`; an entry that the ledger holds already has no effect any more."""
    revoked: dict[str, Annotated[str, Field(min_length=1, max_length=MAX_REASON)]] = {}
    """Images that must not be launched, by OMI name or id, each with its reason."""
    recover: Recovery | None = None
    """Written by `python -m omi recover`."""
    releases_dir: str = Field(default="releases", min_length=1)
    health: Health = Health()
    access: Annotated[Access | None, BeforeValidator(_as_access)] = None
    """The launch permissions, in place of the profile's; None leaves them to the profile."""
    regions: dict[str, FurtherRegion] = {}
    """Further Regions in which the same images are made, by name."""

    @property
    def recovered_id(self) -> str | None:
        """The stack id that an empty state takes, where one is to be recovered."""
        return self.recover.stack_id if self.recover else None

    @property
    def copies(self) -> bool:
        """Whether a further Region gets copies of the home Region's images."""
        return any(further.images == "copy" for further in self.regions.values())

    @property
    def all_regions(self) -> tuple[str, ...]:
        """The home Region, then the others by name."""
        return (self.region, *sorted(self.regions))

    def cloud_access(self, region: str | None = None) -> CloudAccess:
        """How to reach a Region, None the home one: the endpoints that are set, else OUTSCALE's own for the Region.

        A further Region has an account of its own, so its key always comes from a profile file: the environment's is
        the home Region's.
        """
        name, cloud, account = region or self.region, self.cloud, self.account
        if name != self.region:
            own, account = self.regions[name].cloud, self.regions[name].account
            cloud = own.model_copy(
                update={
                    "ca_file": own.ca_file or cloud.ca_file,
                    "osc_file": own.osc_file or cloud.osc_file or PROFILE_FILE,
                    "limits": cloud.limits.model_copy(update=own.limits.model_dump(exclude_unset=True)),
                }
            )
        api = cloud.api or f"https://api.{name}.outscale.com/api/v1"
        here = {"region": name, "api": api, "own_key": name != self.region, "account": account}
        return CloudAccess.model_validate({**dict(cloud), **here})

    def access_in(self, region: str) -> Access | None:
        """The launch permissions of a Region's images; None leaves them to the profile."""
        further = self.regions.get(region)
        return self.access if further is None or further.access is None else further.access

    def vm_in(self, region: str | None = None) -> BuildVm:
        """The VMs of a Region, None the home one."""
        if region in (None, self.region):
            return self.vm
        own = self.regions[region].vm.model_dump(exclude_unset=True)
        return self.vm.model_copy(update={"subregion": None, "subnet": None, **own})

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Self:
        """Check a stack's configuration; raises SettingsError naming key, value and what is allowed."""
        try:
            known = {key: each for key, each in values.items() if each is not None or key not in cls.model_fields}
            settings = cls.model_validate(known)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from error
        _check_known("region", settings.region, settings.cloud, "cloud")
        _check_texts(settings.model_dump(mode="json"), "")
        check_url("upstream.releases", settings.upstream.releases)
        check_url("upstream.mirror", settings.upstream.mirror, of_mirror=True)
        check_url("upstream.security", settings.upstream.security)
        _check_vm("vm", settings.vm, settings.region)
        for name, further in settings.regions.items():
            _check_further(settings, name, further)
        for entry in settings.adopt:
            _check_adoption(entry)
            if entry.region not in (None, *settings.all_regions):
                raise SettingsError(
                    f"stack config: adopt: {entry.name}: {entry.region!r} is not a Region of the stack; "
                    f"it has: {', '.join(settings.all_regions)}"
                )
        return settings


def _check_adoption(entry: Adoption) -> None:
    where = f"stack config: adopt: {entry.name}"
    if given := sorted({"verify", "user"} & entry.model_fields_set) if not entry.own else []:
        raise SettingsError(f"{where}: {given[0]} is only for an image with `own: true`; take it out, or set that")
    if entry.user is not None and not _SYSTEM_USER.fullmatch(entry.user):
        raise SettingsError(f"{where}: user: {entry.user!r} is not a user's name")


def _check_further(settings: Settings, name: str, further: FurtherRegion) -> None:
    where = f"regions.{name}"
    check_region("regions", name)
    if name == settings.region:
        raise SettingsError(f"stack config: {where}: is the home Region (`region`) already; take it out of `regions`")
    _check_known(where, name, further.cloud, f"{where}.cloud")
    if not further.cloud.osc_profile:
        raise SettingsError(
            f"stack config: {where}.cloud.osc_profile: is not set, so Region {name} has no credentials; accounts are "
            f"per Region: put the key of that Region's account into {PROFILE_FILE} and name its profile by "
            f"`pulumi config set --path '{where}.cloud.osc_profile' PROFILE`"
        )
    _check_vm(f"{where}.vm", further.vm, name)


def _check_known(key: str, region: str, cloud: Endpoints, of_cloud: str) -> None:
    if region not in REGIONS and cloud.api is None:
        raise SettingsError(
            f"stack config: {key}: {region!r} is not an OUTSCALE Region ({', '.join(REGIONS)}); "
            f"set one of these, or {of_cloud}.api for another one"
        )


def _check_vm(key: str, vm: BuildVm, region: str) -> None:
    check_url(f"{key}.mirror", vm.mirror, of_mirror=True)
    if not _SYSTEM_USER.fullmatch(vm.ssh_user):
        raise SettingsError(f"stack config: {key}.ssh_user: {vm.ssh_user!r} is not a user's name")
    if vm.subregion is not None and not re.fullmatch(re.escape(region) + "[a-z]", vm.subregion):
        raise SettingsError(
            f"stack config: {key}.subregion: {vm.subregion!r} is not a Subregion of {region}; give its name and one "
            f"letter, like {region}a"
        )
    if vm.subnet is not None and not re.fullmatch("subnet-[0-9a-f]{8}", vm.subnet):
        raise SettingsError(f"stack config: {key}.subnet: {vm.subnet!r} is not a Subnet's id, such as subnet-0a1b2c3d")


def _check_texts(value: Any, key: str) -> None:
    """No text of a setting has a line end or another control character, which a path, URL or name can't hold."""
    if isinstance(value, str) and not value.isprintable():
        raise SettingsError(f"stack config: {key}: {value!r} holds a control character; write it without")
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_texts(inner, f"{key}.{name}" if key else name)
    if isinstance(value, list):
        for number, inner in enumerate(value):
            _check_texts(inner, f"{key}[{number}]")


def _explain(error: ValidationError) -> str:
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")  # a misspelt key is also missing
    path = [str(part) for part in first["loc"]]
    key, shown = ".".join(path), one_line(repr(first["input"]), _SHOWN)
    match first["type"]:
        case "missing" if len(path) == 1:
            problem = f"is not set; run `pulumi config set {key} VALUE`"
        case "missing":
            problem = "is not set; set it in the stack's file"
        case "extra_forbidden":
            problem = _unknown(path[-1], known_keys(Settings, path[:-1]))
        case "rule":
            problem = f"{shown} is not allowed; allowed: {first['msg']}"
        case "model_type":
            problem = f"{shown} is not allowed; allowed: a map of {', '.join(known_keys(Settings, path))}"
        case _:
            problem = f"{shown} is not allowed: {why_wrong(first)}"
    return f"stack config: {key}: {problem}"


def _unknown(key: str, known: list[str]) -> str:
    return f"unknown setting{nearest(key, known) or '; there are: ' + ', '.join(sorted(known))}"
