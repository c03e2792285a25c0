"""`try` says what is doubtful before it builds, and what of it is left when it removes."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from omi.build.trial import trial_name
from omi.cli.main import main
from omi.config.stack import PROJECT
from omi.profile.content import package_lines
from omi.profile.load import Profile
from omi.profile.model import Target
from omi.state.identity import Identity
from omi.state.owner import Owner
from omi.support.dependency import read_dependency
from omi.support.errors import InputError
from omi.support.places import BUILD, file_name_of
from omi.upstream.index import Index, Packaged
from omi.upstream.model import Upstream
from omi.upstream.offer import Offer
from omi.upstream.packages import Offered
from tests.omi.conftest import TOP, Account
from tests.omi.plan.make import upstream
from tests.sandbox.client import launch


def test_a_service_that_nothing_brings_is_warned_of_before_anything_is_built(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offered(builds: Sequence[Target], *_: object) -> Offered:
        (build,) = builds
        names = {read_dependency(line).name for line in package_lines(build)} | {"nginx-openrc"}
        packages = tuple(Packaged(name, "1-r0", name) for name in names)
        return Offered({build.name: Offer([(None, Index(dict.fromkeys(names, ("1-r0",)), packages=packages))])})

    def discovered(profile: Profile, *_: object) -> tuple[Profile, Upstream]:
        return profile, upstream("3.23.6")

    def stop(*_: object, **__: object) -> None:
        message = "no further"
        raise InputError(message)

    shutil.copytree(TOP / "stacks", "stacks")
    (root / "web.yaml").write_text("services: {default: {ngnix: true}}\nbuilds: {a: {version: '3.23'}}\n")
    monkeypatch.setattr("omi.cli.trial.discover_builds", discovered)
    monkeypatch.setattr("omi.cli.trial.read_offered", offered)
    monkeypatch.setattr("omi.cli.trial.common_files", lambda *_: {})
    monkeypatch.setattr("omi.cli.trial.check_before_building", stop)
    assert main(["try", "--profile", "web", "a", "--", "true"]) == 2
    *warnings, error = capsys.readouterr().err.splitlines()
    assert error == "error: no further"
    assert any(
        "services.default.ngnix: no package is known to bring it; did you mean nginx?" in line for line in warnings
    )


STACK, HERE, ELSEWHERE = "test", "0000000000000001", "0000000000000002"


@dataclass
class Tries:
    """Kept tries in an account, and a person who removes them from a checkout whose profile is gone."""

    account: Account
    capsys: pytest.CaptureFixture[str]

    def keep(self, stack_id: str, build: str = "a") -> tuple[str, str]:
        """The image and the VM of a try."""
        spec = self.account.spec(
            name=trial_name(build, stack_id), project=PROJECT, stack=f"{STACK}+try", stack_id=stack_id
        )
        identity, oapi = Identity(spec), self.account.oapi
        omi = self.account.register(spec.name, identity.description, dict(identity.tags))
        oapi.call("CreateKeypair", KeypairName=identity.verify_key)
        vm = launch(oapi, KeypairName=identity.verify_key)
        tags = {**identity.run_tags, "Name": f"{spec.name} verify"}
        oapi.call("CreateTags", ResourceIds=[vm], Tags=[{"Key": key, "Value": tags[key]} for key in tags])
        return omi, vm

    def know(self, stack_id: str, build: str = "a", profile: str = "gone") -> None:
        """Have the run folder of this build in the checkout."""
        folder = BUILD / f"{STACK}+try" / file_name_of(f"{profile} {build}")
        folder.mkdir(parents=True)
        (folder / "stack-id").write_text(stack_id)

    def run(self, *arguments: str) -> tuple[int, str]:
        code = main(["try", "-s", STACK, *arguments])
        seen = self.capsys.readouterr()
        return code, seen.out + seen.err

    @property
    def left(self) -> set[str]:
        """Images and VMs that are there."""
        found = self.account.left()
        return {*found.get("image", []), *found.get("vm", [])}


@pytest.fixture
def tries(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tries:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("omi.cli.trial.stopped_by_signals", threading.Event)
    access = account.access
    values = {"profile": "gone", "region": access.region, "cloud": {"api": access.api, "ca_file": access.ca_file}}
    (tmp_path / "stacks").mkdir()
    config = {f"{PROJECT}:{key}": value for key, value in values.items()}
    (tmp_path / "stacks" / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump({"config": config}))
    return Tries(account, capsys)


def test_a_try_whose_id_is_lost_is_named_and_goes_only_when_that_is_meant(tries: Tries) -> None:
    omi, vm = tries.keep(ELSEWHERE)
    code, said = tries.run("a", "--remove")
    assert (code, tries.left) == (6, {omi, vm}), "another person may be using it"
    (error,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert f"of another checkout: try of a with the stack id {ELSEWHERE}: VM {vm}, image {omi}" in error
    assert f"if nobody uses it: `python -m omi try -s {STACK} a --remove --yes`" in error
    assert "nothing is left" not in said
    code, said = tries.run("a", "--remove", "--yes")
    assert (code, tries.left, "nothing is left of a try of a" in said) == (0, set(), True), said


def test_the_checkouts_own_try_goes_without_its_profile_and_another_persons_stays_and_is_named(tries: Tries) -> None:
    tries.know(HERE)
    tries.keep(HERE)
    omi, vm = tries.keep(ELSEWHERE)
    for _ in range(2):
        code, said = tries.run("a", "--remove")
        assert (code, tries.left) == (0, {omi, vm}), said
        assert f"of another checkout: try of a with the stack id {ELSEWHERE}: VM {vm}, image {omi}" in said
        assert f"if nobody uses it: `python -m omi try -s {STACK} a --remove --yes`" in said
        assert "nothing is left" not in said


def test_a_try_of_another_build_stays_and_is_named(tries: Tries) -> None:
    stay = {*tries.keep(ELSEWHERE, build="b")}
    code, said = tries.run("a", "--remove", "--yes")
    assert (code, tries.left) == (0, stay), said
    assert f"of another build: try of b with the stack id {ELSEWHERE}" in said, "the build may have been renamed"
    assert "nothing is left of a try of a" in said


def test_a_try_of_another_profile_stays_and_is_named_with_that(tries: Tries) -> None:
    tries.know(HERE, profile="another")
    stay = {*tries.keep(HERE)}
    code, said = tries.run("a", "--remove", "--yes")
    assert (code, tries.left, "nothing is left" in said) == (6, stay, False)
    assert f"of the profile another: try of a with the stack id {HERE}" in said
    code, said = tries.run("a", "--profile", "another", "--remove")
    assert (code, tries.left) == (0, set()), said


def test_what_cant_be_removed_is_named_instead_of_nothing(tries: Tries) -> None:
    tries.know(HERE)
    owner = Owner(PROJECT, f"{STACK}+try", HERE)
    identity = Identity(tries.account.spec(name=trial_name("a", HERE), stack=owner.stack, stack_id=HERE))
    omi = tries.account.register("renamed", tags=dict(identity.tags))
    code, said = tries.run("a", "--remove")
    assert (code, tries.left, "nothing is left" in said) == (6, {omi}, False)
    assert f"left of the try of a with the stack id {HERE}: image {omi}: delete it by hand" in said


def test_what_of_another_checkouts_try_cant_be_removed_is_named_without_the_same_cure(tries: Tries) -> None:
    owner = Owner(PROJECT, f"{STACK}+try", ELSEWHERE)
    identity = Identity(tries.account.spec(name=trial_name("a", ELSEWHERE), stack=owner.stack, stack_id=ELSEWHERE))
    tries.account.register("renamed", tags=dict(identity.tags))
    code, said = tries.run("a", "--remove", "--yes")
    assert (code, "delete it by hand" in said, "if nobody uses it:" in said) == (6, True, False), said


def test_where_there_is_no_try_nothing_is_left(tries: Tries) -> None:
    code, said = tries.run("a", "--remove")
    assert (code, "nothing is left of a try of a" in said) == (0, True), said


def test_an_account_that_cant_be_read_is_an_error(tries: Tries) -> None:
    tries.account.sandbox.control("POST", "faults", {"action": "ReadVms", "status": 403, "times": -1})
    code, said = tries.run("a", "--remove")
    assert (code, "nothing is left" in said) == (5, False), said


def test_a_removal_of_others_tries_is_none_of_a_build(tries: Tries) -> None:
    assert tries.run("a", "--yes", "--", "true") == (2, "error: --yes: is for --remove alone; leave it out\n")
