"""A profile's builds as validated values; the YAML is merged (omi.profile.merge) before it is read as these."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Runlevel = Literal["sysinit", "boot", "default", "shutdown"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Access(_Model):
    """Who may launch an image besides its owner."""

    public: bool = False
    accounts: tuple[str, ...] = ()
    """Numeric account ids, sorted."""


class Build(_Model):
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
    recorded_release: str | None = None
    """The branch's release as last detected: what counts when upstream can't be reached."""
    prefix: str = "alpine-"
    suffix: str = ""
    description: str = "Alpine Linux"
    volume_size: int = Field(default=1, ge=1, le=14901)
    """GiB."""
    user: str = "alpine"
    access: Access = Access()
    repos: dict[str, bool | str] = {}
    """URL (with {version} filled in) to true, a tag, or "commented" kept as false."""
    packages: dict[str, bool | str] = {}
    """Name to true or to the tag of the repo it comes from."""
    services: dict[Runlevel, tuple[str, ...]] = {}
    kernel_flavor: Literal["virt", "lts"] = "virt"
    kernel_modules: tuple[str, ...] = ()
    kernel_options: tuple[str, ...] = ()
    initfs_features: tuple[str, ...] = ()
    setup_script: str | None = None
    setup_copy: dict[str, str] = {}
    bootstrap: Literal["minimal"] = "minimal"
    """What takes key, host name and disk size from the metadata service at first boot."""
    firmware: Literal["bios"] = "bios"
    keys: dict[str, str] = {}
    """File name of an apk signing key to the PEM text of the public key."""

    def image_name(self, release: str, revision: int) -> str:
        """The OMI's name: prefix, release, arch, revision, suffix."""
        return f"{self.prefix}{release}-{self.arch}-r{revision}{self.suffix}"
