"""A DHCP server for one machine, which becomes 10.0.0.5/24: its arguments are an interface and an MTU (0: none)."""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys

OFFER, ACK = 2, 5
ANSWERS = {1: OFFER, 3: ACK}
MAGIC = b"\x63\x82\x53\x63"
SERVER, CLIENT = (ipaddress.IPv4Address(address).packed for address in ("10.0.0.1", "10.0.0.5"))


def answer(request: bytes, mtu: int) -> bytes | None:
    """The answer to a request, if there is one."""
    options = request[240:]
    kind = options[options.index(b"\x35\x01") + 2]
    if kind not in ANSWERS:
        return None
    lease = struct.pack("!I", 3600)
    said = {53: bytes([ANSWERS[kind]]), 54: SERVER, 51: lease, 1: b"\xff\xff\xff\0", 3: SERVER}
    if mtu:
        said[26] = struct.pack("!H", mtu)
    head = struct.pack("!BBBB4sHH4s4s4s4s", 2, 1, 6, 0, request[4:8], 0, 0x8000, bytes(4), CLIENT, SERVER, bytes(4))
    body = b"".join(bytes([code, len(value)]) + value for code, value in said.items())
    return head + request[28:44] + bytes(192) + MAGIC + body + b"\xff"


def main(interface: str, mtu: int) -> None:
    """Answer until the process is ended; a line says when it is ready."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        server.bind(("", 67))
        print("ready", flush=True)
        while True:
            said = answer(server.recv(4096), mtu)
            if said is not None:
                server.sendto(said, ("255.255.255.255", 68))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
