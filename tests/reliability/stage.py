"""Where the program is put to the test: a sandbox with stub VMs, an account for each worker, a copy of the program.

Every account holds what must survive whatever happens: images of the same stack, of another stack and of a foreign
hand, snapshots, volumes, keypairs, groups and a running VM with names and tags that look like a build's own. Each
worker also has an account of another Region, home of the image that it copies, with buckets that look like those
of a copy.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omi.build.guest_data import env_text, guest_values
from omi.build.origin import Origin
from omi.build.packer.inputs import run_folder
from omi.outscale.client import Cloud
from omi.outscale.oos import Mark, ObjectStore, prefix_of
from omi.profile.discover import expand_discovered
from omi.profile.load import load_profile
from omi.profile.model import Access
from omi.state.identity import DISK, Identity
from omi.state.image import BuildVm, CloudAccess, ImageRecord, ImageSpec, Limits, TakeOver
from omi.state.owner import build_id_of, entry_name
from omi.support.places import BUILD, in_region
from sandbox.cloud.faults import Fault
from sandbox.config import STUB_MACHINES, STUB_SOURCE, SandboxTiming
from tests.omi.outscale.conftest import access_of
from tests.omi.specs import make_record, make_spec, remade
from tests.reliability.warm import warm_python
from tests.sandbox.client import Oapi, Refused, Sandbox, empty_volume, launch, register, settings_for, snapshot

TOP = Path(__file__).resolve().parents[2]
COPIED = ("omi", "guest", "profiles")
LIMITS = Limits(connect=3, answer=4, vm_end=15, image=15, in_use=12, power_off=10, command=30, transfer=15)
"""Short, so that what never ends is seen to be ended."""
COMMAND_LIMIT = 400.0
HERE, HOME = "eu-west-2", "us-east-2"
"""The Regions of a worker's two accounts: where everything is made, and from where images are copied."""
OTHER = "b-0000000000000000"
SETTLING = frozenset({"pending", "stopping", "shutting-down", "creating", "deleting", "in-queue"})

Resources = dict[str, dict[str, dict[str, Any]]]
"""By kind (`home image`: of the account that images are copied from) and id: name, state, tags."""


@dataclass(frozen=True)
class Ended:
    """How a command ended; `said` is its standard error."""

    code: int
    output: str
    said: str
    seconds: float

    @property
    def last(self) -> str:
        """The last line for a person."""
        lines = [line for line in self.said.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    @property
    def is_clean(self) -> bool:
        """Whether it succeeded, or failed with one line of the program's own that says why."""
        if self.code == 0:
            return True
        return self.last.startswith("error: ") and "unexpected" not in self.last and "Traceback" not in self.said


class Stage:
    """One sandbox and one copy of the program for `workers` workers."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        for name in COPIED:
            shutil.copytree(TOP / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        plain = settings_for(folder / "cloud")
        settings = replace(
            plain, machines=STUB_MACHINES, source=STUB_SOURCE, timing=SandboxTiming.uniform(0.0), extra_accounts=workers
        )
        self.sandbox = Sandbox(settings)
        self._parts = ExitStack()
        self._parts.callback(self.sandbox.close)
        self.python = self._parts.enter_context(warm_python(self.folder))
        """What runs the program's commands."""
        self._policies: dict[str, Any] = {}
        self._guard = threading.Lock()
        self.booths = [Booth(self, f"extra-{number}") for number in range(1, workers + 1)]

    def close(self) -> None:
        self._parts.close()

    def allow(self, profile: str, rights: Sequence[str] | None) -> None:
        """Give the account's key these rights; the others keep theirs."""
        with self._guard:
            self._policies.pop(profile, None)
            if rights is not None:
                statement = {"Effect": "Allow", "Action": list(rights), "Resource": ["*"]}
                self._policies[profile] = {"Statement": [statement]}
            self.sandbox.control("PUT", "policies", self._policies)

    def inventory(self) -> dict[str, Any]:
        inventory: dict[str, Any] = self.sandbox.control("GET", "inventory")
        return inventory


@contextmanager
def staged(folder: Path, workers: int) -> Iterator[Stage]:
    """A stage that is gone afterwards."""
    stage = Stage(folder, workers)
    try:
        yield stage
    finally:
        stage.close()


class Booth:
    """One worker's account, with what must stay in it, and the image that it builds."""

    def __init__(self, stage: Stage, profile: str) -> None:
        self.stage, self.profile = stage, profile
        self.accounts = {HERE: profile, HOME: f"{profile}-us"}
        """Profile by Region."""
        self.oapi, self.home = (stage.sandbox.oapi(each) for each in self.accounts.values())
        self.account = stage.sandbox.account_id(profile)
        self.spec = self._spec(f"alpine-3.23.6-x86_64-{profile}")
        self.identity = Identity(self.spec)
        resource = in_region(self.spec.name, HERE)
        self.copied = remade(self.spec, copy_from=self._home_access()).model_copy(update={"resource": resource})
        """The same image, copied instead of being built."""
        self.store = ObjectStore(self._home_access(), Cloud.connect(self._home_access()).credentials)
        self.releases = stage.folder / f"releases-{profile}"
        self._log: str | None = None
        self._decorate()
        self.source, self.digest = self._make_source()
        self.kept = self.resources()

    def _spec(self, name: str) -> ImageSpec:
        build = expand_discovered(load_profile("alpine", TOP / "profiles"), ["3.23"]).builds[-1]
        return make_spec(
            stack="reliability",
            name=name,
            digest="sha256:" + "5" * 64,
            build=build,
            access=Access(accounts=("210987654321",)),
            cloud=access_of(self.stage.sandbox, self.profile).model_copy(update={"limits": LIMITS}),
            vm=BuildVm(ssh_port=2222, timeout=75, verify_timeout=30, accept_stubs=True),
            releases_dir=f"releases-{self.profile}",
        )

    def _home_access(self) -> CloudAccess:
        reached = access_of(self.stage.sandbox, self.accounts[HOME])
        oos = self.stage.sandbox.settings.addresses.oos_endpoint
        return reached.model_copy(update={"limits": LIMITS, "oos": oos})

    # --- what must stay --------------------------------------------------------------------------------------

    def _decorate(self) -> None:
        other = {"project": "alpine-omi", "stack": "reliability", "stack-id": "another", "build-id": OTHER}
        earlier = Identity(self._spec(f"{self.spec.name}-earlier"))
        self.make_image(earlier.spec.name, dict(earlier.tags), earlier.description)
        self.make_image(f"{self.spec.name}-r1", other | {"digest": self.spec.digest}, f"of another stack ({OTHER})")
        self.make_image(f"{self.spec.name}-copy", {}, "by hand")
        volume = empty_volume(self.oapi)
        self.tag(volume, other)
        self.tag(snapshot(self.oapi, volume, "Packer: of another one"), other)
        snapshot(self.oapi, volume, "by hand")
        unknown = entry_name(self.spec.owner, OTHER)
        others = f"alpine-omi-another-{OTHER}"
        keys = (
            f"{others}-build",
            f"{unknown}-build",
            f"{self.identity.build_key}-2",
            self.identity.group,
            "packer_5f1e",
        )
        for name in keys:
            self.oapi.call("CreateKeypair", KeypairName=name)
        for name in (others, unknown, f"{self.identity.group}-2", "packer_osc_5f1e"):
            self.oapi.call("CreateSecurityGroup", SecurityGroupName=name, Description="another's")
        self.tag(launch(self.oapi, KeypairName=keys[0]), other | {"Name": f"{self.spec.name} build"})

    def _make_source(self) -> tuple[tuple[str, str], str]:
        """What is copied, and the digest of its disk; besides it what looks like that or a copy's buckets."""
        run, mine = _run_of(self.copied)
        self.store.create(run, mine.model_copy(update={"stack_id": "another"}))
        self.store.create(build_id_of(self.spec.owner, "another").removeprefix("b-"), mine)
        for bucket in (f"{prefix_of(run)}by-hand", f"{self.profile}-by-hand"):
            self.store.call(self.store.s3.create_bucket, Bucket=bucket)
            self.store.put(bucket, "export/precious", b"by hand")
        self.make_image(f"{self.spec.name}-copy", {}, "by hand", self.home)
        tags = {
            "project": "alpine-omi",
            "stack": "reliability",
            "stack-id": "another",
            "build-id": OTHER,
            "digest": self.spec.digest,
        }
        self.make_image(f"{self.spec.name}-r1", tags, f"of another stack ({OTHER})", self.home)
        omi, taken = self.make_image(self.spec.name, dict(self.identity.tags), self.identity.description, self.home)
        return (omi, taken), f"sha256:{hashlib.sha256(self.disk_of(taken)).hexdigest()}"

    def leave_bucket(self, spec: ImageSpec | None = None) -> None:
        """What a killed copy leaves: a bucket with what was exported."""
        bucket = self.store.create(*_run_of(spec or self.copied))
        self.store.put(bucket, "export/disk", b"left")

    def copied_by(self, store: str | None) -> ImageSpec:
        """The spec of the copy, by another object store's URL perhaps."""
        if store is None or self.copied.copy_from is None:
            return self.copied
        return remade(self.copied, copy_from=self.copied.copy_from.model_copy(update={"oos": store}))

    def taking_over(self, omi: str) -> ImageSpec:
        """The spec of someone else's image that is to be the stack's own."""
        check = TakeOver(omi=omi, login="alpine", vm=self.spec.vm)
        return self.spec.model_copy(
            update={"description": "by hand", "bootstrap": None, "user": None, "recipe": None, "take_over": check}
        )

    def disk_of(self, snapshot: str) -> bytes:
        """What the sandbox's own store holds of a snapshot."""
        return (self.stage.sandbox.settings.home / "volumes" / f"{snapshot}.json").read_bytes()

    def tag(self, resource: str, tags: dict[str, str], account: Oapi | None = None) -> None:
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        if pairs:
            (account or self.oapi).call("CreateTags", ResourceIds=[resource], Tags=pairs)

    def make_image(
        self, name: str, tags: dict[str, str], description: str, account: Oapi | None = None
    ) -> tuple[str, str]:
        """An OMI as a stub build VM leaves it, and its snapshot."""
        oapi = account or self.oapi
        volume = empty_volume(oapi)
        disk = self.stage.sandbox.settings.home / "volumes" / f"{volume}.json"
        values = guest_values(self.spec, Origin(commit="unknown", tools={}))
        disk.write_text(json.dumps({"settings": env_text(values)}), encoding="utf-8")
        taken = snapshot(oapi, volume)
        oapi.call("DeleteVolume", VolumeId=volume)
        omi = register(oapi, name, taken, Description=description)
        for resource in (omi, taken):
            self.tag(resource, tags, oapi)
        return omi, taken

    # --- what is there ---------------------------------------------------------------------------------------

    def resources(self) -> Resources:
        """All of the account, once nothing of it is on its way from one state to another."""
        end = time.monotonic() + 10
        while True:
            inventory = self.stage.inventory()
            here, home = (inventory[profile]["resources"] for profile in self.accounts.values())
            listed = here | {f"home {kind}": entries for kind, entries in home.items()}
            found = {kind: {each["id"]: _steady(kind, each) for each in entries} for kind, entries in listed.items()}
            found["home bucket"] = self._buckets()
            states = {each.get("state") for kind in found.values() for each in kind.values()}
            if not states & SETTLING or time.monotonic() > end:
                return found
            time.sleep(0.05)

    def _buckets(self) -> dict[str, dict[str, Any]]:
        buckets = self.stage.sandbox.control("GET", "buckets").get(self.accounts[HOME], {})
        return {name: {"id": name, "name": name, "tags": {}, "keys": keys} for name, keys in buckets.items()}

    def told_digests(self) -> list[str | None]:
        """The tags of the image to be copied and its snapshot that tell its disk's digest."""
        home = self.stage.inventory()[self.accounts[HOME]]["resources"]
        listed = {each["id"]: each["tags"].get(DISK) for kind in ("image", "snapshot") for each in home[kind]}
        return [listed.get(each) for each in self.source]

    def permissions(self, omi: str) -> dict[str, Any]:
        found: dict[str, Any] = self.oapi.call("ReadImages", Filters={"ImageIds": [omi]})["Images"][0]
        return dict(found["PermissionsToLaunch"])

    def set_faults(self, *faults: dict[str, Any]) -> None:
        """These and no others for its two accounts, that of HERE where none names a Region; what was stuck goes on."""
        made = [Fault.model_validate({**each, "profile": self.accounts[each.get("region", HERE)]}) for each in faults]
        for profile in self.accounts.values():
            mine = [each for each in made if each.profile == profile]
            self.stage.sandbox.server.cloud.faults.replace(mine, profile)

    def allow(self, rights: Sequence[str] | None, region: str = HERE) -> None:
        """Make an account's key that of an EIM user who may call these alone (`api:ReadVms`); None: all again."""
        self.stage.allow(self.accounts[region], rights)

    def faults_left(self) -> list[Fault]:
        current = self.stage.sandbox.server.cloud.faults.current()
        return [each for each in current if each.profile in self.accounts.values()]

    def calls(self) -> list[dict[str, Any]]:
        """Every call that its accounts have made, in order, each with its `region`."""
        regions = {profile: region for region, profile in self.accounts.items()}
        made = self.stage.sandbox.control("GET", "calls")
        return [each | {"region": regions[each["profile"]]} for each in made if each["profile"] in regions]

    def local_keys(self) -> list[str]:
        """Private keys that a build left on this machine."""
        # not by rglob, which raises where another worker's folder goes while it looks
        found = (Path(top) / name for top, _, names in os.walk(self.stage.folder / "build") for name in names)
        return [str(path) for path in found if path.name.startswith(f"alpine-omi-{self.identity.build_id}")]

    def clear(self) -> None:
        """Remove all but what must stay; put back nothing, since a loss is what is looked for."""
        self.set_faults()
        new = {kind: set(found) - set(self.kept[kind]) for kind, found in self.resources().items()}
        for vm in new["vm"]:
            self.oapi.call("DeleteVms", VmIds=[vm])
        self.resources()
        for image in new["image"]:
            self.oapi.call("DeleteImage", ImageId=image)
        for kind, action, key in (
            ("snapshot", "DeleteSnapshot", "SnapshotId"),
            ("volume", "DeleteVolume", "VolumeId"),
            ("keypair", "DeleteKeypair", "KeypairId"),
            ("security-group", "DeleteSecurityGroup", "SecurityGroupId"),
        ):
            for each in new[kind] & set(self.resources()[kind]):
                self.oapi.call(action, **{key: each})
        for bucket in new["home bucket"]:
            self.store.delete(bucket)
        for spec in (self.spec, self.copied):
            shutil.rmtree(run_folder(self.stage.folder / BUILD, spec).path, ignore_errors=True)

    def log_of_a_build(self) -> str:
        """Packer's log of a build of its image, which is made once; the account is cleared then."""
        if self._log is None:
            ended = self.run("build")
            assert ended.code == 0, ended.said
            self._log = run_folder(self.stage.folder / BUILD, self.spec).packer_log.read_text(encoding="utf-8")
            self.clear()
        return self._log

    def leave_run(self, omi: str, log: str) -> None:
        """Leave the run folder as if this machine had just built the OMI."""
        folder = run_folder(self.stage.folder / BUILD, self.spec)
        folder.path.mkdir(parents=True)
        folder.packer_log.write_text(log, encoding="utf-8")
        folder.manifest.write_text(json.dumps({"builds": [{"artifact_id": f"{HERE}:{omi}"}]}), encoding="utf-8")

    def forget_digest(self) -> None:
        """Make the image at home one that was not copied yet."""
        with suppress(Refused):
            self.home.call("DeleteTags", ResourceIds=list(self.source), Tags=[{"Key": DISK, "Value": self.digest}])

    # --- what is run -----------------------------------------------------------------------------------------

    def run(self, verb: str, spec: ImageSpec | None = None, record: ImageRecord | None = None) -> Ended:
        """Run `python -m omi.commands VERB` as the stack's resource does; ended with all of it at COMMAND_LIMIT."""
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("OSC_", "AWS_", "PULUMI_"))}
        keep["PULUMI_COMMAND_STDOUT"] = record.to_json() if record else ""
        start = time.monotonic()
        try:
            done = subprocess.run(
                [str(self.stage.python), "-m", "omi.commands", verb],
                cwd=self.stage.folder, env=keep, input=(spec or self.spec).to_json(),
                capture_output=True, text=True, timeout=COMMAND_LIMIT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            said = (late.stderr or b"").decode(errors="replace")
            return Ended(-1, "", f"{said}\nno end after {COMMAND_LIMIT:.0f} s", time.monotonic() - start)
        return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - start)

    def record_of(self, omi: str, snapshots: tuple[str, ...], claim: str | None = None) -> ImageRecord:
        """What state would hold of it."""
        return make_record(name=self.spec.name, omi=omi, snapshots=snapshots, account=self.account, claim=claim)


def _run_of(spec: ImageSpec) -> tuple[str, Mark]:
    """What the buckets of an image's copy are named after, and what they say of themselves."""
    run = build_id_of(spec.owner, spec.run).removeprefix("b-")
    return run, Mark(stack_id=spec.stack_id, run=spec.run)


def _steady(kind: str, resource: dict[str, Any]) -> dict[str, Any]:
    """Without the digest that a copy puts on the image that it copies."""
    tags = {key: value for key, value in resource["tags"].items() if key != DISK or not kind.startswith("home ")}
    return {**resource, "tags": tags}
