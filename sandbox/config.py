"""Settings of the local OUTSCALE: its Regions, addresses, places on disk and the pace of its state changes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path

from sandbox.machines.accelerator import default_accelerator

DEFAULT_BASE_PORT = 7440
LAST_BASE_PORT = 65532
"""It and the three after it are used."""
STUB_MACHINES = "sandbox.machines.stub:StubMachines"
"""The machine driver whose VMs are stubs: SSH servers that answer from a recording."""
STUB_SOURCE = "sandbox.machines.stub:ensure_source"
"""The source OMI for that driver."""
SSH_PORT = 2222
"""The port on a VM's public address that leads to the guest's port 22 (the stack setting `ssh_port`)."""
GUEST_SSH_PORT = 22
INNER_SSH_PORT = 22022
"""The port where the machine driver puts a guest's SSH. Users reach it by a relay that applies the security groups."""
UNPRIVILEGED = 1024
"""The first port that a process without root may listen on."""


def outer_port(guest_port: int) -> int:
    """The port on a VM's public address that leads to this port of the guest: 2222 to 22, 8080 to 80, 5432 to 5432."""
    if guest_port == GUEST_SSH_PORT:
        return SSH_PORT
    return guest_port if guest_port >= UNPRIVILEGED else guest_port + 8000


@dataclass(frozen=True)
class SandboxRegion:
    """One Region with its Subregions; an account belongs to exactly one Region."""

    name: str
    subregions: tuple[str, ...]

    @property
    def endpoint(self) -> str:
        """The API host name that ReadRegions reports for it."""
        return f"api.{self.name}.outscale.com"


REGIONS: tuple[SandboxRegion, ...] = (
    SandboxRegion("eu-west-2", ("eu-west-2a", "eu-west-2b", "eu-west-2c")),
    SandboxRegion("us-east-2", ("us-east-2a", "us-east-2b")),
)

PROFILES: dict[str, str] = {
    "main": "eu-west-2",
    "second": "eu-west-2",
    "main-us": "us-east-2",
    "second-us": "us-east-2",
}
"""Profile name in `osc.json` -> the Region of its account."""
EXTRA_REGIONS: dict[str, str] = {"": "eu-west-2", "-us": "us-east-2"}
"""Tests may ask for more: `extra-1`, `extra-2`, ..., each with an account of the other Region, `extra-1-us`."""


@dataclass(frozen=True)
class SandboxTiming:
    """The duration of each step, in seconds; the real cloud takes longer, a test may take less."""

    vm_start: float = 1.0
    vm_stop: float = 0.5
    vm_delete: float = 1.0
    vm_poll: float = 0.5
    volume_create: float = 0.5
    volume_delete: float = 0.5
    snapshot_queue: float = 0.5
    snapshot_copy: float = 1.0
    snapshot_delete: float = 0.0
    """A deleted snapshot was recorded as gone at the next read."""
    image_create: float = 1.0
    export_queue: float = 0.5
    export_copy: float = 1.0
    """Seconds of an image's export to the object store; on OUTSCALE more than 40 minutes were seen."""
    terminated_kept: float = 300.0
    """A terminated VM stays readable this long."""
    security_group_hold: float = 0.5
    """A security group counts as in use this long after its VM ended (recorded on OUTSCALE: error 9085)."""
    lockout: float = 60.0
    """A key is refused this long after four wrong signatures in a row."""

    @classmethod
    def uniform(cls, step: float) -> SandboxTiming:
        """Every step takes `step` seconds; other durations, such as those of locks, keep their defaults."""
        kept = {"terminated_kept", "lockout", "snapshot_delete"}
        steps = {each.name: step for each in fields(cls) if each.name not in kept}
        return cls(**{**steps, "vm_poll": max(step, 0.02)})


@dataclass(frozen=True)
class Addresses:
    """Ports and loopback addresses that follow from one base port."""

    base_port: int = DEFAULT_BASE_PORT
    host: str = "127.0.0.1"

    FIRST_SLOT = 2
    LAST_SLOT = 254

    @property
    def tls_port(self) -> int:
        return self.base_port

    @property
    def plain_port(self) -> int:
        return self.base_port + 1

    @property
    def mirror_port(self) -> int:
        return self.base_port + 2

    @property
    def oos_port(self) -> int:
        return self.base_port + 3

    @property
    def oos_endpoint(self) -> str:
        return f"https://{self.host}:{self.oos_port}"

    @property
    def api_endpoint(self) -> str:
        return f"https://{self.host}:{self.tls_port}/api/v1"

    @property
    def plain_url(self) -> str:
        return f"http://{self.host}:{self.plain_port}"

    def public_ip(self, slot: int) -> str:
        """The loopback address of a slot (2 to 254); two sandboxes with other base ports don't clash."""
        return f"127.{64 + (self.base_port >> 8) % 128}.{self.base_port & 255}.{slot}"


def default_cache() -> Path:
    """The folder of large made files (source OMI, mirror), keyed by their inputs and safe to delete."""
    own = os.environ.get("ALPINE_OMI_CACHE")
    return in_full(own or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/alpine-omi")


def default_home() -> Path:
    """The folder of the local cloud's state."""
    own = os.environ.get("ALPINE_OMI_STATE") or f"{os.environ.get('XDG_STATE_HOME') or '~/.local/state'}/alpine-omi"
    return in_full(f"{own}/sandbox")


def in_full(path: str) -> Path:
    """The absolute path; with an unknown home folder it is unchanged, with its `~`."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        return Path(path)


@dataclass(frozen=True)
class SandboxSettings:
    """Everything that one server process needs to know."""

    home: Path
    addresses: Addresses = field(default_factory=Addresses)
    cache: Path = field(default_factory=default_cache)
    timing: SandboxTiming = field(default_factory=SandboxTiming)
    machines: str = "sandbox.machines.qemu:QemuMachines"
    """`module:factory` of the machine driver; the factory takes the home folder, and `answers` if these are given."""
    accelerator: str = field(default_factory=default_accelerator)
    """How QEMU runs VMs: kvm, tcg (emulation), or auto: KVM if the source OMI runs with it."""
    answers: Path | None = None
    """The folder with the recorded answers of stub VMs; None means the driver's own."""
    source: str = "sandbox.source_omi:ensure"
    """`module:function` that makes or finds the disk of the official OMI; the function takes the cache folder and a
    callable for lines of progress."""
    requests_per_second: float | None = None
    """The requests a second of one account; more are answered 429 (OUTSCALE's own clients keep to 5)."""
    extra_accounts: int = 0
    """The number of accounts besides PROFILES in each Region."""
    mirror: str = "auto"
    """The source of the Alpine mirror's packages: auto, cdn or fixture; off for no mirror."""

    @property
    def profiles(self) -> dict[str, str]:
        """Profile name -> Region of every account."""
        numbers = range(1, self.extra_accounts + 1)
        extra = {f"extra-{number}{end}": region for number in numbers for end, region in EXTRA_REGIONS.items()}
        return {**PROFILES, **extra}

    @property
    def has_stubs(self) -> bool:
        """Whether its VMs are stubs, so that no image made by them proves anything."""
        return self.machines == STUB_MACHINES

    @property
    def machines_file(self) -> Path:
        """The machine driver that made this home's disks."""
        return self.home / "machines"

    @property
    def database(self) -> Path:
        return self.home / "state.sqlite"

    @property
    def profiles_file(self) -> Path:
        return self.home / "osc.json"

    @property
    def keys_folder(self) -> Path:
        """Public keys for the packages of the served mirror, besides Alpine's own."""
        return self.home / "keys"

    @property
    def ca_file(self) -> Path:
        return self.home / "ca.pem"

    @property
    def lock_file(self) -> Path:
        return self.home / "server.lock"

    @property
    def log_file(self) -> Path:
        return self.home / "server.log"
