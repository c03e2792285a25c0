"""`sweep`: what it lists, removes with `--yes`, and refuses, with nothing changed then."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest

from omi.build.packer.inputs import RunFolder
from omi.build.trial import trial_name
from omi.cli.sweep import SweepFindings, _show, find_leftovers
from omi.config.regions import KnownRegion
from omi.config.settings import Settings
from omi.config.stack import PROJECT
from omi.outscale.sweep import Leftover
from omi.plan.held import MEMORY, REGIONS, STASH_TYPE
from omi.plan.memory import Memory
from omi.state.identity import Identity
from omi.state.ledger import COMMAND_TYPE
from omi.state.owner import GOING, Owner, going_mark
from omi.support.errors import CloudError
from omi.support.locks import LockedError, hold
from omi.support.places import BUILD, file_name_of
from tests.omi.cli.swept import STACK, Swept, swept
from tests.omi.specs import OWNER, make_access
from tests.sandbox.client import Oapi, empty_volume, register, snapshot

__all__ = ["swept"]

HOLD = """
import fcntl, sys
with open(sys.argv[1], "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    input()
"""


@pytest.fixture
def bystanders(swept: Swept) -> Iterator[set[str]]:
    """Images that only look like leftovers; at the end all are there with their tags."""
    account, name = swept.account, "alpine-3.23.6-x86_64-r1"
    tags = dict(Identity(account.spec(name=name, revision=1)).tags)
    made = {
        account.register(f"{name}-eu", tags=tags),
        account.register("alpine-3.23.5-x86_64-r0", tags={**tags, "stack-id": "another", "stack": STACK}),
        account.register("of-somebody"),
    }
    before = [each for each in swept.inventory["image"] if each["id"] in made]
    yield made
    assert [each for each in swept.inventory["image"] if each["id"] in made] == before


def test_it_lists_what_is_left_and_changes_nothing_without_yes(swept: Swept, bystanders: set[str]) -> None:
    before = swept.inventory
    code, text = swept.run()
    assert (code, swept.inventory) == (0, before)
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["KIND", "ID", "NAME", "WHY"]
    assert [swept.lost] == [row[1] for row in rows if row[0] == "image" and row[-1] != "stays"]
    assert len([row for row in rows if row[-1] == "stays"]) == 1, "the one with our tags and another name"
    assert swept.held not in text
    assert "--yes removes these" in text
    assert not (swept.folder / ".pulumi").exists()


def test_with_yes_it_removes_just_that_and_a_second_time_nothing(swept: Swept, bystanders: set[str]) -> None:
    code, text = swept.run("--yes")
    assert code == 0, text
    assert f"removed image {swept.lost}" in text
    assert swept.images == {swept.held, *bystanders}
    assert swept.exports == 2, "state is read again before anything is removed"
    code, text = swept.run("--yes")
    assert code == 0
    assert "removed" not in text
    assert list((swept.folder / ".pulumi").rglob("*.json")) == []


def test_what_was_not_listed_is_not_removed(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    later = Identity(swept.account.spec(name="alpine-3.23.6-x86_64-r2", revision=2))
    made: list[str] = []

    def show(found: Any) -> None:
        _show(found)
        made.append(swept.account.register(later.spec.name, tags=dict(later.tags)))

    monkeypatch.setattr("omi.cli.sweep._show", show)
    code, text = swept.run("--yes")
    assert code == 0, text
    assert swept.images == {swept.held, *made}


def test_where_nothing_is_left_it_says_so(swept: Swept) -> None:
    swept.account.oapi.call("DeleteImage", ImageId=swept.lost)
    for arguments in ((), ("--yes",)):
        assert swept.run(*arguments) == (0, "Nothing is left over.\n")


def test_an_interrupted_update_hinders_no_list(swept: Swept) -> None:
    swept.backend, swept.pending = "https://api.pulumi.com", ["creating"]
    code, text = swept.run()
    assert code == 0
    assert swept.lost in text


def test_what_state_holds_by_the_second_reading_stays(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    first = swept.pulumi
    outputs = swept.resources[0]["outputs"]
    taken = json.loads(outputs["stdout"]) | {"omi": swept.lost, "name": "alpine-3.23.6-x86_64-r1"}
    spec = json.loads(outputs["stdin"]) | {"name": "alpine-3.23.6-x86_64-r1", "revision": 1}

    def then(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        done = first(command)
        if "export" in command and swept.exports == 1:
            urn = f"{swept.resources[0]['urn']}-2"
            more = outputs | {"stdout": json.dumps(taken), "stdin": json.dumps(spec)}
            swept.resources.append({"urn": urn, "type": COMMAND_TYPE, "outputs": more})
        return done

    monkeypatch.setattr("omi.config.stack._run", then)
    code, text = swept.run("--yes")
    assert code == 0, text
    assert {swept.held, swept.lost} <= swept.images


@pytest.mark.parametrize(
    "where", ["alpine-3.23.6-x86_64-r1", "alpine-3.20.0-x86_64-r0", "alpine-3.23.6-x86_64-r1@us-1"]
)
@pytest.mark.parametrize("arguments", [(), ("--yes",)], ids=["list", "yes"])
def test_while_a_build_runs_it_refuses(swept: Swept, where: str, arguments: tuple[str, ...]) -> None:
    lock = BUILD / STACK / file_name_of(where) / "lock"
    lock.parent.mkdir(parents=True)
    command = [sys.executable, "-c", HOLD, str(lock)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        swept.refuses(6, f"a build of {where} is running", *arguments)
    finally:
        other.communicate("\n", timeout=30)
    assert swept.run("--yes")[0] == 0
    assert swept.images == {swept.held}


def test_a_build_that_begins_after_the_list_is_noticed(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run folder is not there yet when the list is made."""
    lock = BUILD / STACK / "alpine-3.23.6-x86_64-r1" / "lock"
    others: list[subprocess.Popen[str]] = []

    def begin(found: Any) -> None:
        _show(found)
        lock.parent.mkdir(parents=True)
        command = [sys.executable, "-c", HOLD, str(lock)]
        others.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert others[0].stdout
        assert others[0].stdout.readline() == "held\n"

    monkeypatch.setattr("omi.cli.sweep._show", begin)
    try:
        swept.refuses(6, "is running", "--yes")
    finally:
        others[0].communicate("\n", timeout=30)


def test_while_an_update_holds_the_stacks_lock_it_refuses(swept: Swept) -> None:
    lock = swept.folder / ".pulumi" / "locks" / "organization" / PROJECT / STACK / "some.json"
    lock.parent.mkdir(parents=True)
    lock.write_text("{}")
    swept.refuses(8, f"locked by {lock}: wait for the end of that update", "--yes")
    assert [each.name for each in lock.parent.iterdir()] == ["some.json"]
    assert swept.run()[0] == 0, "to list them needs no lock"


def test_where_the_lock_cant_be_had_pending_operations_count_as_an_update(swept: Swept) -> None:
    swept.backend, swept.pending = "https://api.pulumi.com", ["creating"]
    swept.refuses(8, "pending operations, so an update may run", "--yes")
    swept.pending = []
    assert swept.run("--yes")[0] == 0
    assert swept.images == {swept.held}


def test_a_lock_in_a_bucket_is_read(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    swept.backend, found = "s3://bucket", ["ada on box"]
    monkeypatch.setattr("omi.cli.stack_lock.holders", lambda *_: found)
    swept.refuses(8, "locked by ada on box: wait for the end of that update", "--yes")
    found.clear()
    assert swept.run("--yes")[0] == 0


def test_another_accounts_key_sweeps_nothing(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    second = swept.account.sandbox.profiles["second"]
    monkeypatch.setenv("OSC_ACCESS_KEY", second["access_key"])
    monkeypatch.setenv("OSC_SECRET_KEY", second["secret_key"])
    swept.refuses(3, f"belongs to account {swept.account.id}", "--yes")


def test_a_key_of_another_account_than_the_setting_says_sweeps_nothing(swept: Swept) -> None:
    swept.resources.clear()  # no image whose account could be compared
    swept.configure(account=swept.account.other_id)
    swept.refuses(3, "by the setting `account`", "--yes", "--stack-id", OWNER.stack_id)
    swept.configure(account=swept.account.id)
    assert swept.run("--yes", "--stack-id", OWNER.stack_id)[0] == 0
    assert swept.images == {swept.held}


def test_an_empty_state_is_refused_unless_the_stack_id_is_given(swept: Swept, bystanders: set[str]) -> None:
    swept.resources.clear()
    swept.refuses(2, "`--stack-id ID`", "--yes")
    swept.refuses(2, "`--stack-id ID`")
    code, text = swept.run("--yes", "--stack-id", OWNER.stack_id)
    assert code == 0, text
    assert swept.images == {swept.held, *bystanders}, "what was verified stays"


def test_another_stacks_id_is_refused(swept: Swept) -> None:
    swept.refuses(2, f"has the id {OWNER.stack_id}", "--yes", "--stack-id", "0" * 16)
    assert swept.run("--yes", "--stack-id", OWNER.stack_id)[0] == 0


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_protected_image_stays(swept: Swept, by: str) -> None:
    swept.configure(retention={"protect": [swept.lost if by == "id" else "alpine-3.23.6-x86_64-r1"]})
    before = swept.inventory
    code, text = swept.run()
    assert (code, "--yes removes" in text) == (0, False), "nothing would go"
    code, text = swept.run("--yes")
    assert (code, swept.inventory) == (0, before)
    assert "is protected; stays" in text


def test_a_region_without_leftovers_hides_none_of_another(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(*given: Any) -> list[SweepFindings]:
        (found,) = find_leftovers(*given)
        return [replace(found, things=()), found]

    monkeypatch.setattr("omi.cli.sweep.find_leftovers", find)
    code, text = swept.run("--yes")
    assert code == 0
    assert f"removed image {swept.lost}" in text


def test_a_region_that_gives_no_answer_any_more_before_the_removal_stops_it(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[list[SweepFindings]] = []

    def find(*given: Any) -> list[SweepFindings]:
        rounds.append(find_leftovers(*given))
        failed = replace(rounds[-1][0], search=None, failure=CloudError("no answer")) if len(rounds) == 2 else None
        return [*rounds[-1], *([failed] if failed else [])]

    monkeypatch.setattr("omi.cli.sweep.find_leftovers", find)
    swept.refuses(5, "no answer", "--yes")
    assert len(rounds) == 2


@pytest.mark.parametrize("allowed", ["all", "eu-west-2", "alpine-3.23.6-x86_64-r1"])
def test_more_than_the_guard_allows_is_refused_as_a_whole(swept: Swept, allowed: str) -> None:
    swept.configure(retention={"max_prunes": 0})
    line = swept.refuses(9, "1 images would be removed at once, more than 0 (retention.max_prunes)", "--yes")
    assert "alpine-3.23.6-x86_64-r1" in line
    swept.configure(retention={"max_prunes": 0, "allow_mass_prune": [allowed]})
    assert swept.run("--yes")[0] == 0
    assert swept.images == {swept.held}


def test_a_snapshot_that_packers_log_names_goes(swept: Swept) -> None:
    oapi = swept.account.oapi
    volume = empty_volume(oapi)
    taken, other = snapshot(oapi, volume), snapshot(oapi, empty_volume(oapi))
    folder = RunFolder(BUILD / STACK / "alpine-3.23.6-x86_64-r1")
    folder.path.mkdir(parents=True)
    folder.packer_log.write_text(f"==> x: Creating snapshot of EBS Volume {volume}...\n")
    folder.manifest.write_text("{}")
    assert swept.run("--yes")[0] == 0
    assert {taken, other} <= {each["id"] for each in swept.inventory["snapshot"]}, "that Packer ended well"
    folder.manifest.unlink()
    assert swept.run("--yes")[0] == 0
    there = {each["id"] for each in swept.inventory["snapshot"]}
    assert other in there
    assert taken not in there


def test_a_snapshot_that_state_holds_is_left_to_the_prune_that_was_interrupted(swept: Swept) -> None:
    oapi, identity = swept.account.oapi, Identity(swept.account.spec())
    (disk,) = json.loads(swept.resources[0]["outputs"]["stdout"])["snapshots"]
    oapi.call("DeleteImage", ImageId=swept.held)
    tags = {**identity.tags, GOING: going_mark(OWNER.stack_id, disk)}
    oapi.call("CreateTags", ResourceIds=[disk], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    code, text = swept.run("--yes")
    assert code == 0, text
    assert disk in {each["id"] for each in swept.inventory["snapshot"]}
    swept.resources.clear()
    code, text = swept.run("--yes", "--stack-id", OWNER.stack_id)
    assert code == 0, text
    assert disk not in {each["id"] for each in swept.inventory["snapshot"]}, "no state holds it any more"


def left_image(swept: Swept, revision: int) -> str:
    """A further image that a build left unverified."""
    identity = Identity(swept.account.spec(name=f"alpine-3.23.6-x86_64-r{revision}", revision=revision))
    return swept.account.register(identity.spec.name, tags=dict(identity.tags))


def test_the_guard_counts_images_alone_and_of_them_those_that_nobody_allowed(swept: Swept) -> None:
    left_image(swept, 2)
    swept.account.oapi.call("CreateKeypair", KeypairName=Identity(swept.account.spec()).build_key)
    for allowed in ([], ["alpine-3.23.6-x86_64-r3", "us-east-2"]):
        swept.configure(retention={"max_prunes": 1, "allow_mass_prune": allowed})
        line = swept.refuses(9, "2 images would be removed at once, more than 1 (retention.max_prunes)", "--yes")
        assert "alpine-3.23.6-x86_64-r1, alpine-3.23.6-x86_64-r2" in line
    swept.configure(retention={"max_prunes": 1, "allow_mass_prune": ["alpine-3.23.6-x86_64-r2"]})
    assert swept.run("--yes")[0] == 0
    assert swept.images == {swept.held}
    assert swept.inventory["keypair"] == []


def test_more_than_half_is_of_the_images_that_state_holds_and_those_that_are_left(swept: Swept) -> None:
    left_image(swept, 2)
    left_image(swept, 3)
    swept.refuses(9, "3 images would be removed at once, more than half of them", "--yes")
    swept.account.oapi.call("DeleteImage", ImageId=swept.lost)
    assert swept.run("--yes")[0] == 0, "two of three"
    assert swept.images == {swept.held}


def test_keypairs_go_whose_build_follows_from_state_or_a_run_folder_and_no_other(swept: Swept) -> None:
    """They bear no tags: of an image that state holds, of its next revision, of one that was built here once."""
    names = ("alpine-3.23.6-x86_64-r0", "alpine-3.23.6-x86_64-r1", "alpine-3.20.0-x86_64-r0", "alpine-3.19.0-x86_64-r0")
    keys = [Identity(swept.account.spec(name=name)).build_key for name in names]
    swept.account.oapi.call("DeleteImage", ImageId=swept.lost)
    for key in keys:
        swept.account.oapi.call("CreateKeypair", KeypairName=key)
    (BUILD / STACK / file_name_of(names[2])).mkdir(parents=True)
    (BUILD / STACK / "notes.txt").write_text("of a person")
    code, text = swept.run("--yes")
    assert code == 0, text
    assert [each["name"] for each in swept.inventory["keypair"]] == [keys[3]]
    assert keys[3] in text, "nothing shows of which image it is"


def test_a_try_that_somebody_may_use_is_listed_and_stays(swept: Swept) -> None:
    tries = Owner(OWNER.project, f"{STACK}+try", "fedcba9876543210")
    named = {"name": trial_name("web", tries.stack_id), "stack": tries.stack, "stack_id": tries.stack_id}
    kept = swept.account.register(named["name"], tags=dict(Identity(swept.account.spec(**named)).tags))
    code, text = swept.run()
    assert code == 0, text
    (line,) = [line for line in text.splitlines() if line.startswith("try ")]
    assert f"image {kept}" in line
    assert line.endswith(f"if nobody does, `python -m omi try -s {STACK} web --remove --yes` removes it; stays")
    assert swept.run("--yes")[0] == 0
    assert swept.images == {swept.held, kept}


def test_what_the_last_update_protected_stays_until_the_next_one(swept: Swept) -> None:
    kept = Memory(protected=("alpine-3.23.6-x86_64-r1",)).model_dump(mode="json")
    urn = f"urn:pulumi:{STACK}::{PROJECT}::{STASH_TYPE}::{MEMORY}"
    swept.resources.append({"urn": urn, "type": STASH_TYPE, "outputs": {"input": kept, "output": {}}})
    before = swept.inventory
    code, text = swept.run("--yes")
    assert (code, swept.inventory) == (0, before)
    assert "is protected; stays" in text


def test_no_build_of_what_it_removes_can_begin_meanwhile(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def remove(*_: Any) -> None:
        for run in ("alpine-3.23.6-x86_64-r1", "alpine-3.23.6-x86_64-r1@eu-west-2"):
            with pytest.raises(LockedError), hold(BUILD / STACK / file_name_of(run) / "lock", "building", limit=0):
                pass
            tried.append(run)

    monkeypatch.setattr("omi.cli.sweep.remove_leftovers", remove)
    assert swept.run("--yes")[0] == 0
    assert len(tried) == 2


def test_a_run_folder_that_cannot_be_had_removes_nothing(swept: Swept) -> None:
    (BUILD / STACK).mkdir(parents=True)
    (BUILD / STACK / file_name_of("alpine-3.23.6-x86_64-r1")).write_text("in its place")
    swept.refuses(6, "cannot be written", "--yes")


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("copies", [True, False])
def test_buckets_are_looked_for_only_where_images_are_or_were_copied(
    swept: Swept, monkeypatch: pytest.MonkeyPatch, *, copied: bool, copies: bool
) -> None:
    dropped: list[str] = []

    class Store:
        def drop(self, bucket: str, _: object) -> None:
            dropped.append(bucket)

    monkeypatch.setattr("omi.cli.sweep.ObjectStore", lambda *_: Store())
    monkeypatch.setattr("omi.cli.sweep.find_buckets", lambda *_: [Leftover("bucket", "omi-left", "", "left")])
    outputs = swept.resources[0]["outputs"]
    record = json.loads(outputs["stdout"]) | {"copied_from": "us-east-2:ami-1" if copied else None}
    outputs["stdout"] = json.dumps(record)
    if copies:
        monkeypatch.setattr(Settings, "copies", True)
    assert swept.run("--yes")[0] == 0
    assert dropped == (["omi-left"] if copied or copies else [])


THERE = "us-east-2"


@dataclass
class LeftRegion:
    """A Region that the stack's config names no longer; the memory in its state does."""

    swept: Swept
    oapi: Oapi
    lost: str
    """An unverified image that a build of the stack left there."""

    def remember(self, **changes: Any) -> None:
        """Keep the Region in the stack's state, in place of what that kept of it before."""
        profile, cloud = self.oapi.profile, self.swept.account.access
        access = make_access(
            region=THERE,
            api=profile["endpoints"]["api"],
            oos=profile["endpoints"].get("oos"),
            ca_file=cloud.ca_file,
            own_key=True,
            osc_file=str(self.swept.folder / "osc.json"),
            osc_profile="main-us",
        )
        known = KnownRegion(**{"cloud": access, "left": date(2026, 11, 1), **changes})
        urn = f"urn:pulumi:{STACK}::{PROJECT}::{STASH_TYPE}::{REGIONS}"
        kept = {"urn": urn, "type": STASH_TYPE, "outputs": {"input": {THERE: known.model_dump_json()}, "output": {}}}
        self.swept.resources[:] = [each for each in self.swept.resources if each["urn"] != urn] + [kept]

    @property
    def images(self) -> set[str]:
        kinds = self.swept.account.sandbox.control("GET", "inventory")["main-us"]["resources"]
        return {each["id"] for each in kinds["image"]}


@pytest.fixture
def left(swept: Swept) -> LeftRegion:
    sandbox = swept.account.sandbox
    oapi, profile = sandbox.oapi("main-us"), sandbox.profiles["main-us"]
    keys = {key: profile[key] for key in ("access_key", "secret_key", "region")}
    (swept.folder / "osc.json").write_text(json.dumps({"main-us": keys}))
    identity = Identity(swept.account.spec(name="alpine-3.23.6-x86_64-r0"))
    omi = register(oapi, identity.spec.name, snapshot(oapi, empty_volume(oapi)))
    tags = [{"Key": key, "Value": value} for key, value in identity.tags.items()]
    oapi.call("CreateTags", ResourceIds=[omi], Tags=tags)
    made = LeftRegion(swept, oapi, omi)
    made.remember()
    return made


def test_what_is_left_in_a_region_that_left_the_config_is_listed_and_removed(swept: Swept, left: LeftRegion) -> None:
    theirs = register(left.oapi, "of-somebody", snapshot(left.oapi, empty_volume(left.oapi)))
    code, text = swept.run()
    assert code == 0
    rows = [line.split() for line in text.splitlines()]
    assert [row[:3] for row in rows if row[0] == THERE] == [[THERE, "image", left.lost]]
    code, text = swept.run("--yes")
    assert code == 0, text
    assert (left.images, swept.images) == ({theirs}, {swept.held})
    assert swept.run("--yes") == (0, "Nothing is left over.\n")


@pytest.mark.parametrize("why", ["no key", "another account", "no answer"])
def test_a_region_that_left_the_config_and_cant_be_read_is_said_and_hides_nothing(
    swept: Swept, left: LeftRegion, why: str
) -> None:
    if why == "no key":
        (swept.folder / "osc.json").write_text("{}")
    elif why == "another account":
        left.remember(account="000000000009")
    else:
        swept.account.sandbox.control("POST", "faults", {"action": "*", "status": 403, "region": THERE, "times": -1})
    for _ in range(2):
        code, text = swept.run("--yes")
        assert (code, swept.images) == (0, {swept.held}), text
        (line,) = [line for line in text.splitlines() if line.startswith("not searched: ")]
        assert line.startswith(f"not searched: Region {THERE}: ")
        assert line.endswith("it is no longer in the stack's config, but leftovers there need its key")
        assert "Nothing is left over." not in text
    assert "Nothing is left over elsewhere." in text, "the first time removed it"
    assert left.lost in left.images


def test_a_region_of_the_config_that_cant_be_read_still_stops_the_sweep(swept: Swept) -> None:
    swept.account.sandbox.control("POST", "faults", {"action": "*", "status": 403, "times": -1})
    code, text = swept.run("--yes")
    assert (code, "Nothing is left over" in text) == (5, False)


@pytest.mark.parametrize("copied", [date(2026, 11, 1), None], ids=["copied", "built"])
def test_the_buckets_of_copies_are_looked_for_where_they_were_made_from_though_nothing_is_copied_any_more(
    swept: Swept, left: LeftRegion, monkeypatch: pytest.MonkeyPatch, copied: date | None
) -> None:
    left.remember(copied=copied)
    asked: list[str] = []

    def find(store: Any, *_: Any) -> list[Leftover]:
        asked.append(store)
        return [Leftover("bucket", "omi-left", "", "left")]

    monkeypatch.setattr("omi.cli.sweep.ObjectStore", lambda access, _: access.region)
    monkeypatch.setattr("omi.cli.sweep.find_buckets", find)
    code, text = swept.run()
    assert (code, asked, "omi-left" in text) == (0, [THERE] if copied else [], copied is not None)


def test_a_store_that_refuses_a_stack_that_copies_no_longer_hides_nothing_else(
    swept: Swept, left: LeftRegion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> list[Leftover]:
        raise CloudError("it may not list buckets")

    left.remember(copied=date(2026, 11, 1))
    monkeypatch.setattr("omi.cli.sweep.find_buckets", refuse)
    code, text = swept.run("--yes")
    assert code == 0, text
    assert f"not searched: buckets of copies in Region {THERE}: it may not list buckets" in text
    assert (left.images, swept.images) == (set(), {swept.held})
