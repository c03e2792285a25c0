"""Runs of the program by a policy: what a stack's life is made of, and the faults that lead to the clean-up paths."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from omi.outscale.access_key import read_expiry
from omi.outscale.client import Cloud
from omi.state.identity import Identity
from omi.state.image import ImageSpec
from omi.state.withdrawal import Withdrawal
from omi.support.errors import OmiError
from sandbox.eim import SERVICES
from tests.e2e.project import Project, Result
from tests.omi.specs import remade
from tests.reliability.matrix import perform, prepare
from tests.reliability.stage import HERE, HOME, TOP, Booth, Ended
from tests.sandbox.client import empty_volume, launch, snapshot

POLICY = TOP / "docs" / "eim-policy.json"
COPY_POLICY = TOP / "docs" / "eim-policy-copy.json"
"""What the home Region's key must be allowed besides."""
_REFUSED = {401, 403}
_FRIEND = "210987654321"


def granted(policy: Path = POLICY) -> list[str]:
    """What the committed policy allows."""
    (statement,) = json.loads(policy.read_text(encoding="utf-8"))["Statement"]
    actions: list[str] = statement["Action"]
    return actions


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


def take_over_one(booth: Booth, go: Go) -> None:
    """Someone else's image that is to be the stack's own, once it has booted."""
    prepared = prepare(booth, "take over")
    go.must(lambda: perform(booth, "take over", prepared))


def share_and_withdraw(booth: Booth, go: Go) -> None:
    """An update that shares an image, puts back what others changed and calls it deprecated; one that takes it back."""
    prepared = prepare(booth, "update")
    rights = {"Additions": {"AccountIds": [_FRIEND]}}
    booth.oapi.call("UpdateSnapshot", SnapshotId=prepared.snapshot, PermissionsToCreateVolume=rights)
    gone = Withdrawal(why="superseded", shared=True, deprecated=date(2026, 11, 1))
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
    """The reads of doctor and health besides those of an update; what it asks by DryRun only isn't done."""
    cloud = Cloud.connect(booth.spec.cloud)

    def ask() -> Ended:
        try:
            lists = (("ReadVmTypes", "VmTypes"), ("ReadSubregions", "Subregions"), ("ReadSubnets", "Subnets"))
            read_expiry(cloud)
            found = [each for action, key in lists for each in cloud.read_all(action, key)]
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
    "take over": take_over_one,
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
