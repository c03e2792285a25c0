"""A project on stub VMs with an account full of other people's things, and what must be true of both after a run."""

from __future__ import annotations

import json
import os
import re
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omi.publish.store import LOCK
from omi.state.identity import Identity
from omi.state.ledger import Ledger, read_ledger, resources_of_export
from sandbox.config import Addresses
from tests.e2e.project import Project
from tests.reliability.processes import Process, descendants, kill_all
from tests.sandbox.client import JSON_BODY, Oapi, empty_volume, launch, register, snapshot, wait_state

STACK = "e2e"
BUILD = "v3_23-x86_64"
STEP = "0.3"
"""Seconds that each change of a state takes in the cloud, so that a moment can lie in the middle of it."""
SLOW = 0.25
"""Seconds that a call takes in the phases that would else be over in a moment (verify, prune, copy)."""
ACCOUNTS = {"eu-west-2": "main", "us-east-2": "main-us"}
"""Profile of the account that the stack uses in a Region: its home Region, and the one that images are carried to."""
_VOLATILE = ("state", "State")
"""Of a decoy: a power loss of the whole machine stops its VMs, too."""
_SECRET = b"PRIVATE KEY"

Inventory = dict[str, dict[str, list[dict[str, Any]]]]
"""Account profile to kind to resources."""


@dataclass(frozen=True)
class Seen:
    """State and account at one moment."""

    ledger: Ledger
    pending: tuple[str, ...]
    """Operations that the engine holds for unfinished."""
    account: Inventory

    @property
    def newest(self) -> str:
        """The digest of the build's newest image."""
        return self.ledger.images[-1].spec.digest if self.ledger.images else ""

    @property
    def names(self) -> set[str]:
        """Of the images that state holds."""
        return {image.name for image in self.ledger.images}


class Arena:
    """One project, one sandbox, decoys in two accounts; `change` gives the build new content."""

    def __init__(self, folder: Path, base_port: int) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.project = Project(folder / "p", folder / "c", base_port, stubs=True)
        self.decoys: Inventory = {}
        self._contents = 0

    def environment(self) -> dict[str, str]:
        """As a person's shell has it, with temporary files and caches of its own."""
        if not hasattr(self, "_environment"):
            self._environment = {
                **self.project.environment(),
                "TMPDIR": str(self.temporary),
                "ALPINE_OMI_CACHE": str(self.folder / "cache"),
            }
        return self._environment

    def set_up(self) -> None:
        """Start the cloud, put decoys into it, and give the stack its first image."""
        self.start_cloud()
        self.project.edit_profile("v3_22-x86_64", None)
        assert self.project.pulumi("stack", "init", STACK).code == 0
        self.keep(50)
        _Decoys(self.project).make()
        self.decoys = self.inventory()

    def start_cloud(self) -> None:
        """Start the sandbox; harmless if it runs."""
        started = self.project.start_cloud("--step", STEP)
        assert started.code == 0, started.end

    def close(self) -> None:
        """End the sandbox."""
        self.project.sandbox("stop")

    def cloud_pids(self) -> set[int]:
        """The sandbox's own processes, which are not part of a run."""
        return {each.pid for each in descendants(os.getpid()) if "sandbox" in each.arguments[1:3]}

    def all_processes(self) -> list[Process]:
        """What is left of a run, whoever its parent is by now."""
        return descendants(os.getpid(), self.cloud_pids())

    def run_processes(self) -> list[Process]:
        """The same without the language hosts whose CLI has gone: Pulumi has these look for it each five minutes."""
        return [each for each in self.all_processes() if not _is_lone_host(each)]

    def end_lone_hosts(self) -> int:
        """End these; how many there were."""
        return kill_all(lambda: [each for each in self.all_processes() if _is_lone_host(each)])

    def change(self) -> None:
        """Give the build other content, by a file that goes into every image."""
        self._contents += 1
        script = self.project.folder / "guest" / "build.sh"
        text = script.read_text(encoding="utf-8").rpartition("# content ")[0] or script.read_text(encoding="utf-8")
        script.write_text(f"{text.rstrip()}\n# content {self._contents}\n", encoding="utf-8")

    def keep(self, revisions: int) -> None:
        """How many revisions of a release stay."""
        self.project.configure("retention", {"revision": {"keep": revisions}, "allow_mass_prune": ["all"]})

    def calls(self, since: int) -> list[dict[str, Any]]:
        """The sandbox's calls after that number."""
        url = f"http://127.0.0.1:{self.project.base_port + 1}/_sandbox/calls?since={since}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            calls: list[dict[str, Any]] = json.load(answer)
        return calls

    def leave_orphans(self) -> None:
        """What a killed build of the newest image would leave: a VM, a volume, a snapshot, a keypair and a group."""
        identity = Identity(self.look().ledger.images[-1].spec)
        account = account_of(self.project, "main")
        group = account.call("CreateSecurityGroup", SecurityGroupName=identity.group, Description="left")
        account.call("CreateKeypair", KeypairName=identity.build_key)
        groups = [group["SecurityGroup"]["SecurityGroupId"]]
        vm = launch(account, SecurityGroupIds=groups, KeypairName=identity.build_key)
        volume = empty_volume(account)
        account.call("LinkVolume", VolumeId=volume, VmId=vm, DeviceName="/dev/sdb")
        pairs = [{"Key": key, "Value": value} for key, value in identity.run_tags.items()]
        account.call("CreateTags", ResourceIds=[vm, volume, snapshot(account, volume)], Tags=pairs)

    def releases(self) -> dict[str, bytes]:
        """The stack's releases files, by name."""
        top = self.project.folder / "releases"
        return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}

    def slow_down(self, slow: bool) -> None:
        """Have calls take so long that moments between them can be met."""
        faults = [{"action": "*", "face": face, "delay": SLOW, "times": -1} for face in ("oapi", "oos")] if slow else []
        url = f"http://127.0.0.1:{self.project.base_port + 1}/_sandbox/faults"
        body = json.dumps(faults).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, JSON_BODY, method="PUT"), timeout=10) as answer:
            assert answer.status == 200

    def inventory(self) -> Inventory:
        """Every resource of every account."""
        buckets = self.project.control("buckets")
        return {
            name: {**account["resources"], "bucket": [{"id": each} for each in buckets.get(name, ())]}
            for name, account in self.project.inventory().items()
        }

    def look(self) -> Seen:
        """What state and account hold."""
        file = self.project.folder / "backend" / ".pulumi" / "stacks" / "alpine-omi" / f"{STACK}.json"
        latest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["checkpoint"]["latest"] or {}
        pending = tuple(
            f"{operation['type']} {operation['resource']['urn'].rpartition('::')[2]}"
            for operation in latest.get("pending_operations") or ()
        )
        return Seen(read_ledger(resources_of_export(latest)), pending, self.inventory())

    def problems(self, seen: Seen) -> Iterator[str]:
        """What is wrong with an account and a state that should be at rest."""
        yield from self._missing_decoys(seen)
        for account, kinds in self._ours(seen).items():
            records = [each.record for each in seen.ledger.images if ACCOUNTS[each.region] == account]
            held = {
                "image": {record.omi for record in records},
                "snapshot": {each for record in records for each in record.snapshots},
            }
            for kind, ids in kinds.items():
                wanted = held.get(kind, set())
                yield from (f"left behind: {kind} {each} in {account}" for each in sorted(ids - wanted))
                yield from (f"lost: {kind} {each}, which state holds" for each in sorted(wanted - ids))
        yield from (f"image {image.name} is in state unverified" for image in seen.ledger.images if not _sound(image))
        digests = [(image.region, image.spec.digest) for image in seen.ledger.images]
        if len(set(digests)) < len(digests):
            yield "the same content was built twice"
        yield from self._files()
        yield from (f"process left: {each}" for each in self.run_processes())

    def _ours(self, seen: Seen) -> dict[str, dict[str, set[str]]]:
        return {
            account: {
                kind: {_id(each) for each in found} - {_id(each) for each in self.decoys[account][kind]}
                for kind, found in kinds.items()
            }
            for account, kinds in seen.account.items()
        }

    def _missing_decoys(self, seen: Seen) -> Iterator[str]:
        for account, kinds in self.decoys.items():
            for kind, decoys in kinds.items():
                there = {_id(each): each for each in seen.account[account][kind]}
                for decoy in decoys:
                    now = there.get(_id(decoy))
                    if now is None:
                        yield f"another's {kind} {_id(decoy)} in {account} is gone"
                    elif _steady(now) != _steady(decoy):
                        yield f"another's {kind} {_id(decoy)} in {account} was changed"

    def _files(self) -> Iterator[str]:
        """Private keys anywhere, and what a run keeps only while it lasts."""
        for top in (self.project.folder / "build", self.project.folder / "releases", self.temporary):
            for path in top.rglob("*"):
                where = path.relative_to(self.folder)
                if re.fullmatch("packer-.*|alpine-omi-.*-(build|verify)", path.name):
                    yield f"file left: {where}"
                elif path.is_file() and path.stat().st_size < 100_000 and _SECRET in path.read_bytes():
                    yield f"private key left: {where}"
                elif path.name.startswith(".") and path.name != LOCK and top.name == "releases":
                    yield f"half-written file left: {where}"

    def forget_temporaries(self) -> list[str]:
        """Remove what Pulumi itself left in TMPDIR; returns the names."""
        names = sorted(path.name for path in self.temporary.iterdir())
        shutil.rmtree(self.temporary)
        self.temporary.mkdir()
        return names


def _is_lone_host(process: Process) -> bool:
    return process.program == "pulumi-language-python" and process.parent == os.getpid()


def _sound(image: Any) -> bool:
    return bool(image.record.verified and not image.record.adopted)


def _id(resource: dict[str, Any]) -> str:
    return str(resource.get("id") or resource.get("name"))


def _steady(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key not in _VOLATILE}


def account_of(project: Project, profile: str) -> Oapi:
    """A client of one of the sandbox's accounts."""
    profiles = json.loads((project.home / "osc.json").read_text(encoding="utf-8"))
    return Oapi(profiles[profile], Addresses(project.base_port), project.home / "ca.pem")


class _Decoys:
    """Things of other owners that look like a run's own: names, tags, sources."""

    def __init__(self, project: Project) -> None:
        self._main, self._us, self._second = (account_of(project, name) for name in ("main", "main-us", "second"))

    def make(self) -> None:
        """In the stack's own accounts those of another stack and of nobody, in another account those of this stack."""
        for account in (self._main, self._us):
            self._fill(account, {"project": "alpine-omi", "stack": "another", "build-id": "b-ffffffffffffffff"})
        self._fill(self._second, {"project": "alpine-omi", "stack": STACK, "build-id": "b-eeeeeeeeeeeeeeee"})
        name = "alpine-3.23.6-x86_64-r0-not-mine"
        plain = empty_volume(self._main)
        register(self._main, name, snapshot(self._main, plain, name))

    def _fill(self, account: Oapi, tags: dict[str, str]) -> None:
        mark = tags["build-id"]
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        group = account.call(
            "CreateSecurityGroup", SecurityGroupName=f"alpine-omi-another-{mark}", Description="another's"
        )
        account.call("CreateSecurityGroup", SecurityGroupName=f"packer_osc_{mark}", Description="another's")
        for key in (f"alpine-omi-another-{mark}-build", f"packer_{mark}"):
            account.call("CreateKeypair", KeypairName=key)
        vm = launch(
            account,
            KeypairName=f"alpine-omi-another-{mark}-build",
            SecurityGroupIds=[group["SecurityGroup"]["SecurityGroupId"]],
        )
        volume = empty_volume(account)
        taken = snapshot(account, volume, "another's")
        image = register(account, f"alpine-3.23.6-x86_64-r0-{mark}", taken, Description=f"another's ({mark})")
        wait_state(account, image, "available")
        account.call("CreateTags", ResourceIds=[vm, volume, taken, image], Tags=pairs)
