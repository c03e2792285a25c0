"""A stack with verified images in an account full of near misses, made anew for each case; and what must hold after it.

The images are only registered: no VM ever ran for them. State, profile, config and releases files are those of a real
stack, with the ids of the case's own account put in their place.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from omi.state.identity import Identity
from omi.state.ledger import Ledger, read_ledger, resources_of_export
from omi.state.owner import CLAIM, STACK_ID, VERIFIED
from sandbox.config import STUB_MACHINES, STUB_SOURCE, SandboxTiming
from tests.e2e.held import STACK, HeldProject, offer
from tests.e2e.project import Project, Result
from tests.omi.upstream.site import Site, serving
from tests.sandbox.client import Oapi, Sandbox, empty_volume, launch, register, settings_for, snapshot, wait_for

OLD, NEW = "3.23.9", "3.23.10"
KEPT = ("backend", "stacks", "profiles", "releases")
"""Folders of the project that a case begins with as the first stack left them."""
COMMAND = "command:local:Command"
_LIMIT = 240
_VOLATILE = frozenset({"state"})
_LEAVING = frozenset({"deleting", "shutting-down", "terminated"})
_NO_NAME_OF_OURS = "b-ffffffffffffffff"


def name_of(build: str, release: str = NEW) -> str:
    """The OMI's name of a build's image."""
    return f"{build}-{release}-x86_64-r0"


class _Project(Project):
    """Its environment is read once, with a cache of its own."""

    @cached_property
    def _environment(self) -> dict[str, str]:
        return {**super().environment(), "ALPINE_OMI_CACHE": str(self.folder / "cache")}

    def environment(self) -> dict[str, str]:
        return self._environment


@dataclass
class Ring:
    """One sandbox, and the first stack's files; each round has an account of its own, each worker a place."""

    sandbox: Sandbox
    folder: Path
    images: tuple[dict[str, Any], ...] = ()
    """The images as OAPI shows them in the first account."""
    recorded: Path | None = None
    """Where an earlier version's first stack lies (tests.formats); None if this version makes it."""
    _rounds: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def template(self) -> Path:
        """What a round begins with."""
        return self.recorded or self.folder / "t"

    @property
    def surroundings(self) -> dict[str, str]:
        """What files have of this sandbox alone, by the name that a recording has instead."""
        settings = self.sandbox.settings
        ports = {f":@PORT+{n}@": f":{settings.addresses.base_port + n}" for n in range(4)}
        return {"@HOME@": str(settings.home), **ports}

    def set_up(self, place: Place) -> None:
        """Make the first stack: two builds with two verified images each; those of build `one` are public."""
        project, oapi = place.project, self.sandbox.oapi("main")
        held = HeldProject(project, self.sandbox, place.site, empty_volume(oapi))
        assert project.pulumi("stack", "init", STACK).code == 0
        held.hold("one", "two", releases=(OLD, NEW))
        held.call_own(claim="c1a1m0000000beef")
        own = {"AccountIds": [self.sandbox.account_id()]}
        names = {image["ImageName"]: image["ImageId"] for image in oapi.call("ReadImages", Filters=own)["Images"]}
        for image in ledger_in(project.folder / "backend").images:
            omi = names[image.name]
            held.tag(omi, {CLAIM: "c1a1m0000000beef", VERIFIED: "yes"})
            oapi.call("UpdateImage", ImageId=omi, Description=Identity(image.spec).described(verified=True))
        profile = project.folder / "profiles" / "alpine.yaml"
        content = yaml.safe_load(profile.read_text(encoding="utf-8"))
        content["builds"]["one"]["access"] = {"public": True}
        profile.write_text(yaml.safe_dump(content), encoding="utf-8")
        held.pulumi("up", "--yes", "--skip-preview")
        assert {step["action"] for step in held.plan().values()} == {"keep"}
        self.images = tuple(oapi.call("ReadImages", Filters=own)["Images"])
        for name in KEPT:
            shutil.copytree(project.folder / name, self.template / name)
        for path in (self.template / "backend").rglob("*.attrs"):
            path.unlink()  # sums of what is written anew

    @contextmanager
    def place(self, name: str) -> Iterator[Place]:
        """A worker's."""
        with serving() as site:
            project = _Project(self.folder / name, self.folder / "c", self._port, stubs=True)
            project.configure("upstream", site.settings.model_dump())
            vm = project.configured("vm")
            project.configure(
                "vm", {key: vm[key] for key in vm if key != "trusted_keys"}
            )  # of a mirror that isn't there
            made = Place(self, project, site)
            made.offer(NEW)
            yield made

    @property
    def _port(self) -> int:
        return self.sandbox.settings.addresses.base_port

    def account(self) -> str:
        """The profile of one that nobody used."""
        return f"extra-{next(self._rounds)}"


@dataclass(frozen=True)
class Place:
    """A worker's project, and the Alpine that it sees."""

    ring: Ring
    project: _Project
    site: Site

    def offer(self, release: str) -> None:
        """Make Alpine's newest release of 3.23 be this one."""
        offer(self.site, release)

    def begin(self) -> Round:
        """A new round in an account that nobody used."""
        made = Round(self, self.ring.account())
        made.prepare()
        return made


def ledger_in(backend: Path, stack: str = STACK) -> Ledger:
    """What a file backend's state holds."""
    path = backend / ".pulumi" / "stacks" / "alpine-omi" / f"{stack}.json"
    if not path.exists():
        return Ledger()
    return read_ledger(resources_of_export(json.loads(path.read_text(encoding="utf-8"))["checkpoint"]["latest"] or {}))


@dataclass
class Round:
    """One case's account and project, and what happened in it."""

    place: Place
    profile: str
    stack: str = STACK
    backend: str = "backend"
    environment: dict[str, str] = field(default_factory=dict)
    """What the person's shell sets besides."""
    ids: dict[str, str] = field(default_factory=dict)
    """OMI id by name, of the stack's verified images."""
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Everything else in the account at the beginning, by id."""
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the person made by hand in this round, by id."""
    strike: tuple[signal.Signals, str] | None = None
    """A signal for the next command of Pulumi, once it is in this call."""
    said: list[str] = field(default_factory=list)
    last: Result = field(default_factory=lambda: Result(0, ""))

    # --- the beginning ---------------------------------------------------------------------------------------

    @property
    def ring(self) -> Ring:
        return self.place.ring

    @property
    def project(self) -> _Project:
        return self.place.project

    @cached_property
    def oapi(self) -> Oapi:
        """The case's own account."""
        return self.ring.sandbox.oapi(self.profile)

    def prepare(self) -> None:
        """Register the images, put their ids into state, config and files, and add the near misses."""
        account = self.ring.sandbox.account_id(self.profile)
        changed = {self.ring.images[0]["AccountId"]: account, **self.ring.surroundings}
        volume = empty_volume(self.oapi)
        for image in self.ring.images:
            taken = snapshot(self.oapi, volume)
            omi = register(self.oapi, image["ImageName"], taken, Description=image["Description"])
            self.tag([omi, taken], {tag["Key"]: tag["Value"] for tag in image["Tags"]})
            if image["PermissionsToLaunch"]["GlobalPermission"]:
                everyone = {"Additions": {"GlobalPermission": True}}
                self.oapi.call("UpdateImage", ImageId=omi, PermissionsToLaunch=everyone)
            old = image["BlockDeviceMappings"][0]["Bsu"]["SnapshotId"]
            changed |= {image["ImageId"]: omi, old: taken}
            self.ids[image["ImageName"]] = omi
        self.oapi.call("DeleteVolume", VolumeId=volume)
        for name in (*KEPT, "build", "second"):
            shutil.rmtree(self.project.folder / name, ignore_errors=True)
        for name in KEPT:
            shutil.copytree(self.ring.template / name, self.project.folder / name)
        whose = re.compile(r'(osc_profile(?:\\*")?:\s*(?:\\*")?)main\b')
        for top in ("backend", "releases", "stacks"):
            for path in (self.project.folder / top).rglob("*"):
                if path.is_file():
                    text = path.read_text(encoding="utf-8")
                    for old, new in changed.items():
                        text = text.replace(old, new)
                    path.write_text(whose.sub(rf"\g<1>{self.profile}", text), encoding="utf-8")
        self.project.configure("upstream", self.place.site.settings.model_dump())
        self.place.offer(NEW)
        self._add_near_misses()
        verified = {*self.ids.values(), *(self.snapshot_of(omi) for omi in self.ids.values())}
        self.before = {key: thing for key, thing in self.things().items() if key not in verified}

    def _add_near_misses(self) -> None:
        """Things of others that look much like the stack's own."""
        volume = empty_volume(self.oapi)
        tags = self.tags_of(self.ids[name_of("one")])
        others = {**tags, STACK_ID: "another", "build-id": _NO_NAME_OF_OURS}
        for name, worn in ((f"{name_of('one')}-copy", {}), (f"{name_of('two')}-mine", others), ("by hand", {})):
            taken = snapshot(self.oapi, volume, name)
            self.tag([register(self.oapi, name, taken, Description=f"of another ({_NO_NAME_OF_OURS})"), taken], worn)
        self.tag([volume], others)
        snapshot(self.oapi, volume, "by hand")
        for name in (f"alpine-omi-another-{_NO_NAME_OF_OURS}-build", "packer_5f1e"):
            self.oapi.call("CreateKeypair", KeypairName=name)
        self.oapi.call(
            "CreateSecurityGroup", SecurityGroupName=f"alpine-omi-another-{_NO_NAME_OF_OURS}", Description="another's"
        )
        self.tag([launch(self.oapi, KeypairName="packer_5f1e")], others)

    # --- what a person, the cloud or bad luck does -----------------------------------------------------------

    def adopt(self, made: Sequence[str]) -> None:
        """Count these among what must not change."""
        things = self.things()
        self.own |= {key: things[key] for key in made}

    def known(self) -> set[str]:
        """Ids of the stack's images and of their snapshots."""
        there = [omi for omi in self.ids.values() if self.image(omi) is not None]
        return {*there, *(self.snapshot_of(omi) for omi in there)}

    def tag(self, resources: Sequence[str], tags: Mapping[str, str]) -> None:
        """Put tags on."""
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        if pairs:
            self.oapi.call("CreateTags", ResourceIds=list(resources), Tags=pairs)

    def untag(self, resource: str, *keys: str) -> None:
        """Take these tags off, or all."""
        found = self.tags_of(resource)
        pairs = [{"Key": key, "Value": value} for key, value in found.items() if not keys or key in keys]
        self.oapi.call("DeleteTags", ResourceIds=[resource], Tags=pairs)

    def run(self, *command: str) -> Result:
        """A command in the project by the backend in use; struck by a signal, if that is to be."""
        backend = {"PULUMI_BACKEND_URL": (self.project.folder / self.backend).as_uri(), **self.environment}
        if self.strike is not None:
            done = self._run_struck(command, backend, *self.strike)
            self.strike = None
        else:
            done = self.project.run(*command, timeout=_LIMIT, changed=backend)
        self.said.append(f"$ {' '.join(command)}\n{done.text}[exit {done.code}]")
        self.last = done
        return done

    def pulumi(self, *arguments: str) -> Result:
        """A command of Pulumi on the stack."""
        return self.run("pulumi", "--color", "never", "--non-interactive", *arguments, "-s", self.stack)

    def omi(self, command: str, *arguments: str) -> Result:
        """A command of the program."""
        return self.run("python3", "-m", "omi", command, "-s", self.stack, *arguments)

    def up(self, *arguments: str) -> Result:
        """`pulumi up` without questions."""
        return self.pulumi("up", "--yes", "--skip-preview", *arguments)

    def _run_struck(self, command: Sequence[str], changed: dict[str, str], which: signal.Signals, call: str) -> Result:
        since = max((each["number"] for each in self.calls()), default=0)
        self.fault(action=call, delay=1.5, times=-1)
        log = self.project.folder / "struck.log"
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                command, cwd=self.project.folder, env={**self.project.environment(), **changed},
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            try:
                wait_for(lambda: self._reached(process, call, since), bool, _LIMIT)
                process.send_signal(which)
                code = process.wait(_LIMIT)
            finally:
                process.kill()
        self.clear_faults()
        wait_for(self._running, lambda found: not found, _LIMIT)
        if which is signal.SIGKILL:
            self.project.run(
                "pulumi", "--non-interactive", "cancel", "--yes", "-s", self.stack, timeout=_LIMIT, changed=changed
            )
        return Result(code, log.read_text(encoding="utf-8"))

    def _reached(self, process: subprocess.Popen[bytes], call: str, since: int) -> bool:
        ended = process.poll() is not None
        reached = any(each["action"] == call for each in self.calls(since))
        assert reached or not ended, f"it ended before {call}"
        return reached

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """The account's calls after this number."""
        later = self.ring.sandbox.control("GET", f"calls?since={since}")
        return [each for each in later if each["profile"] == self.profile]

    def _running(self) -> list[str]:
        """The program's own commands that still work in the project."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
                if (path / "cwd").readlink() == self.project.folder and b"omi" in words:
                    found.append(path.name)
            except OSError:
                continue
        return found

    def fault(self, **fault: Any) -> None:
        """One for this account alone."""
        self.ring.sandbox.control("POST", "faults", {**fault, "profile": self.profile})

    def clear_faults(self) -> None:
        """Have all calls answered as they should be."""
        self.ring.sandbox.server.cloud.faults.replace([], self.profile)

    def edit_state(self, edit: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        """Change the resources in the state as a person with an editor does."""
        (path,) = (self.project.folder / self.backend).rglob(f"stacks/alpine-omi/{self.stack}.json")
        content = json.loads(path.read_text(encoding="utf-8"))
        latest = content["checkpoint"]["latest"]
        latest["resources"] = edit(latest["resources"])
        path.write_text(json.dumps(content), encoding="utf-8")

    def urn_of(self, image: str) -> str:
        """Of an image's command."""
        (path,) = (self.project.folder / self.backend).rglob(f"stacks/alpine-omi/{self.stack}.json")
        resources = json.loads(path.read_text(encoding="utf-8"))["checkpoint"]["latest"]["resources"]
        return next(str(each["urn"]) for each in resources if each["urn"].endswith(f"::{image}"))

    # --- what is there ---------------------------------------------------------------------------------------

    def things(self) -> dict[str, dict[str, Any]]:
        """Everything in the account that is not on its way out, by id."""
        kinds = self.ring.sandbox.control("GET", "inventory")[self.profile]["resources"]
        there = [(kind, each) for kind, found in kinds.items() for each in found if each.get("state") not in _LEAVING]
        return {each["id"]: {"kind": kind, **_steady(each)} for kind, each in there}

    def image(self, omi: str) -> dict[str, Any] | None:
        found = self.oapi.call("ReadImages", Filters={"ImageIds": [omi]})["Images"]
        return found[0] if found else None

    def tags_of(self, resource: str) -> dict[str, str]:
        found = self.oapi.call("ReadTags", Filters={"ResourceIds": [resource]})["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def snapshot_of(self, omi: str) -> str:
        image = self.image(omi)
        assert image is not None
        return str(image["BlockDeviceMappings"][0]["Bsu"]["SnapshotId"])

    def ledgers(self) -> Iterator[Ledger]:
        """What each state holds in which the stack is by now."""
        for backend in ("backend", "second"):
            for path in (self.project.folder / backend).rglob("stacks/alpine-omi/*.json"):
                yield ledger_in(self.project.folder / backend, path.stem)


def _steady(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key not in _VOLATILE}


@contextmanager
def ring(folder: Path, rounds: int, recorded: Path | None = None) -> Iterator[Ring]:
    """A ring for so many rounds, with the first stack of an earlier version, if given; it is gone afterwards."""
    plain = settings_for(folder / "c")
    stubs = replace(
        plain, machines=STUB_MACHINES, source=STUB_SOURCE, timing=SandboxTiming.uniform(0.0), extra_accounts=rounds
    )
    sandbox = Sandbox(stubs)
    try:
        made = Ring(sandbox, folder, recorded=recorded)
        if recorded:
            made.images = tuple(json.loads((recorded / "images.json").read_text(encoding="utf-8")))
        else:
            with made.place("p") as place:
                made.set_up(place)
        yield made
    finally:
        sandbox.close()
