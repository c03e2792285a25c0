"""What each kind of profile file may hold, key by key; the words of errors and of profiles/README.md come from here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    ValidationError,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from omi.profile.model import Firmware, Privileges, RebuildOn, Runlevel

COMMENTED = "commented"
"""A repo with this value is written into the image as a comment."""
AWS_TIME = "169.254.169.123"
"""AWS's time service, which other images bring along; on OUTSCALE nothing answers there."""
_LONGEST_MOTD = 4000  # characters: some fifty lines, more than anybody reads at a login


@dataclass(frozen=True)
class Rule:
    """Says in words what is allowed, so that an error can; `text` means that the value is text (quoting may help)."""

    allowed: str
    text: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._check, handler(source))

    def _check(self, value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise PydanticCustomError("rule", "{allowed}", {"allowed": self.allowed, "text": self.text}) from error


def _as_date(value: Any) -> Any:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _not_root(name: str) -> str:
    if name == "root":
        raise ValueError(name)
    return name


def _known_zone(name: str | None) -> str | None:
    known = available_timezones()  # none on a machine without time zones; the build is the first to find out then
    if name is not None and known and name not in known:
        raise ValueError(name)
    return name


def _no_aws_time(server: str) -> str:
    if server == AWS_TIME:
        raise ValueError(server)
    return server


def _inside(path: str) -> str:
    if {".", ".."} & set(path.split("/")):
        raise ValueError(path)
    return path


def _pattern(pattern: str) -> StringConstraints:
    return StringConstraints(strict=True, pattern=rf"\A(?:{pattern})\z")


OMI_CHARACTERS = "A-Za-z0-9_ ()/.-"
"""Those of an OMI's name, between the brackets of a pattern: OUTSCALE's rule (CreateImage, ImageName)."""
_APK_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_TAG = r"[a-z0-9][a-z0-9_.-]*"

Switch = Annotated[bool | None, Rule("true, or false or null to take it away")]
OmiText = Annotated[
    str | None,
    _pattern(rf"[{OMI_CHARACTERS}]{{0,100}}"),
    Rule("letters, digits, _ space ( ) / . - (OUTSCALE's rule for OMI names), at most 100", text=True),
]
Version = Annotated[str | None, _pattern(r"edge|[0-9]+\.[0-9]+"), Rule('a branch as text: "3.23", or edge', text=True)]
Release = Annotated[
    str | None,
    _pattern(r"[0-9]+\.[0-9]+\.[0-9]+(_(alpha|beta|rc)[0-9]+)?|[0-9]{8}"),
    Rule("a point release as text: 3.23.6 (edge: its date, YYYYMMDD)", text=True),
]
BuildName = Annotated[
    str,
    _pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"),
    Rule("a build's name: letters, digits, _ . -, at most 64", text=True),
]
PackageName = Annotated[
    str,
    _pattern(_APK_NAME + r"([<>=~]{1,2}[A-Za-z0-9_.+-]+)?"),
    Rule("a package's name, with a version if need be (openssl, openssl~3.5)", text=True),
]
PackageValue = Annotated[
    bool | Annotated[str, _pattern(_TAG)] | None,
    Rule("true, a repo's tag, or false or null to take it away"),
]
RepoUrl = Annotated[
    str,
    _pattern(r"https://[A-Za-z0-9_.~:@%+{}-]+(/[A-Za-z0-9_.~:@%+{}-]*)*"),
    Rule("an https URL; {branch} stands for v3.23 or edge, {version} for 3.23 or edge", text=True),
]
RepoValue = Annotated[
    bool | Annotated[str, _pattern(_TAG)] | None,
    Rule(f"true, a tag, {COMMENTED} to keep it as a comment, or false or null to take it away"),
]
KernelOption = Annotated[
    str,
    _pattern(r"[!#%&()*+,./:;<=>?@A-Z\[\]^_a-z{|}~0-9-]+"),
    Rule("one kernel option without spaces or quotes", text=True),
]
ModuleName = Annotated[str, _pattern(r"[A-Za-z0-9_-]+"), Rule("a kernel module's name", text=True)]
FeatureName = Annotated[str, _pattern(r"[A-Za-z0-9_-]+"), Rule("a feature of mkinitfs", text=True)]
ServiceName = Annotated[str, _pattern(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*"), Rule("an OpenRC service's name", text=True)]
Port = Annotated[
    str, _pattern(r"[1-9][0-9]{0,4}/(tcp|udp)"), Rule("a port with its protocol: 80/tcp or 53/udp", text=True)
]
RunlevelName = Annotated[Runlevel, Rule("one of the runlevels sysinit, boot, default, shutdown")]
SysctlName = Annotated[
    str,
    _pattern(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)+"),
    Rule("a kernel parameter as sysctl names it: net.ipv4.ip_forward", text=True),
]
SysctlValue = Annotated[
    Annotated[int, Field(strict=True)] | Annotated[str, _pattern(r"[!-~]+([ \t][!-~]+)*")] | Literal[False] | None,
    Rule("a number, text on one line, or false or null to take it away"),
]
NtpServer = Annotated[
    str,
    _pattern(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,252})"),
    AfterValidator(_no_aws_time),
    Rule(f"a time server's name or address, and not {AWS_TIME}, which only AWS has", text=True),
]
KeyFile = Annotated[
    str, _pattern(r"[A-Za-z0-9@_.+-]+\.rsa\.pub"), Rule("the name of a file NAME.rsa.pub in profiles/keys/", text=True)
]
AccountId = Annotated[str, _pattern(r"[0-9]{12}"), Rule("an account id: 12 digits, quoted", text=True)]
_Path = Annotated[str, _pattern(r"[A-Za-z0-9_.+-]+(/[A-Za-z0-9_.+-]+)*"), AfterValidator(_inside)]
FilePath = Annotated[
    _Path | None, Rule("a path below this file's folder (letters, digits, _ . + - and /, no ..)", text=True)
]
CopyTarget = Annotated[
    _Path, Rule("a path below the folder the setup script runs in (letters, digits, _ . + - and /, no ..)", text=True)
]
CopySource = Annotated[
    _Path | Literal[False] | None,
    Rule("a path below this file's folder (no ..), or false or null to take it away", text=True),
]
TestName = Annotated[
    str, _pattern(r"[A-Za-z0-9_.-]{1,64}"), Rule("a name: letters, digits, _ . -, at most 64", text=True)
]
Arch = Annotated[Literal["x86_64"] | None, Rule("x86_64")]


class Layer(BaseModel):
    """A map in a profile file; unknown keys are refused."""

    # a preview uses few of these classes: building the others costs it 0.1 s
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class AccessKeys(Layer):
    """Who may launch the images besides their owner; changing it never builds anything."""

    public: Switch = Field(None, description="Whether every account may launch the images.", examples=["true"])
    accounts: dict[AccountId, Switch] | None = Field(
        None, description="The accounts that may launch them.", examples=['{"012345678901": true}']
    )


class CommonKeys(Layer):
    """What every kind of profile file may set."""

    prefix: OmiText = Field(None, description="Begins the OMI's name.", examples=["alpine-"])
    suffix: OmiText = Field(None, description="Ends the OMI's name.", examples=["-web"])
    description: Annotated[
        str | None,
        _pattern(r"[^\x00-\x1f\x7f]{1,200}"),
        Rule("one line of text, at most 200 characters", text=True),
    ] = Field(None, description="Begins the OMI's description.", examples=["Alpine Linux"])
    volume_size: Annotated[int | None, Field(ge=1, le=14901), Rule("a whole number of GiB from 1 to 14901")] = Field(
        None, description="Size of the root volume, GiB.", examples=["2"]
    )
    user: Annotated[
        str | None,
        _pattern(r"[a-z_][a-z0-9_-]{0,31}"),
        AfterValidator(_not_root),
        Rule("a user name: a-z, 0-9, _ and -, not first a digit or -, at most 32, and not root", text=True),
    ] = Field(None, description="The user that logs in by SSH.", examples=["alpine"])
    privileges: Annotated[Privileges | None, Rule("doas, sudo or none")] = Field(
        None,
        description="How the user becomes root, without a password; the package follows. With `none` nobody can.",
        examples=["sudo"],
    )
    access: AccessKeys | None = Field(
        None, description="Who may launch the images besides their owner; the stack's setting `access` goes before it."
    )
    repos: dict[RepoUrl, RepoValue] | None = Field(
        None,
        description="Package repositories of the image. What lies below `https://dl-cdn.alpinelinux.org/alpine` "
        "is fetched from the stack's own mirror while building.",
        examples=["{https://dl-cdn.alpinelinux.org/alpine/edge/testing: testing}"],
    )
    packages: dict[PackageName, PackageValue] | None = Field(
        None,
        description="Packages to install: `true`, or the tag of the repo they come from. "
        "Kernel, boot loader, doas and sudo follow from `kernel_flavor`, `firmware` and `privileges`.",
        examples=["{nginx: true, foot: testing, curl: false}"],
    )
    services: dict[RunlevelName, dict[ServiceName, Switch] | None] | None = Field(
        None, description="OpenRC services by runlevel.", examples=["{default: {nginx: true}, boot: {acpid: false}}"]
    )
    motd: Annotated[
        str | None,
        _pattern(r"[^\x00-\x08\x0b-\x1f\x7f]+"),
        Field(max_length=_LONGEST_MOTD),
        Rule(f"text of one or more lines, at most {_LONGEST_MOTD} characters", text=True),
    ] = Field(None, description="What a login shows: `/etc/motd`, instead of Alpine's.", examples=["Welcome."])
    timezone: Annotated[
        str | None,
        _pattern(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}"),
        AfterValidator(_known_zone),
        Rule("a time zone of the IANA database: Europe/Paris, UTC", text=True),
    ] = Field(
        None,
        description="The local time, instead of UTC; this zone's file alone is put into the image.",
        examples=["Europe/Paris"],
    )
    ntp_servers: dict[NtpServer, Switch] | None = Field(
        None,
        description="Where the time comes from, instead of DHCP's servers and `pool.ntp.org`; for the service `ntpd` "
        "(busybox's) or `chronyd`, whichever `services` names.",
        examples=["{ntp.example.org: true}"],
    )
    sysctl: dict[SysctlName, SysctlValue] | None = Field(
        None,
        description="Kernel parameters, set by the service `sysctl` at boot.",
        examples=["{net.ipv4.ip_forward: 1, net.ipv4.tcp_rmem: 4096 131072 6291456}"],
    )
    ports: dict[Port, Switch] | None = Field(
        None,
        description="What may listen besides sshd; an image in which anything else does is refused when it is checked. "
        "Changing it builds nothing.",
        examples=["{80/tcp: true, 443/tcp: true}"],
    )
    kernel_flavor: Annotated[Literal["virt", "lts"] | None, Rule("virt or lts")] = Field(
        None, description="Which of Alpine's kernels (`linux-virt`, `linux-lts`).", examples=["lts"]
    )
    kernel_modules: dict[ModuleName, Switch] | None = Field(
        None, description="Modules loaded before the root filesystem is mounted.", examples=["{virtio_blk: true}"]
    )
    kernel_options: dict[KernelOption, Switch] | None = Field(
        None, description="The kernel's command line, sorted by name.", examples=["{'console=ttyS0,115200n8': true}"]
    )
    initfs_features: dict[FeatureName, Switch] | None = Field(
        None,
        description="What mkinitfs puts into the initramfs: names of `/etc/mkinitfs/features.d`.",
        examples=["{nvme: true}"],
    )
    setup_script: FilePath = Field(
        None,
        description="POSIX sh script, run last (`sh -e`), with `TARGET` set to the image's root; may bring services."
        " Beside this file or below.",
        examples=["setup/web.sh"],
    )
    setup_copy: dict[CopyTarget, CopySource] | None = Field(
        None,
        description="Files for the setup script: where it finds them, and where they are, beside this file or below.",
        examples=["{nginx.conf: setup/nginx.conf}"],
    )
    tests: dict[TestName, CopySource] | None = Field(
        None,
        description="Checks of the profile's own: POSIX sh scripts that run as the image's user in the VM that the "
        "image is verified in. One that fails fails the build. Changing them builds nothing.",
        examples=["{web: setup/web-test.sh}"],
    )
    bootstrap: Annotated[Literal["tiny-cloud", "cloud-init"] | None, Rule("tiny-cloud or cloud-init")] = Field(
        None,
        description="What sets up a new instance from the metadata service: SSH key, host name, user data, size of the "
        "root filesystem. Its packages follow from it.",
        examples=["cloud-init"],
    )
    firmware: Annotated[Firmware | None, Rule("bios, uefi or hybrid")] = Field(
        None,
        description="What starts the boot loader: `bios` (ext4 on the raw disk, extlinux), `uefi` (GPT, GRUB) or "
        "`hybrid`, one disk that boots both ways. OMIs have the boot modes that belong to it.",
        examples=["uefi"],
    )
    rebuild_on: Annotated[RebuildOn | None, Rule("content or packages")] = Field(
        None,
        description="What makes a new revision: another `content`, as it is written here, or also newer versions of "
        "the installed `packages`.",
        examples=["packages"],
    )
    keys: dict[KeyFile, Switch] | None = Field(
        None,
        description="Public keys that may sign packages: names of files in `profiles/keys/`.",
        examples=["{alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub: true}"],
    )


class BaseFile(CommonKeys):
    """`profiles/base/NAME.yaml`."""


class ArchFile(CommonKeys):
    """`profiles/arch/ARCH.yaml`."""


class VersionFile(CommonKeys):
    """`profiles/version/VERSION.yaml`."""

    base: Annotated[str, _pattern(r"base/[A-Za-z0-9_.-]+"), Rule("the base profile's name: base/1", text=True)] = Field(
        description="The base profile below this version.", examples=["base/1"]
    )
    release: Annotated[Release, Rule("a point release as text: 3.23.6", text=True)] = Field(
        None, description="The branch's point release as last detected.", examples=["3.23.6"]
    )
    end_of_life: Annotated[date | None, BeforeValidator(_as_date), Rule("a date: 2027-11-01, or absent")] = Field(
        None, description="When the branch's support ends, as last detected.", examples=["2027-11-01"]
    )


class BuildKeys(CommonKeys):
    """One build of a target profile."""

    version: Version = Field(None, description="The branch, quoted.", examples=['"3.23"'])
    arch: Arch = Field(None, description="The architecture.", examples=["x86_64"])
    release: Release = Field(None, description="A point release to stay at.", examples=["3.23.5"])
    revision: Annotated[
        str | None, _pattern(r"r(0|[1-9][0-9]{0,3})"), Rule("a revision: r0, r1, … r9999", text=True)
    ] = Field(None, description="A revision to stay at.", examples=["r2"])


class DiscoverKeys(Layer):
    """Builds for the branches that Alpine supports."""

    versions: Annotated[
        Literal["supported"] | Annotated[list[Annotated[str, _pattern(r"[0-9]+\.[0-9]+")]], Field(min_length=1)],
        Rule('supported, or a list of branches as text: ["3.23", "3.24"]', text=True),
    ] = Field(
        "supported", description="Which branches; those past their end of life are left out.", examples=["supported"]
    )
    arch: Annotated[
        Annotated[list[Literal["x86_64"]], Field(min_length=1)], Rule("a list of architectures: [x86_64]")
    ] = Field(["x86_64"], description="For which architectures.", examples=["[x86_64]"])
    edge: Annotated[int | None, Field(ge=1, le=100), Rule("how many images of edge to keep, from 1 to 100")] = Field(
        None, description="Build edge as well, and keep this many of its images.", examples=["2"]
    )


class TargetFile(BuildKeys):
    """`profiles/NAME.yaml`."""

    builds: dict[BuildName, BuildKeys] | None = Field(
        None,
        description="The builds by name, each a map of what holds for it alone; `{}` for none.",
        examples=['{v3_23-x86_64: {version: "3.23"}}'],
    )
    discover: DiscoverKeys | None = Field(
        None,
        description="Adds a build `v3_24-x86_64` for each branch, without an edit.",
        examples=["{versions: supported, edge: 2}"],
    )
