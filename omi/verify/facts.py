"""What check.sh found in a booted image, and whether that is as it must be. Values in, values out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_LISTEN = "0A"  # TCP_LISTEN, linux/include/net/tcp_states.h
_SSH, _DHCP, _DHCP6 = 22, 68, 546
_EPHEMERAL = 32768  # net.ipv4.ip_local_port_range begins here: a client's socket, not a server's
_GROWN = 0.9
_CLOCK = 120  # seconds that the boot time, computed from the clock, may be off
_HOST_KEY_MAKER = "the build"


@dataclass(frozen=True)
class Expected:
    """What the image must be; `services` by runlevel."""

    release: str
    kernel_flavor: str
    user: str
    services: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Facts:
    """check.sh's lines by key, in their order."""

    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, text: str) -> Facts:
        """Read `key=value` lines; others are passed over."""
        values: dict[str, tuple[str, ...]] = {}
        for line in text.splitlines():
            key, sign, value = line.strip().partition("=")
            if sign and re.fullmatch(r"[a-z_]+", key):
                values[key] = (*values.get(key, ()), value)
        return cls(values)

    def one(self, key: str) -> str:
        """The first value of a key, empty if it is absent."""
        return self.values.get(key, ("",))[0]

    def number(self, key: str) -> int:
        """The first value as a number, 0 if it is none."""
        return int(self.one(key)) if self.one(key).isdecimal() else 0


def failed_checks(facts: Facts, expected: Expected) -> list[str]:
    """What is not as it must be, one clause each; empty if the image is good."""
    if facts.one("end") != "yes":
        return ["the check script did not run to its end"]
    return [
        *_check_system(facts, expected),
        *_check_services(facts, expected),
        *_check_root(facts),
        *_check_host_keys(facts),
        *_check_sockets(facts),
    ]


def _check_system(facts: Facts, expected: Expected) -> Iterator[str]:
    if facts.one("release") != expected.release:
        yield f"/etc/alpine-release says {facts.one('release')!r} instead of {expected.release!r}"
    kernel = facts.one("kernel")
    if not kernel.endswith(f"-{expected.kernel_flavor}"):
        yield f"the kernel {kernel!r} is not of the flavor {expected.kernel_flavor}"
    if facts.one("kernel_modules") != "yes":
        yield f"the running kernel {kernel!r} has no modules in the image"
    if facts.one("user") != expected.user:
        yield f"the login is {facts.one('user')!r} instead of {expected.user!r}"


def _check_services(facts: Facts, expected: Expected) -> Iterator[str]:
    states: dict[tuple[str, str], str] = {}
    for line in facts.values.get("service", ()):
        level, _, rest = line.partition(" ")
        name, _, state = rest.partition(" ")
        states[level, name] = state
    for level, names in expected.services.items():
        if level == "shutdown":
            continue  # they start when the machine goes down
        for name in names:
            state = states.get((level, name), "not in the runlevel")
            if state != "started":
                yield f"service {name} ({level}) is {state}"
    for name in facts.values.get("crashed", ()):
        yield f"service {name} has crashed"


def _check_root(facts: Facts) -> Iterator[str]:
    filesystem, disk = facts.number("root_kib"), facts.number("disk_kib")
    if not disk:
        yield f"the disk of the root filesystem ({facts.one('root_device')!r}) is unknown"
    elif filesystem < _GROWN * disk:
        yield f"the root filesystem has {filesystem >> 10} MiB of a disk of {disk >> 10} MiB: it did not grow"


def _check_host_keys(facts: Facts) -> Iterator[str]:
    keys = facts.values.get("host_key", ())
    if not keys:
        yield "there is no SSH host key"
    for line in keys:
        name, _, made = line.partition(" ")
        if not made.isdecimal() or int(made) < facts.number("booted") - _CLOCK:
            yield f"the host key {name} is older than this boot: it comes from {_HOST_KEY_MAKER}"


def _check_sockets(facts: Facts) -> Iterator[str]:
    said = set()
    for line in facts.values.get("socket", ()):
        parts = line.split()
        if len(parts) != 4:
            continue
        kind, local, remote, state = parts
        problem = _unwanted(kind, local, remote, state)
        if problem and problem not in said:
            said.add(problem)
            yield problem


def _unwanted(kind: str, local: str, remote: str, state: str) -> str | None:
    address, _, hexadecimal = local.partition(":")
    port = int(hexadecimal or "0", 16)
    if kind.startswith("tcp"):
        return f"something listens on TCP port {port}" if state == _LISTEN and port != _SSH else None
    connected = not remote.endswith(":0000")
    client = port in {_DHCP, _DHCP6} or port >= _EPHEMERAL
    return None if connected or client or _is_loopback(address) else f"something listens on UDP port {port}"


def _is_loopback(address: str) -> bool:
    # the kernel prints addresses in the machine's byte order: 127.0.0.1 ends in 7F, ::1 in 01000000
    return (len(address) == 8 and address.endswith("7F")) or address == "0" * 24 + "01000000"
