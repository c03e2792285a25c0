"""A profile's builds as validated values; the YAML is merged (omi.profile.merge) before it is read as these."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Privileges = Literal["doas", "sudo", "none"]
RebuildOn = Literal["content", "packages"]
Runlevel = Literal["sysinit", "boot", "default", "shutdown"]
Firmware = Literal["bios", "uefi", "hybrid"]
BootMode = Literal["legacy", "uefi"]
"""OUTSCALE's words for what starts a VM's loader."""
_BOOT_MODES: dict[Firmware, tuple[BootMode, ...]] = {
    "bios": ("legacy",),
    "uefi": ("uefi",),
    "hybrid": ("legacy", "uefi"),
}

_NAMING = frozenset({"profile", "name", "version"})
"""Keys of a build that identify it."""


def firmware_of(boot_modes: Collection[str]) -> Firmware | None:
    """The firmware whose images have these boot modes; None where there is none."""
    return next((name for name, modes in _BOOT_MODES.items() if set(modes) == set(boot_modes)), None)


EVERYONE = "everyone"
"""How it is told, beside account ids, that every account may launch an image."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Access(_Model):
    """Who may launch an image besides its owner."""

    public: bool = False
    accounts: tuple[str, ...] = ()
    """Numeric account ids, sorted."""

    def __str__(self) -> str:
        """`public`, account ids, or `private`."""
        return "public" if self.public else ",".join(self.accounts) or "private"

    @classmethod
    def of(cls, text: str) -> Access:
        """The value whose text this is."""
        accounts = () if text in ("public", "private") else tuple(text.split(","))
        return cls(public=text == "public", accounts=accounts)

    def launchers(self, owner: str) -> frozenset[str]:
        """Who may besides the owner, who always may and is listed by some clouds and not by others."""
        return frozenset(self.accounts) - {owner} | ({EVERYONE} if self.public else frozenset())


class SetupFile(_Model):
    """A file that the profile brings into the build, as it was when the profile was read."""

    sha256: str
    executable: bool = False


class Discover(_Model):
    """Which builds to add for the branches that upstream supports."""

    versions: Literal["supported"] | tuple[str, ...] = "supported"
    arch: tuple[Literal["x86_64"], ...] = ("x86_64",)
    edge: int | None = None
    """How many images of edge to keep; None means that edge isn't built."""


class Target(_Model):
    """One target of a profile, fully resolved: everything that decides what its images are."""

    profile: str
    name: str
    version: str
    """The branch without its `v`: `3.23`, or `edge`."""
    arch: Literal["x86_64"] = "x86_64"
    release: str | None = None
    """A point release to stay at; None follows upstream."""
    revision: int | None = None
    """A revision to stay at (the N of rN); None lets the content decide."""
    end_of_life: date | None = None
    """The branch's, as last detected."""
    recorded_release: str | None = None
    """The branch's release as last detected: what counts when upstream can't be reached."""
    prefix: str = "alpine-"
    suffix: str = ""
    description: str = "Alpine Linux"
    volume_size: int = Field(default=1, ge=1, le=14901)
    """GiB."""
    user: str = "alpine"
    privileges: Privileges = "doas"
    """How the user becomes root."""
    access: Access = Access()
    repos: dict[str, bool | str] = {}
    """URL (all filled in) to true, a tag, or false for one that is kept as a comment."""
    packages: dict[str, bool | str] = {}
    """Name to true or to the tag of the repo it comes from."""
    services: dict[Runlevel, tuple[str, ...]] = {}
    motd: str | None = None
    """The text of /etc/motd; None leaves Alpine's."""
    timezone: str | None = None
    """Of the IANA database; None is UTC."""
    ntp_servers: tuple[str, ...] = ()
    """Names or addresses; none leaves it to DHCP."""
    sysctl: dict[str, str] = {}
    """Kernel parameters by name."""
    ports: tuple[str, ...] = ()
    """What may listen besides sshd: `80/tcp`, `53/udp`."""
    kernel_flavor: Literal["virt", "lts"] = "virt"
    kernel_modules: tuple[str, ...] = ()
    kernel_options: tuple[str, ...] = ()
    initfs_features: tuple[str, ...] = ()
    setup_script: str | None = None
    """Path relative to the folder of profiles."""
    setup_copy: dict[str, str] = {}
    """Path relative to the folder the setup script runs in to path relative to the folder of profiles."""
    tests: dict[str, str] = {}
    """The profile's own checks: name to a script's path relative to the folder of profiles."""
    setup_files: dict[str, SetupFile] = {}
    """The files that these three name, by path relative to the folder of profiles."""
    bootstrap: Literal["tiny-cloud", "cloud-init"] = "tiny-cloud"
    """The program that sets up a new instance from the metadata service."""
    firmware: Firmware = "bios"
    """What starts the boot loader; `hybrid` boots both ways."""
    rebuild_on: RebuildOn = "content"
    """What makes a new revision; `packages` are newer packages as well."""
    again: int = 0
    """How many more revisions of the same content a person has asked for (the stack's setting `again`)."""
    keys: dict[str, str] = {}
    """File name of an apk signing key to the PEM text of the public key."""
    dropped_keys: dict[str, date] = {}
    """Keys that the profile names but upstream had deprecated, by file name, with the first day of that; they are not
    in `keys`."""
    unread: tuple[str, ...] = ()
    """Keys of a build in state that are none any more, or whose value can't be read; each is as if it weren't there."""

    @classmethod
    def of_state(cls, value: object) -> Self:
        """The build that an image in state was made of, whichever version wrote it.

        An image stays plannable, updatable and deletable even if its build can't be read whole: such keys are only
        named in `unread`. Raises ValidationError if the keys that identify the build are missing.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            wrong = {str(each["loc"][0]) for each in error.errors() if each["loc"]}
            if not isinstance(value, dict) or not wrong or not wrong <= value.keys() or wrong & _NAMING:
                raise
            read = cls.model_validate({key: each for key, each in value.items() if key not in wrong})
            return read.model_copy(update={"unread": tuple(sorted({*read.unread, *wrong}))})

    @property
    def branch(self) -> str:
        """The branch as mirrors call it: `v3.23`, or `edge`."""
        return self.version if self.version == "edge" else f"v{self.version}"

    @property
    def boot_modes(self) -> tuple[BootMode, ...]:
        """What OMIs of this firmware are registered with, sorted."""
        return _BOOT_MODES[self.firmware]

    def image_name(self, release: str, revision: int) -> str:
        """The OMI's name: prefix, release, arch, revision, suffix."""
        return f"{self.prefix}{release}-{self.arch}-r{revision}{self.suffix}"
