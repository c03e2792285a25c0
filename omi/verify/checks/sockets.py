"""Listening sockets."""

from __future__ import annotations

from collections.abc import Iterator

from omi.verify.facts import Expected, Facts

_LISTEN = "0A"  # TCP_LISTEN, linux/include/net/tcp_states.h
_SSH, _DHCP, _DHCP6 = 22, 68, 546
_EPHEMERAL = 32768  # net.ipv4.ip_local_port_range begins here: from here on sockets are clients'


def check_sockets(facts: Facts, expected: Expected) -> Iterator[str]:
    """Nothing listens except sshd and the profile's ports. DHCP's and clients' sockets don't count."""
    if not facts.values.get("socket"):
        yield "the sockets could not be read"
    said = set()
    for line in facts.values.get("socket", ()):
        parts = line.split()
        if len(parts) != 4:
            continue
        kind, local, remote, state = parts
        port = _listens(kind, local, remote, state)
        if port and port not in said and port not in expected.build.ports:
            said.add(port)
            yield f"something listens on {port}, which is not among the profile's ports"


def _listens(kind: str, local: str, remote: str, state: str) -> str | None:
    """The port with its protocol, if it is a server's and not sshd's."""
    address, _, hexadecimal = local.partition(":")
    port = int(hexadecimal or "0", 16)
    if kind.startswith("tcp"):
        return f"{port}/tcp" if state == _LISTEN and port != _SSH else None
    connected = not remote.endswith(":0000")
    client = port in {_DHCP, _DHCP6} or port >= _EPHEMERAL
    return None if connected or client or _is_loopback(address) else f"{port}/udp"


def _is_loopback(address: str) -> bool:
    # the kernel prints addresses in the machine's byte order: 127.0.0.1 ends in 7F, ::1 in 01000000
    return (len(address) == 8 and address.endswith("7F")) or address == "0" * 24 + "01000000"
