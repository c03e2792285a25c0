"""Access to a short-lived VM: an ed25519 keypair and a security group of its own, named after the build."""

from __future__ import annotations

import base64
import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from omi.outscale.busy import remove
from omi.outscale.client import Cloud
from omi.outscale.deadline import TooLateError, within
from omi.outscale.shapes import CloudKeypair, CloudSubnet, Group, listed, parsed
from omi.support.errors import BuildError, CloudError

_LOOKUP = 30.0
"""Seconds for a name server's answer."""


@contextmanager
def temporary_key(cloud: Cloud, name: str, folder: Path) -> Iterator[Path]:
    """Register a new keypair under `name`. The private key is in a 0600 file of `folder` and nowhere else.

    File and keypair are removed at the end, whatever happens.
    """
    key = Ed25519PrivateKey.generate()
    path = folder / name
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        _import_key(cloud, name, public + f" {name}".encode())
        yield path
    finally:
        path.unlink(missing_ok=True)
        delete_key(cloud, name)


def _import_key(cloud: Cloud, name: str, public: bytes) -> None:
    wanted = {"KeypairName": name, "PublicKey": base64.b64encode(public).decode()}

    def not_made() -> None:
        """Delete a keypair after a lost answer: it can't be seen whether it holds this key."""
        delete_key(cloud, name)

    cloud.create("CreateKeypair", wanted, lambda answer: True, not_made)


def open_group(cloud: Cloud, name: str, port: int, source: str, subnet: CloudSubnet | None = None) -> str:
    """Make a security group that lets `source` (CIDR) reach TCP `port`; returns its id. The sweep deletes it by name.

    It is for VMs in the Net of this Subnet; None for VMs outside of Nets.
    """
    of_net = {"NetId": subnet.net_id} if subnet else {}
    group_id = cloud.create(
        "CreateSecurityGroup",
        {"SecurityGroupName": name, "Description": "Alpine OMI: build and verify", **of_net},
        lambda answer: parsed(Group, answer["SecurityGroup"], "CreateSecurityGroup", cloud).group_id,
        lambda: next(iter(find_groups(cloud, name)), None),
    )
    rule = {"IpProtocol": "tcp", "FromPortRange": port, "ToPortRange": port, "IpRanges": [source]}
    cloud.create(
        "CreateSecurityGroupRule",
        {"SecurityGroupId": group_id, "Flow": "Inbound", "Rules": [rule]},
        lambda answer: True,
        lambda: any(group.rules for group in listed(cloud, Group, SecurityGroupIds=[group_id])) or None,
    )
    return group_id


def delete_key(cloud: Cloud, name: str) -> bool:
    """Delete a keypair; False if there was none."""
    if not any(pair.name == name for pair in listed(cloud, CloudKeypair, KeypairNames=[name])):
        return False
    return remove(partial(cloud.call, "DeleteKeypair", {"KeypairName": name}), cloud.limits.in_use)


def delete_group(cloud: Cloud, group_id: str) -> bool:
    """Delete a security group, waiting while it is still in use; False if there was none."""
    return remove(partial(cloud.call, "DeleteSecurityGroup", {"SecurityGroupId": group_id}), cloud.limits.in_use)


def find_groups(cloud: Cloud, name: str) -> list[str]:
    """Ids of the account's security groups of exactly this name."""
    return [group.group_id for group in listed(cloud, Group, SecurityGroupNames=[name]) if group.name == name]


def ssh_source(setting: str, api: str, subnet: CloudSubnet | None = None) -> str:
    """The CIDR to let in: `setting`, or for `auto` this machine's address on the route to the Subnet, else to `api`.

    Raises BuildError if the address on the route to `api` is private, since the cloud would see another one.
    """
    if setting != "auto":
        try:
            return str(ipaddress.ip_network(setting, strict=False))
        except ValueError as error:
            raise BuildError(
                f"vm.ssh_source: {setting!r} is not a CIDR ({error}); give one like 192.0.2.7/32"
            ) from error
    address = ipaddress.ip_address(own_address(subnet.url if subnet else api))
    if subnet or address.is_loopback or address.is_global:
        return f"{address}/32"
    raise BuildError(
        f"vm.ssh_source: this machine's address {address} is private, so the address from which the cloud sees it "
        "is unknown; set vm.ssh_source to the CIDR that your SSH connections come from"
    )


def own_address(url: str) -> str:
    """This machine's address on the route to `url`. Raises CloudError if there is no route."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 443
    try:
        found = within(_LOOKUP, lambda: socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM))
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)  # UDP: connect() chooses a route and sends nothing
            return str(probe.getsockname()[0])
    except TooLateError as error:
        raise CloudError(f"{url}: the name server gave no address within {_LOOKUP:.0f} s; check it") from error
    except socket.gaierror as error:
        raise CloudError(
            f"{url}: its host has no address ({error.strerror}); check the Region and the name server"
        ) from error
    except OSError as error:
        raise CloudError(f"{url}: no route to its host ({error.strerror}); check this machine's network") from error
