"""`launch` and `terminate`: a VM of an OMI with a key, a security group and open ports, by ordinary API calls."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shlex
import ssl
import subprocess
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.config import GUEST_SSH_PORT, SandboxSettings, default_home, outer_port
from sandbox.environment import TERMINAL, plain
from sandbox.home import ServerError

NAME = "launch"
"""The name of the keypair and of the folder with its private keys; security groups' names begin with it."""
USERS = ("outscale", "alpine", "root")
"""The users of the official OMIs and of Alpine's own images."""
CALL_LIMIT = 60.0
BOOT_LIMIT = 600.0
DENIED_LIMIT = 60.0
"""Seconds that a booting VM may refuse the key although its SSH answers."""
_HERE = "127.0.0.1/32"
_SSH_OPTIONS = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")


class AccountClient:
    """One of the sandbox's accounts, by its OAPI."""

    def __init__(self, settings: SandboxSettings, profile: str, record: dict[str, Any]) -> None:
        self.profile = profile
        self.key_file = settings.home / NAME / f"{profile}.pem"
        self._record = record
        self._context = ssl.create_default_context(cafile=str(settings.ca_file))

    def call(self, action: str, **parameters: object) -> dict[str, Any]:
        """Call an action; returns its answer, or raises ServerError with the sandbox's words."""
        url, body = f"{self._record['endpoints']['api']}/{action}", json.dumps(parameters)
        signed = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json"})
        credentials = Credentials(self._record["access_key"], self._record["secret_key"])
        SigV4Auth(credentials, "api", self._record["region"]).add_auth(signed)
        connection = http.client.HTTPSConnection(urlsplit(url).netloc, context=self._context, timeout=CALL_LIMIT)
        try:
            connection.request("POST", urlsplit(url).path, body, dict(signed.headers))
            answer = connection.getresponse()
            found: dict[str, Any] = json.loads(answer.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ServerError(
                f"{action}: the sandbox does not answer ({error}); start it with: python -m sandbox start"
            ) from error
        finally:
            connection.close()
        if errors := found.get("Errors"):
            raise ServerError(f"{action}: {errors[0]['Code']} {errors[0]['Type']}: {errors[0]['Details']}")
        return found

    def one(self, kind: str, filters: str, value: str) -> dict[str, Any] | None:
        """Find a resource by a Read call and this filter: `one("Vm", "VmIds", ...)`."""
        found: list[dict[str, Any]] = self.call(f"Read{kind}s", Filters={filters: [value]})[f"{kind}s"]
        return found[0] if found else None


def launch(settings: SandboxSettings, given: argparse.Namespace) -> int:
    """Start a VM of an OMI, wait until somebody can log in, and print how."""
    account = _account_with(settings, "Image", given.omi)
    if account is None:
        raise ServerError(
            f"no account may launch an OMI with the id {given.omi}: `python -m sandbox status` lists those made here"
        )
    _ensure_key(account)
    ports = sorted({GUEST_SSH_PORT, *given.port})
    made = account.call(
        "CreateVms", ImageId=given.omi, KeypairName=NAME, SecurityGroupIds=[_ensure_group(account, ports)]
    )
    vm_id = str(made["Vms"][0]["VmId"])
    own = "" if settings.home == default_home() else f" --home {settings.home}"
    print(f"{vm_id} starts; remove it by: python -m sandbox{own} terminate {vm_id}", flush=True)
    address = _wait_running(account, vm_id)
    login = ["ssh", "-i", str(account.key_file), "-p", str(outer_port(GUEST_SSH_PORT)), *_SSH_OPTIONS]
    user = _wait_login(login, address, f"python -m sandbox{own} console {vm_id}")
    way_in = shlex.join([*login, f"{user or 'USER'}@{address}"])
    print(f"  {way_in}")
    if user is None:
        print(f"  USER is the image's own: it lets in none of {', '.join(USERS)}")
    for port in ports:
        if port != GUEST_SSH_PORT:
            scheme = "https" if port == http.client.HTTPS_PORT else "http"
            print(f"  {scheme}://{address}:{outer_port(port)}  (port {port} of the VM)")
    return 0


def terminate(settings: SandboxSettings, given: argparse.Namespace) -> int:
    """Delete a VM for good."""
    account = _account_with(settings, "Vm", given.vm)
    if account is None:
        raise ServerError(f"there is no VM {given.vm}; `python -m sandbox status` lists them")
    account.call("DeleteVms", VmIds=[given.vm])
    print(f"{given.vm} ends")
    return 0


def login_options(settings: SandboxSettings) -> list[str]:
    """The options of ssh to log in to a VM, with the keys of VMs that were launched here."""
    keys = sorted((settings.home / NAME).glob("*.pem"))
    return [*_SSH_OPTIONS, *(word for key in keys for word in ("-i", str(key)))]


def _account_with(settings: SandboxSettings, kind: str, resource_id: str) -> AccountClient | None:
    """The first account that sees the resource."""
    try:
        profiles = json.loads(settings.profiles_file.read_text())
    except FileNotFoundError:
        raise ServerError("the sandbox never ran here; start it with: python -m sandbox start") from None
    accounts = (AccountClient(settings, name, record) for name, record in profiles.items())
    return next((each for each in accounts if each.one(kind, f"{kind}Ids", resource_id)), None)


def _ensure_key(account: AccountClient) -> None:
    """The account's keypair, whose private key lies in the sandbox's home."""
    known = account.one("Keypair", "KeypairNames", NAME)
    if known and account.key_file.exists():
        return
    if known:
        account.call("DeleteKeypair", KeypairName=NAME)
    private = account.call("CreateKeypair", KeypairName=NAME)["Keypair"]["PrivateKey"]
    account.key_file.parent.mkdir(mode=0o700, exist_ok=True)
    account.key_file.unlink(missing_ok=True)
    with os.fdopen(os.open(account.key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(private)


def _ensure_group(account: AccountClient, ports: Sequence[int]) -> str:
    """Id of the security group that opens these ports to this machine."""
    name = "-".join([NAME, *map(str, ports)])
    group = account.one("SecurityGroup", "SecurityGroupNames", name)
    if group is None:
        group = account.call("CreateSecurityGroup", SecurityGroupName=name, Description="made by launch")[
            "SecurityGroup"
        ]
    group_id = str(group["SecurityGroupId"])
    for port in sorted(set(ports) - {rule["FromPortRange"] for rule in group["InboundRules"]}):
        rule = {"IpProtocol": "tcp", "FromPortRange": port, "ToPortRange": port, "IpRanges": [_HERE]}
        account.call("CreateSecurityGroupRule", SecurityGroupId=group_id, Flow="Inbound", Rules=[rule])
    return group_id


def _wait_running(account: AccountClient, vm_id: str) -> str:
    """The VM's address once it runs."""
    deadline = time.monotonic() + CALL_LIMIT
    while time.monotonic() < deadline:
        vm = account.one("Vm", "VmIds", vm_id) or {"State": "gone"}
        if vm["State"] == "running":
            return str(vm["PublicIp"])
        if vm["State"] != "pending":
            raise ServerError(f"{vm_id} is {vm['State']}: {vm.get('StateReason') or 'it did not start'}")
        time.sleep(0.2)
    raise ServerError(f"{vm_id} is still pending after {CALL_LIMIT:.0f} s")


def _wait_login(login: Sequence[str], address: str, console: str) -> str | None:
    """The user who can log in by SSH; None if SSH answers but refuses all of USERS."""
    print("waiting for its SSH", flush=True)
    deadline = time.monotonic() + BOOT_LIMIT
    denied: float | None = None
    while time.monotonic() < deadline:
        answers = {user: _login_error(login, f"{user}@{address}") for user in USERS[: None if denied else 1]}
        if user := next((user for user, error in answers.items() if error is None), None):
            return user
        if any("Permission denied" in (error or "") for error in answers.values()):
            denied = denied or time.monotonic()
            if time.monotonic() - denied > DENIED_LIMIT:
                return None
        time.sleep(1)
    raise ServerError(f"its SSH did not answer within {BOOT_LIMIT:.0f} s; see: {console}")


def _login_error(login: Sequence[str], target: str) -> str | None:
    """Why nobody can log in by SSH; None if somebody can."""
    try:
        done = subprocess.run(
            [*login, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=10", target, "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CALL_LIMIT,
            check=False,
            env=plain(*TERMINAL),
        )
    except FileNotFoundError:
        raise ServerError("ssh is missing: apt-get install openssh-client") from None
    except subprocess.TimeoutExpired:
        return "no answer"
    failed = 255
    return done.stderr if done.returncode == failed else None
