"""How a short-lived VM is entered: an own ed25519 keypair and an own security group, both named after the build."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from omi.errors import BuildError, CloudError
from omi.outscale.busy import is_gone, remove
from omi.outscale.cloud import Cloud
from omi.outscale.deadline import TooLateError, within

_LOOKUP = 30.0
"""Seconds for a name server's answer."""


@contextmanager
def temporary_key(cloud: Cloud, name: str, folder: Path) -> Iterator[Path]:
    """A new keypair registered under `name`; the private key is in a 0600 file of `folder` and nowhere else.

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
        cloud.call(cloud.ec2.import_key_pair, KeyName=name, PublicKeyMaterial=public + f" {name}\n".encode())
        yield path
    finally:
        path.unlink(missing_ok=True)
        delete_key(cloud, name)


def open_group(cloud: Cloud, name: str, port: int, source: str) -> str:
    """A new security group that lets `source` (CIDR) reach TCP `port`; returns its id. The sweep deletes it by name."""
    answer = cloud.call(cloud.ec2.create_security_group, GroupName=name, Description="Alpine OMI: build and verify")
    group_id = answer["GroupId"]
    rule: Any = [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": source}]}]
    cloud.call(cloud.ec2.authorize_security_group_ingress, GroupId=group_id, IpPermissions=rule)
    return group_id


def delete_key(cloud: Cloud, name: str) -> bool:
    """Delete a keypair; False if there was none."""
    try:
        pairs = cloud.call(cloud.ec2.describe_key_pairs, KeyNames=[name])["KeyPairs"]
    except CloudError as error:
        if is_gone(error):
            return False
        raise
    if not any(pair.get("KeyName") == name for pair in pairs):
        return False
    return remove(lambda: cloud.call(cloud.ec2.delete_key_pair, KeyName=name), cloud.limits.in_use)


def delete_group(cloud: Cloud, group_id: str) -> bool:
    """Delete a security group, waiting while it is still in use; False if there was none."""
    return remove(lambda: cloud.call(cloud.ec2.delete_security_group, GroupId=group_id), cloud.limits.in_use)


def find_groups(cloud: Cloud, name: str) -> list[str]:
    """Ids of the account's security groups of exactly this name."""
    filters: Any = [{"Name": "group-name", "Values": [name]}]
    groups = cloud.call(cloud.ec2.describe_security_groups, Filters=filters)["SecurityGroups"]
    return [group["GroupId"] for group in groups if group.get("GroupName") == name and group.get("GroupId")]


def ssh_source(setting: str, api: str) -> str:
    """The CIDR to let in: `setting`, or for `auto` this machine's own address on the way to `api`.

    Raises BuildError if that address is private, since the cloud would see another one.
    """
    if setting != "auto":
        try:
            return str(ipaddress.ip_network(setting, strict=False))
        except ValueError as error:
            raise BuildError(f"vm.ssh_source: {setting!r} is no CIDR ({error}); give one like 192.0.2.7/32") from error
    address = ipaddress.ip_address(_own_address(api))
    if address.is_loopback or address.is_global:
        return f"{address}/32"
    raise BuildError(
        f"vm.ssh_source: this machine's address {address} is private, so the address from which the cloud sees it "
        "is unknown; set vm.ssh_source to the CIDR that your SSH connections come from"
    )


def _own_address(url: str) -> str:
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 443
    try:
        found = within(_LOOKUP, lambda: socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM))
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)  # UDP: chooses the route, sends nothing
            return str(probe.getsockname()[0])
    except TooLateError as error:
        raise CloudError(f"{url}: the name server gave no address within {_LOOKUP:.0f} s; check it") from error
    except socket.gaierror as error:
        raise CloudError(
            f"{url}: its host has no address ({error.strerror}); check the Region and the name server"
        ) from error
    except OSError as error:
        raise CloudError(f"{url}: no way to its host ({error.strerror}); check this machine's network") from error
