"""The least EIM policies, from what runs really call: `python -m tests.reliability.rights [--write] [--each]`.

There are two: what a key must be allowed, and what the home Region's must be besides where images are copied from
there to another Region, whose own key has the first alone meanwhile. Every scene below is a run of the program, real
Packer and plugin included, on stub VMs: what a stack's life is made of, and the faults and leftovers that lead to the
clean-up paths. The sandbox logs what they call. Without options the union is compared with docs/eim-policy.json and
docs/eim-policy-copy.json, by which the sandbox holds the runs at the same time; `--write` has no policy hold and
writes the files. `--each` takes each right away in turn and shows which call of which scene is refused then. Exit code
1 if anything differs. Needs the toolchain's environment (`. toolchain/env.sh`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from omi.atomic import write_atomically
from omi.errors import OmiError
from omi.identity import Identity
from omi.image import ImageSpec
from omi.outscale.cloud import Cloud
from omi.withdrawal import Withdrawal
from sandbox.eim import SERVICES
from tests.e2e.project import Project, Result
from tests.omi.specs import remade
from tests.reliability.matrix import perform, prepare
from tests.reliability.stage import HERE, HOME, TOP, Booth, Ended, staged
from tests.sandbox.client import empty_volume, launch, snapshot

POLICY = TOP / "docs" / "eim-policy.json"
COPY_POLICY = TOP / "docs" / "eim-policy-copy.json"
"""What the home Region's key must be allowed besides."""
WORKERS = 4
_REFUSED = {401, 403}
_FRIEND = "210987654321"


@dataclass
class Go:
    """Runs commands by a policy (None: none) and notes what they call; all else goes unnoted.

    Of a copy the policy is what the home Region's key may do besides POLICY, and only what goes beyond that is noted of
    it; the other Region's key may do what POLICY allows.
    """

    booth: Booth
    rights: Sequence[str] | None
    copies: bool = False
    called: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    failed: str = ""
    """What the last failed command said."""

    def run(self, command: Callable[[], Ended]) -> Ended:
        """Run one command of the program."""
        with self._held():
            ended = command()
        if ended.code != 0:
            self.failed = ended.last
        return ended

    def must(self, command: Callable[[], Ended]) -> Ended:
        """Run one that succeeds where it has all rights."""
        ended = self.run(command)
        if ended.code != 0 and not self.refused:
            raise RuntimeError(f"{self.booth.profile}: {ended.said}")
        return ended

    @contextmanager
    def _held(self) -> Any:
        before = len(self.booth.calls())
        if self.rights is not None:
            self.booth.allow(granted() if self.copies else self.rights)
            self.booth.allow([*granted(), *self.rights] if self.copies else [], HOME)
        try:
            yield
        finally:
            for region in (HERE, HOME):
                self.booth.allow(None, region)
        for call in self.booth.calls()[before:]:
            right = f"{SERVICES[call['face']]}:{call['action']}"
            if self.rights is not None and call["status"] in _REFUSED:
                self.refused.add(right)
            elif not self.copies or right not in granted():
                self.called.add(right)


def build_one(booth: Booth, go: Go) -> None:
    """A build with its verify, and its image shared with an account."""
    prepared = prepare(booth, "build")
    go.must(lambda: perform(booth, "build", prepared))


def take_up(booth: Booth, go: Go) -> None:
    """The image of a run that was killed, verified by the next, which also removes what else that run left."""
    prepared = prepare(booth, "verify")
    leave(booth)
    go.must(lambda: perform(booth, "verify", prepared))


def adopt_one(booth: Booth, go: Go) -> None:
    """Someone else's image."""
    prepared = prepare(booth, "adopt")
    go.must(lambda: perform(booth, "adopt", prepared))


def share_and_withdraw(booth: Booth, go: Go) -> None:
    """An update that shares an image, puts back what others changed and calls it deprecated; one that takes it back."""
    prepared = prepare(booth, "update")
    rights = {"Additions": {"AccountIds": [_FRIEND]}}
    booth.oapi.call("UpdateSnapshot", SnapshotId=prepared.snapshot, PermissionsToCreateVolume=rights)
    gone = Withdrawal(why="superseded", deprecated=date(2026, 11, 1))
    go.must(lambda: perform(booth, "update", prepared, withdrawal=gone))
    go.must(lambda: perform(booth, "update", prepared))


def mark_missing(booth: Booth, go: Go) -> None:
    """An update of an image that somebody has deregistered: marked once tags don't show it either."""
    prepared = prepare(booth, "update")
    booth.oapi.call("DeleteImage", ImageId=prepared.omi)
    go.must(lambda: perform(booth, "update", prepared))


def prune_one(booth: Booth, go: Go) -> None:
    """A prune."""
    prepared = prepare(booth, "prune")
    go.must(lambda: perform(booth, "prune", prepared))


def fail_tagging(booth: Booth, go: Go) -> None:
    """A build whose image can't be tagged: Packer removes what it made."""
    prepared = prepare(booth, "build")
    booth.set_faults({"face": "oapi", "action": "CreateTags", "skip": 2, "status": 400, "times": -1})
    go.run(lambda: perform(booth, "build", prepared))
    booth.set_faults()


def fail_launch(booth: Booth, go: Go) -> None:
    """A build whose VM is refused, as for a used-up quota."""
    prepared = prepare(booth, "build")
    quota = {"code": "10029", "type": "TooManyResources (QuotaExceded)"}
    booth.set_faults({"face": "oapi", "action": "CreateVms", "status": 400, "times": -1, **quota})
    go.run(lambda: perform(booth, "build", prepared))
    booth.set_faults()


def fail_check(booth: Booth, go: Go) -> None:
    """An image whose SSH never comes: its console is shown, and it goes."""
    prepare(booth, "verify")
    booth.set_faults({"resource": "ssh", "state": "closed", "times": -1})
    spec = remade(booth.spec, vm=booth.spec.vm.model_copy(update={"verify_timeout": 3}))
    go.run(lambda: booth.run("build", spec))
    booth.set_faults()


def ask_what_there_is(booth: Booth, go: Go) -> None:
    """The doctor's reads besides those of an update; what it asks by DryRun only isn't done."""
    cloud = Cloud.connect(booth.spec.cloud)

    def ask() -> Ended:
        try:
            found = [*cloud.read_all("ReadVmTypes", "VmTypes"), *cloud.read_all("ReadSubregions", "Subregions")]
        except OmiError as error:
            return Ended(error.exit_code, "", str(error), 0.0)
        return Ended(0, f"{len(found)} found", "", 0.0)

    go.must(ask)


def whole_way(booth: Booth, go: Go) -> None:
    """By real pulumi: preview, build, preview, share, sweep, sweep --yes, back to private, destroy."""
    booth.clear()
    with tempfile.TemporaryDirectory(dir=booth.stage.folder.parent) as folder:
        project = _project(booth, Path(folder))

        def pulumi(*arguments: str) -> None:
            go.must(partial(_ended, project, "pulumi", *arguments, "-s", "e2e"))

        def sweep(*arguments: str) -> None:
            go.must(partial(_ended, project, "python3", "-m", "omi", "sweep", "-s", "e2e", *arguments))

        pulumi("preview")
        pulumi("up", "--yes", "--skip-preview")
        project.configure("access", [_FRIEND])
        pulumi("preview")
        pulumi("up", "--yes", "--skip-preview")
        project.configure("access", None)
        leave(booth, ImageSpec.from_json(_spec_in_state(project), "state"))
        sweep()
        sweep("--yes")
        pulumi("up", "--yes", "--skip-preview")
        pulumi("destroy", "--yes", "--skip-preview")


def copy_one(booth: Booth, go: Go) -> None:
    """An image copied to another Region."""
    prepared = prepare(booth, "copy")
    go.must(lambda: perform(booth, "copy", prepared))


def copy_again(booth: Booth, go: Go) -> None:
    """The same after a run that was killed, whose bucket goes, and after one whose export fails."""
    prepared = prepare(booth, "copy")
    booth.leave_bucket()
    booth.set_faults({"resource": "export", "state": "failed", "region": HOME})
    go.run(lambda: perform(booth, "copy", prepared))
    booth.set_faults()
    booth.leave_bucket()
    go.must(lambda: perform(booth, "copy", prepared))


def whole_copy(booth: Booth, go: Go) -> None:
    """By real pulumi: a build at home that is copied, sweep and sweep --yes of a left bucket, destroy."""
    booth.clear()
    with tempfile.TemporaryDirectory(dir=booth.stage.folder.parent) as folder:
        project = _project(booth, Path(folder))
        cloud = project.configured("cloud")
        there = {key: cloud[key] for key in ("api", "oos")} | {"osc_profile": booth.accounts[HERE]}
        project.configure("region", HOME)
        project.configure("cloud", {**cloud, "osc_profile": booth.accounts[HOME]})
        project.configure("regions", {HERE: {"cloud": there, "images": "copy"}})
        go.must(partial(_ended, project, "pulumi", "up", "--yes", "--skip-preview", "-s", "e2e"))
        left = ImageSpec.from_json(_spec_in_state(project, HERE), "state")
        booth.leave_bucket(left)
        for more in ([], ["--yes"]):
            go.must(partial(_ended, project, "python3", "-m", "omi", "sweep", "-s", "e2e", *more))
        go.must(partial(_ended, project, "pulumi", "destroy", "--yes", "--skip-preview", "-s", "e2e"))


COPY_SCENES: Mapping[str, Callable[[Booth, Go], None]] = {
    "copy": copy_one,
    "copy again": copy_again,
    "whole copy": whole_copy,
}
SCENES: Mapping[str, Callable[[Booth, Go], None]] = {
    "build": build_one,
    "take up": take_up,
    "adopt": adopt_one,
    "update": share_and_withdraw,
    "missing": mark_missing,
    "prune": prune_one,
    "tags refused": fail_tagging,
    "VM refused": fail_launch,
    "check failed": fail_check,
    "doctor": ask_what_there_is,
    "whole way": whole_way,
}


def leave(booth: Booth, spec: ImageSpec | None = None) -> None:
    """What a killed run of an image leaves: a VM, a volume, a snapshot, a keypair and a group."""
    identity = Identity(spec or booth.spec)
    tags = dict(identity.run_tags)
    booth.oapi.call("CreateKeypair", KeypairName=identity.verify_key)
    volume, vm = empty_volume(booth.oapi), launch(booth.oapi, KeypairName=identity.verify_key)
    for each in (volume, snapshot(booth.oapi, volume), vm):
        booth.tag(each, tags)
    booth.oapi.call("LinkVolume", VolumeId=volume, VmId=vm, DeviceName="/dev/sdb")
    booth.oapi.call("CreateSecurityGroup", SecurityGroupName=identity.group, Description="left")


def _project(booth: Booth, folder: Path) -> Project:
    """A project whose one stack `e2e` is in the booth's account, with one build."""
    settings = booth.stage.sandbox.settings
    project = Project(folder / "p", settings.home, settings.addresses.base_port, stubs=True)
    project.configure("cloud", {**project.configured("cloud"), "osc_profile": booth.profile})
    # there is no mirror, whose keys these would be: what the profile records of Alpine is enough for stubs
    project.configure("vm", {**project.configured("vm"), "trusted_keys": []})
    project.edit_profile("v3_22-x86_64", None)
    made = project.pulumi("stack", "init", "e2e")
    if made.code != 0:
        raise RuntimeError(made.text)
    return project


def _ended(project: Project, *command: str) -> Ended:
    done: Result = project.run(*command)
    return Ended(done.code, done.text, done.text, 0.0)


def _spec_in_state(project: Project, region: str = HERE) -> str:
    """Of the one image of that Region that the project's stack holds."""
    exported = json.loads(project.pulumi("stack", "export", "-s", "e2e").text)
    commands = [each for each in exported["deployment"]["resources"] if each["type"] == "command:local:Command"]
    specs = [str(each["inputs"]["stdin"]) for each in commands]
    return next(spec for spec in specs if ImageSpec.from_json(spec, "state").cloud.region == region)


@dataclass(frozen=True)
class Noted:
    """What one scene called, was refused, and said last of what failed."""

    scene: str
    seconds: float
    called: frozenset[str]
    refused: frozenset[str]
    failed: str


def play(booth: Booth, scene: str, rights: Sequence[str] | None) -> Noted:
    """One scene in a booth whose key has these rights (None: all)."""
    go, start = Go(booth, rights, scene in COPY_SCENES), time.monotonic()
    try:
        {**SCENES, **COPY_SCENES}[scene](booth, go)
    finally:
        booth.set_faults()
    return Noted(scene, time.monotonic() - start, frozenset(go.called), frozenset(go.refused), go.failed)


def play_all(booths: Sequence[Booth], tasks: Iterable[tuple[str, Sequence[str] | None]]) -> list[Noted]:
    """Scenes and their rights, one at a time in each booth; in the order in which they were given."""
    free: SimpleQueue[Booth] = SimpleQueue()
    for booth in booths:
        free.put(booth)

    def one(task: tuple[str, Sequence[str] | None]) -> Noted:
        booth = free.get()
        try:
            return play(booth, *task)
        finally:
            free.put(booth)

    with ThreadPoolExecutor(len(booths)) as several:
        return list(several.map(one, tasks))


def granted(policy: Path = POLICY) -> list[str]:
    """What the committed policy allows."""
    (statement,) = json.loads(policy.read_text(encoding="utf-8"))["Statement"]
    actions: list[str] = statement["Action"]
    return actions


def document(rights: Iterable[str]) -> str:
    """A policy that allows these and nothing else, as the file has it."""
    statement = {"Effect": "Allow", "Action": sorted(rights), "Resource": ["*"]}
    return json.dumps({"Statement": [statement]}, indent=2) + "\n"


def without_each(noted: Sequence[Noted], rights: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """For each right: itself, the quickest scene that called it, and all rights but it."""
    quick = sorted(noted, key=lambda each: each.seconds)
    return [
        (right, next(each.scene for each in quick if right in each.called), [one for one in rights if one != right])
        for right in sorted(rights)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.rights", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write docs/eim-policy.json and eim-policy-copy.json")
    parser.add_argument("--each", action="store_true", help="take each right away in turn")
    parser.add_argument("--workers", type=int, default=WORKERS, help="scenes at once (%(default)s)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rights-") as folder, staged(Path(folder), given.workers) as stage:
        policies = ((POLICY, SCENES), (COPY_POLICY, COPY_SCENES))
        bad = [_try_policy(stage.booths, path, list(scenes), given) for path, scenes in policies]
    return 1 if any(bad) else 0


def _try_policy(booths: Sequence[Booth], path: Path, scenes: Sequence[str], given: argparse.Namespace) -> bool:
    """Whether anything of the policy is not as it must be; told."""
    noted = play_all(booths, [(scene, None if given.write else granted(path)) for scene in scenes])
    called = frozenset[str]().union(*(each.called for each in noted))
    _print_scenes(noted)
    if given.write:
        write_atomically(path, document(called))
    differs = _differences(noted, called, set(granted(path)))
    print("\n".join(differs) or f"{len(called)} rights: those of {path.name}, and nothing was refused")
    spare = _take_each(booths, noted, sorted(called)) if given.each else []
    return bool(differs or spare)


def _print_scenes(noted: Sequence[Noted]) -> None:
    seen: set[str] = set()
    for each in noted:
        print(f"{each.scene} ({each.seconds:.0f} s): {', '.join(sorted(each.called - seen)) or 'nothing more'}")
        if each.failed:
            print(f"  {each.failed}")
        seen |= each.called


def _differences(noted: Sequence[Noted], called: frozenset[str], have: set[str]) -> list[str]:
    return [
        *(f"refused though it was called: {right}" for each in noted for right in sorted(each.refused)),
        *(f"called, but not in the policy: {right}" for right in sorted(called - have)),
        *(f"in the policy, but never called: {right}" for right in sorted(have - called)),
    ]


def _take_each(booths: Sequence[Booth], noted: Sequence[Noted], rights: Sequence[str]) -> list[str]:
    """Print what comes of each lack; returns the rights whose lack nothing noticed."""
    tasks = without_each(noted, rights)
    results = play_all(booths, [(scene, rest) for _, scene, rest in tasks])
    for (right, scene, _), seen in zip(tasks, results, strict=True):
        came = seen.failed or "it went on"
        print(f"without {right}: {scene}: refused {', '.join(sorted(seen.refused)) or 'NOTHING'}; {came}")
    spare = [right for (right, _, _), seen in zip(tasks, results, strict=True) if right not in seen.refused]
    print(f"{len(tasks)} rights taken away one by one, {len(spare)} of them not missed")
    return spare


if __name__ == "__main__":
    sys.exit(main())
