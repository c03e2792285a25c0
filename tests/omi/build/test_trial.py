"""A try of an image: a person gets in, and whatever way it ends, only what it has made goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from omi.build.packer.maker import PackerMaker
from omi.build.trial import KEPT_KEY, Trial, find_tries, remove_try, spec_to_remove
from omi.config.settings import Endpoints, Settings
from omi.outscale.waiting import InterruptedBuildError
from omi.state.identity import Identity
from omi.state.image import ImageSpec
from omi.state.owner import VERIFIED, Owner, build_id_of
from omi.support.errors import BuildError, CloudError, OmiError, VerifyError
from omi.support.narration import narrated
from omi.verify.boot import Boot, Guest, Verification
from omi.verify.facts import Facts
from omi.verify.ssh import Door
from tests.omi.build.parts import Bench, bench
from tests.omi.specs import OWNER
from tests.sandbox.client import empty_volume, launch, snapshot, wait_for

__all__ = ["bench"]

TRIES = Owner(OWNER.project, f"{OWNER.stack}+try", "fedcba9876543210")
NAME = "try-a-fedcba9876543210"


@dataclass
class Visits:
    """The visits of a person, and how each goes."""

    failed: list[str] = field(default_factory=list)
    code: int = 0
    act: Callable[[threading.Event], None] = lambda stop: None
    commands: list[Sequence[str]] = field(default_factory=list)

    def open(self, words: Sequence[str], stop: threading.Event) -> int:
        self.commands.append(words)
        self.act(stop)
        return self.code


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> Visits:
    """A VM of the OMI really starts in the account; nobody needs its SSH."""
    made = Visits()

    def enter(self: Boot, vm: Any, key: Path, *_: object) -> Guest:
        return Guest(vm, Door(vm.public_ip, 22, "alpine", key), 1.0, False, None)

    monkeypatch.setattr(Boot, "_enter", enter)
    monkeypatch.setattr(Verification, "check", lambda self, guest: (Facts.parse(""), made.failed))
    monkeypatch.setattr(Door, "open", lambda self, words, stop: made.open(words, stop))
    return made


@pytest.fixture
def bystanders(bench: Bench) -> dict[str, list[str]]:
    """Bystanders: the stack's own image and its build, and another checkout's try."""
    account, oapi = bench.account, bench.account.oapi
    own = Identity(account.spec())
    another = Identity(spec_of(bench, stack_id="fedcba9876543211"))
    for identity, tags in ((own, {VERIFIED: "yes"}), (another, {})):
        name = identity.spec.name if identity is own else f"{NAME}-other"
        account.register(name, identity.description, {**identity.tags, **tags})
        oapi.call("CreateKeypair", KeypairName=identity.verify_key)
        oapi.call("CreateSecurityGroup", SecurityGroupName=identity.group, Description="near")
        vm = launch(oapi, KeypairName=identity.verify_key)
        oapi.call(
            "CreateTags", ResourceIds=[vm], Tags=[{"Key": key, "Value": identity.tags[key]} for key in identity.tags]
        )
    volume = empty_volume(oapi)
    snapshot(oapi, volume)
    account.register(NAME + "2")
    return account.left()


def spec_of(bench: Bench, stack_id: str = TRIES.stack_id) -> ImageSpec:
    return bench.account.spec(name=NAME, stack=TRIES.stack, stack_id=stack_id)


def trial_of(bench: Bench, *, keep: bool = False) -> Trial:
    job = bench.run_of(spec_of(bench)).job
    return Trial(job, PackerMaker(job, grace=1), ["true"], keep, "omi try --remove")


def run(trial: Trial) -> int:
    with narrated(trial.job.narrator):
        return trial.run()


def test_all_of_it_goes_when_the_person_leaves(bench: Bench, visits: Visits, bystanders: dict[str, list[str]]) -> None:
    seen: list[dict[str, list[str]]] = []
    visits.act, visits.code = lambda stop: seen.append(bench.account.left()), 3
    assert run(trial_of(bench)) == 3
    assert visits.commands == [["true"]]
    (during,) = seen
    assert len(during["vm"]) == len(bystanders["vm"]) + 1
    assert len(during["image"]) == len(bystanders["image"]) + 1
    assert bench.account.left() == bystanders
    assert not list((bench.folder / NAME).glob("alpine-omi-*")), "a private key was left"


def stop_at_once(stop: threading.Event) -> None:
    stop.set()


def refuse(stop: threading.Event) -> None:
    raise CloudError("the cloud is down")


@pytest.mark.parametrize(
    ("mode", "failed", "act", "error"),
    [
        ("fail", [], None, BuildError),
        ("half", [], None, BuildError),
        ("leaky", ["no marker"], None, VerifyError),
        ("good", ["no marker"], None, VerifyError),
        ("good", [], refuse, VerifyError),
        ("good", [], stop_at_once, InterruptedBuildError),
    ],
)
def test_all_of_it_goes_after_a_failure_or_an_interruption(
    bench: Bench,
    visits: Visits,
    bystanders: dict[str, list[str]],
    mode: str,
    failed: list[str],
    act: Callable[[threading.Event], None] | None,
    error: type[OmiError],
) -> None:
    bench.packer.behave(mode)
    visits.failed, visits.act = failed, act or visits.act
    with pytest.raises(error):
        run(trial_of(bench, keep=True))
    assert bench.account.left() == bystanders


def test_an_interruption_of_packer_leaves_nothing(
    bench: Bench, visits: Visits, bystanders: dict[str, list[str]]
) -> None:
    bench.packer.behave("hang")

    def interrupt() -> None:
        wait_for(lambda: len(bench.account.left()["vm"]), lambda count: count > len(bystanders["vm"]))
        bench.stop.set()

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(InterruptedBuildError, match=f"{NAME}: interrupted; it is removed"):
        run(trial_of(bench))
    assert bench.account.left() == bystanders


def test_a_person_sees_an_image_whose_check_fails(bench: Bench, visits: Visits) -> None:
    visits.failed = ["no marker"]
    with pytest.raises(VerifyError, match="no marker; it is removed again"):
        run(trial_of(bench))
    assert visits.commands == [["true"]]
    assert "failed: no marker" in bench.said.getvalue()


def test_what_is_kept_stays_until_it_is_removed(
    bench: Bench, visits: Visits, bystanders: dict[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    run(trial_of(bench, keep=True))
    kept = bench.account.left()
    assert {kind: len(kept[kind]) - len(bystanders[kind]) for kind in ("image", "vm", "volume", "keypair")} == {
        "image": 1, "vm": 1, "volume": 1, "keypair": 0,
    }  # fmt: skip
    key = bench.folder / NAME / KEPT_KEY
    told = capsys.readouterr().out
    assert f"cd {key.parent} && ssh -F /dev/null -i {key.name} " in told
    assert "omi try --remove" in told
    assert key.stat().st_mode & 0o777 == 0o600
    trial_of(bench).remove()
    assert bench.account.left() == bystanders
    assert not key.exists()


def test_the_next_try_removes_what_a_killed_one_left(
    bench: Bench, visits: Visits, bystanders: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr("omi.verify.boot.terminate_vm", lambda *_: None)
        killed.setattr("omi.build.trial.Leftovers.clean", lambda *_: True)
        run(trial_of(bench))
    left = bench.account.left()
    assert len(left["vm"]) > len(bystanders["vm"])
    assert len(left["image"]) > len(bystanders["image"])
    run(trial_of(bench))
    assert bench.account.left() == bystanders


def test_what_cannot_be_removed_is_told_with_its_cure(
    bench: Bench, visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as down:
        visits.act = lambda stop: down.setattr("omi.build.leftovers.find_own", _down)
        with pytest.raises(BuildError, match="something of it may be left; `omi try --remove` tries again"):
            run(trial_of(bench))
    trial_of(bench).remove()
    assert bench.account.left() == {}


def _down(*_: object) -> None:
    raise CloudError("the cloud is down")


def test_a_try_whose_id_is_lost_is_found_by_the_tags_of_what_it_made_and_removed_without_its_profile(
    bench: Bench, visits: Visits, bystanders: dict[str, list[str]]
) -> None:
    run(trial_of(bench, keep=True))
    cloud, kept = bench.account.cloud, bench.account.left()
    (found,) = find_tries(cloud, TRIES.project, TRIES.stack)
    assert (found.stack_id, found.build) == (TRIES.stack_id, "a")
    kinds = {thing.split()[0] for thing in found.things}
    assert kinds >= {"VM", "image"}
    assert {thing.split()[1] for thing in found.things if thing.startswith("VM ")} == {*kept["vm"]} - {
        *bystanders["vm"]
    }
    access = bench.account.access
    settings = Settings(region=access.region, cloud=Endpoints(api=access.api, ca_file=access.ca_file), profile="gone")
    job = bench.run_of(spec_to_remove(TRIES, found.build, settings)).job
    with narrated(job.narrator):
        remove_try(job, "omi try --remove")
    assert bench.account.left() == bystanders
    assert find_tries(cloud, TRIES.project, TRIES.stack) == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"stack": OWNER.stack},
        {"project": "another"},
        {"stack-id": "fedcba9876543211"},
        {"stack-id": ""},
        {"build-id": build_id_of(TRIES, "another")},
        {"Name": f"a-{TRIES.stack_id}", "build-id": build_id_of(TRIES, f"a-{TRIES.stack_id}")},
        {"Name": "try-a", "build-id": build_id_of(TRIES, "try-a")},
    ],
    ids=",".join,
)
def test_what_only_resembles_a_try_is_none(bench: Bench, changed: dict[str, str]) -> None:
    tags = dict(Identity(spec_of(bench)).tags)
    bench.account.register(NAME, tags={**tags, **changed})
    assert find_tries(bench.account.cloud, TRIES.project, TRIES.stack) == ()
    omi = bench.account.register(f"{NAME}2", tags=tags)
    assert [each.things for each in find_tries(bench.account.cloud, TRIES.project, TRIES.stack)] == [(f"image {omi}",)]
