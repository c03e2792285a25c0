"""An OMI made elsewhere becomes the stack's own: what that changes about it, and what a failure doesn't."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from omi.build.job import Job
from omi.build.packer.inputs import RunFolder
from omi.build.taking_over import TakingOver
from omi.outscale.account import read_account
from omi.outscale.client import Cloud
from omi.outscale.entry import find_groups, open_group
from omi.outscale.images import Ours, delete_omi, put_tags, read_omi, read_snapshots
from omi.outscale.publishing import share
from omi.outscale.shapes import Omi
from omi.outscale.sweep import Builds, Search
from omi.outscale.waiting import InterruptedBuildError
from omi.profile.model import Access
from omi.publish import record as write_releases
from omi.state.identity import Identity
from omi.state.image import ImageRecord, ImageSpec, TakeOver
from omi.state.owner import CLAIM, STACK_ID, STANDS_FOR, VERIFIED
from omi.state.withdrawal import Withdrawal
from omi.support.errors import CloudError, VerifyError
from omi.support.narration import Narrator, narrated
from omi.verify.adopted import AdoptionCheck
from omi.verify.boot import Verified
from tests.omi.conftest import Account

NAME = "old-3.23.4-x86_64-r0"
BOOTED = Verified(9, 95000000, 83000000, ("busybox=1.37.0-r30", "musl=1.2.5-r23"))


class Taking:
    """Takes OMIs of one account over; booting them is answered by `boot`."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.account, self.folder, self.said, self.stop = account, folder, io.StringIO(), threading.Event()
        self.logins: list[str] = []
        self.before: list[dict[str, Any]] = []
        """Each OMI while it is checked."""
        self.then: Callable[[], object] = lambda: None

    def boot(self, check: AdoptionCheck, omi: Omi) -> Verified:
        self.logins.append(check.user)
        self.before.append(self.account.image(omi.omi_id))
        self.then()
        return BOOTED

    def spec(self, omi: str, login: str | None = "ec2-user", **changes: Any) -> ImageSpec:
        spec = self.account.spec(name=NAME, release="3.23.4", description="of old", bootstrap=None, **changes)
        check = TakeOver(omi=omi, login=login, vm=spec.vm)
        return spec.model_copy(update={"recipe": None, "take_over": check})

    def over(self, spec: ImageSpec) -> TakingOver:
        folder = RunFolder(self.folder / spec.name)
        folder.path.mkdir(parents=True, exist_ok=True)
        narrator = Narrator(self.said, folder.build_log)
        assert spec.take_over is not None
        return TakingOver(Job(Identity(spec), self.account.cloud, folder, narrator, self.stop, {}), spec.take_over)

    def run(self, spec: ImageSpec) -> ImageRecord:
        over = self.over(spec)
        with narrated(over.job.narrator):
            return over.run()


@pytest.fixture
def taking(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Taking:
    monkeypatch.chdir(tmp_path)
    made = Taking(account, tmp_path / "run")

    def boot(self: AdoptionCheck, omi: Omi) -> Verified:
        return made.boot(self, omi)

    monkeypatch.setattr(AdoptionCheck, "boot", boot)
    return made


def test_it_is_checked_as_it_is_and_then_bears_the_stacks_tags_and_claim(taking: Taking) -> None:
    omi = taking.account.register(NAME, "of old", {"Name": "mine", "keep": "this"}, boot_modes=("uefi", "legacy"))
    was, spec = taking.account.image(omi), taking.spec(omi)
    record = taking.run(spec)
    assert (taking.logins, taking.before) == (["ec2-user"], [was])
    assert (record.omi, record.adopted, record.verified, record.claim) == (
        omi,
        False,
        True,
        taking.account.tags(omi)[CLAIM],
    )
    assert (record.boot_seconds, record.used_bytes, record.packages) == (9, 95000000, 2)
    assert (record.installed_bytes, record.installed) == (83000000, BOOTED.installed)
    assert (record.digest, record.made_by, record.documents) == (None, None, None)
    assert record.boot_modes == ("legacy", "uefi")
    tags = taking.account.tags(omi)
    assert tags | dict(Identity(spec).tags) == tags
    assert (tags["keep"], tags[VERIFIED], tags[STANDS_FOR]) == ("this", "yes", spec.digest)
    assert "digest" not in tags
    assert taking.account.image(omi)["Description"] == "of old"
    assert record.snapshots
    assert taking.account.left() == {"image": [omi]}


def test_its_snapshots_bear_the_stacks_tags_and_its_makers_digest_stays(taking: Taking) -> None:
    omi = taking.account.register(NAME, tags={VERIFIED: "yes", "digest": "sha256:theirs"})
    spec = taking.spec(omi)
    record = taking.run(spec)
    (taken,) = read_snapshots(taking.account.cloud, record.snapshots)
    assert taken.bears(Identity(spec).tags)
    assert (record.verified, record.digest) == (True, "sha256:theirs")
    assert taking.account.tags(omi)[VERIFIED] == "yes", "it was checked, whatever its maker said before"


def test_what_a_killed_run_left_goes_before_the_next_check_and_when_it_is_ended(taking: Taking) -> None:
    omi = taking.account.register(NAME)
    spec = taking.spec(omi)
    key, seen = Identity(spec).verify_key, list[set[str]]()

    def pairs() -> set[str]:
        return {pair["KeypairName"] for pair in taking.account.oapi.call("ReadKeypairs")["Keypairs"]}

    for name in (key, f"{key}2"):
        taking.account.oapi.call("CreateKeypair", KeypairName=name)
    taking.then = lambda: seen.append(pairs())
    taking.run(spec)
    assert seen == [{f"{key}2"}]
    taking.account.oapi.call("CreateKeypair", KeypairName=key)
    taking.over(spec).clean_up()
    assert (pairs(), taking.account.left()["image"]) == ({f"{key}2"}, [omi])


def test_only_what_is_its_own_gets_its_measures_from_the_releases(taking: Taking, tmp_path: Path) -> None:
    omi = taking.account.register(NAME)
    spec = taking.spec(omi, releases_dir=str(tmp_path / "releases"))
    record = taking.run(spec)
    write_releases(spec, record)
    assert taking.run(spec).used_bytes == record.used_bytes is not None
    tags = [{"Key": key, "Value": value} for key, value in taking.account.tags(omi).items()]
    taking.account.oapi.call("DeleteTags", ResourceIds=[omi], Tags=tags)
    unchecked = taking.spec(omi, login=None, releases_dir=str(tmp_path / "releases"))
    assert taking.run(unchecked).used_bytes is None


def test_without_a_check_it_is_unverified(taking: Taking) -> None:
    omi = taking.account.register(NAME)
    record = taking.run(taking.spec(omi, login=None))
    assert (record.verified, taking.logins, VERIFIED in taking.account.tags(omi)) == (False, [], False)
    assert record.boot_seconds is None
    assert "is this stack's own now, unverified" in taking.said.getvalue()


@pytest.mark.parametrize(
    ("description", "tags"),
    [("Alpine 3.23, verified by QA", {}), ("of old", {VERIFIED: "no"}), ("of old", {VERIFIED: "yes"})],
)
def test_its_makers_words_do_not_make_it_verified_not_even_after_an_interrupted_run(
    taking: Taking, description: str, tags: dict[str, str]
) -> None:
    omi = taking.account.register(NAME, description, tags)
    spec = taking.spec(omi, login=None)
    for _ in range(2):
        assert not taking.run(spec).verified
        assert VERIFIED not in taking.account.tags(omi)
    (image,) = read_account(taking.account.cloud, spec.owner).images
    assert not image.verified_by(spec.owner)
    assert (taking.run(taking.spec(omi)).verified, taking.logins) == (True, ["ec2-user"])


def test_its_makers_tag_is_no_proof_at_any_moment(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    omi = taking.account.register(NAME, tags={VERIFIED: "yes"})

    def refused(*_: object) -> None:
        raise CloudError("refused")

    with monkeypatch.context() as patch:
        patch.setattr("omi.build.taking_over.delete_tags", refused)
        with pytest.raises(CloudError, match="refused"):
            taking.run(taking.spec(omi, login=None))
    assert STANDS_FOR in taking.account.tags(omi)
    assert not taking.run(taking.spec(omi, login=None)).verified
    assert VERIFIED not in taking.account.tags(omi)


def test_one_that_this_stack_made_and_then_gave_away_counts_by_its_tag_alone(taking: Taking) -> None:
    made = taking.account.spec(name=NAME, release="3.23.4")
    omi = taking.account.register(NAME, Identity(made).described(verified=True))
    spec = taking.spec(omi, login=None)
    assert [taking.run(spec).verified for _ in range(2)] == [False, False]
    assert NAME in read_account(taking.account.cloud, spec.owner).by_name, "it holds its name"


def test_one_that_another_stack_takes_over_during_the_boot_stays_that_stacks(taking: Taking) -> None:
    omi = taking.account.register(NAME)
    theirs = Identity(taking.spec(omi).model_copy(update={"stack_id": "5" * 16, "stack": "other"}))
    marks = {**theirs.tags, CLAIM: "theirs", VERIFIED: "yes"}
    taking.then = lambda: put_tags(taking.account.cloud, [omi], marks)
    with pytest.raises(CloudError, match=r"made by stack other \(id 5{16}\), so it is not taken over; take `own` out"):
        taking.run(taking.spec(omi))
    assert taking.account.tags(omi) == marks
    assert taking.account.left() == {"image": [omi]}


def test_another_stacks_stays_that_stacks(taking: Taking) -> None:
    """Its state may live on, though the config was copied from it."""
    theirs = taking.spec("").model_copy(update={"stack_id": "5" * 16, "stack": "other", "take_over": None})
    omi = taking.account.register(NAME, tags={**Identity(theirs).tags, CLAIM: "theirs"})
    was = taking.account.image(omi)
    with pytest.raises(CloudError, match=r"made by stack other \(id 5{16}\), so it is not taken over; take `own` out"):
        taking.run(taking.spec(omi))
    assert (taking.account.image(omi), taking.logins) == (was, [])


def test_a_check_that_fails_changes_nothing_about_it_and_leaves_nothing(taking: Taking) -> None:
    omi = taking.account.register(NAME, "of old", {"keep": "this"})
    was = taking.account.image(omi)

    def fail() -> None:
        raise VerifyError("no SSH")

    taking.then = fail
    with pytest.raises(VerifyError, match="no SSH"):
        taking.run(taking.spec(omi))
    assert taking.account.image(omi) == was
    assert taking.account.left() == {"image": [omi]}


def test_an_interruption_is_told_and_changes_nothing_about_it(taking: Taking) -> None:
    omi = taking.account.register(NAME)

    def interrupt() -> None:
        taking.stop.set()
        raise VerifyError("the VM went")

    taking.then = interrupt
    with pytest.raises(InterruptedBuildError, match=f"{NAME}: interrupted; {omi} is left as it is"):
        taking.run(taking.spec(omi))
    assert taking.account.tags(omi) == {}


def test_a_run_that_did_not_record_it_is_made_up_for_without_another_boot(taking: Taking) -> None:
    omi = taking.account.register(NAME)
    first = taking.run(taking.spec(omi))
    again = taking.run(taking.spec(omi))
    assert taking.logins == ["ec2-user"]
    assert again.verified
    assert again.claim == taking.account.tags(omi)[CLAIM] != first.claim


def test_a_run_that_did_not_record_it_also_removes_what_the_earlier_one_left(taking: Taking) -> None:
    omi = taking.account.register(NAME, "of old")
    spec = taking.spec(omi)
    taking.run(spec)
    group = open_group(taking.account.cloud, Identity(spec).group, 22, "192.0.2.7/32")
    assert find_groups(taking.account.cloud, Identity(spec).group) == [group]
    taking.run(spec)
    assert find_groups(taking.account.cloud, Identity(spec).group) == []
    assert (taking.account.left()["image"], taking.logins) == ([omi], ["ec2-user"])


def test_only_the_very_omi_that_its_owner_named_is_taken(taking: Taking) -> None:
    omi = taking.account.register(NAME)
    with pytest.raises(
        CloudError,
        match=f"{NAME} is {omi} in the account, not ami-named, so it is not taken over; correct its entry of `adopt`",
    ):
        taking.run(taking.spec("ami-named"))
    assert taking.account.tags(omi) == {}
    taking.account.oapi.call("DeleteImage", ImageId=omi)
    with pytest.raises(CloudError, match="is not in the account, so it is not taken over"):
        taking.run(taking.spec(omi))


@pytest.mark.parametrize("login", ["alpine", None])
def test_no_sweep_takes_it_for_a_leftover_whatever_becomes_of_state_and_tags(taking: Taking, login: str | None) -> None:
    omi = taking.account.register(NAME, "of old")
    spec = taking.spec(omi, login=login)
    taking.run(spec)
    for without in ((), ("build-id",), (VERIFIED,), (STANDS_FOR, CLAIM, VERIFIED, STACK_ID, "build-id", "Name")):
        pairs = [{"Key": key, "Value": value} for key, value in taking.account.tags(omi).items() if key in without]
        if pairs:
            taking.account.oapi.call("DeleteTags", ResourceIds=[omi], Tags=pairs)
        search = Search(taking.account.cloud, Builds(spec.owner, frozenset({NAME})))
        assert not [left for find in search.kinds for left in find() if not left.stays], without


def test_a_prune_by_the_claim_deregisters_it_with_its_snapshot_and_no_other_image_loses_its_own(taking: Taking) -> None:
    account = taking.account
    omi = account.register(NAME)
    record = taking.run(taking.spec(omi))
    found, said = read_omi(account.cloud, omi), list[str]()
    delete_omi(account.cloud, found, record.snapshots, Ours(taking.spec(omi).owner.proof), said.append)
    assert account.left() == {}


def test_its_claim_counts_once_the_cloud_shows_it(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    """The delete of a replaced record follows at once."""
    omi = taking.account.register(NAME, "of old")
    stale, seen = read_omi(taking.account.cloud, omi), list[Omi | None]()

    def late(cloud: Cloud, omi_id: str) -> Omi | None:
        seen.append(read_omi(cloud, omi_id) if len(seen) > 1 else stale)
        return seen[-1]

    monkeypatch.setattr("omi.outscale.claims.read_omi", late)
    monkeypatch.setattr("omi.outscale.waiting.pause", lambda *_: None)
    record = taking.run(taking.spec(omi))
    assert [each.tags.get(CLAIM) if each else None for each in seen] == [None, None, record.claim]


def test_one_that_is_taken_over_again_while_its_stage_is_private_is_launched_by_nobody(taking: Taking) -> None:
    omi = taking.account.register(NAME, "of old")
    spec = taking.spec(omi, access=Access(public=True))
    taking.run(spec)
    share(taking.account.cloud, omi, spec.access)
    told = Withdrawal(why="revoked", shared=True, private=date(2026, 11, 20), reason="why")
    for withdrawal, launchers in ((None, {"all"}), (told, set())):
        record = taking.run(spec.model_copy(update={"withdrawal": withdrawal}))
        assert (record.omi, taking.account.launchers(omi)) == (omi, launchers)
    assert taking.account.tags(omi)["stage"] == "private"
    assert taking.account.image(omi)["Description"] == f"of old; {told}"


def test_tags_of_its_maker_that_are_named_like_those_of_a_stage_stay(taking: Taking) -> None:
    omi = taking.account.register(NAME, "of old", {"stage": "prod", "access": "by ticket"})
    taking.run(taking.spec(omi))
    assert taking.account.tags(omi).items() >= {"stage": "prod", "access": "by ticket"}.items()
    assert taking.account.image(omi)["Description"] == "of old"
