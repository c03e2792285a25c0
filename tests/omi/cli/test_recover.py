"""`recover`: whose images a person means, and what the command writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from omi.cli.main import main
from omi.config.regions import regions_of
from omi.config.settings import Recovery, Settings
from omi.plan.held import Held, read_state
from omi.plan.survey import Survey
from omi.profile.load import Profile
from omi.state.account import AccountImage, AccountView
from omi.state.identity import Identity
from omi.state.ledger import Ledger, LedgerImage
from omi.state.owner import VERIFIED, Owner
from omi.support.errors import SettingsError
from tests.omi.plan.make import TODAY, build, digest, held, upstream
from tests.omi.specs import OWNER

BUILD = build()
OLD, NEW = held(BUILD, "3.23.5"), held(BUILD, "3.23.6")
OTHER_ID = "fedcba9876543210"


def in_account(image: LedgerImage, stack_id: str = OWNER.stack_id, stack: str = OWNER.stack) -> AccountImage:
    spec = image.spec.model_copy(update={"stack_id": stack_id, "stack": stack})
    tags = {**Identity(spec).tags, VERIFIED: "yes"}
    return AccountImage(image.name, image.record.omi, tags, Identity(spec).description, digest=image.spec.digest)


@dataclass
class Person:
    """Who types the command, about an account and a state."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    images: tuple[AccountImage, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    stack_id: str | None = None
    """That state keeps."""
    asked: Recovery | None = None
    """That an earlier run of the command left in the config."""
    written: dict[str, object] = field(default_factory=dict)

    def recover(self, *arguments: str) -> tuple[int, str]:
        owner = Owner(OWNER.project, OWNER.stack, self.stack_id or "0" * 16)
        known = Held(owner, self.ledger, is_fresh=self.stack_id is None)
        settings = Settings(region="eu-west-2", recover=self.asked)
        self.monkeypatch.setattr("omi.cli.recover.read_stack", lambda _: (settings, known))
        self.monkeypatch.setattr("omi.cli.recover.survey_stack", self._survey)
        self.monkeypatch.setattr("omi.cli.recover.configure", self._configure)
        self.monkeypatch.setattr("omi.cli.recover.unset", self._unset)
        self.monkeypatch.setattr("omi.plan.planning.image_digest", digest)
        code = main(["recover", "-s", OWNER.stack, *arguments])
        seen = self.capsys.readouterr()
        return code, seen.out + seen.err

    def _survey(self, settings: Settings, known: Held) -> Survey:
        images = [replace(each, managed=known.owner.owns_omi(each.name, each.tags)) for each in self.images]
        accounts = {"eu-west-2": AccountView.of(images, "123456789012")}
        return Survey(
            Profile("alpine", (BUILD,)),
            upstream("3.23.6"),
            regions_of(settings, known.ledger),
            accounts,
            TODAY,
            known.owner,
        )

    def _configure(self, stack: str, key: str, values: Mapping[str, object]) -> None:
        self.written |= {f"{key}{path}": value for path, value in values.items()}

    def _unset(self, stack: str, key: str) -> None:
        self.written = {path: value for path, value in self.written.items() if not path.startswith(key)}


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(monkeypatch, capsys)


def test_the_only_stack_of_the_name_is_meant_and_nothing_is_written_without_yes(person: Person) -> None:
    person.images = in_account(OLD), in_account(NEW), in_account(held(BUILD, "3.23.4"), OTHER_ID, "another")
    code, said = person.recover()
    assert code == 0, said
    assert "2 to recover" in said
    assert "Nothing is changed yet. --yes writes it" in said
    assert person.written == {}
    assert person.recover("--yes")[0] == 0
    assert person.written == {"recover.stack_id": OWNER.stack_id}


def test_of_several_stacks_of_the_name_one_must_be_named(person: Person) -> None:
    person.images = in_account(OLD), in_account(NEW, OTHER_ID)
    code, said = person.recover("--yes")
    assert code == 2
    assert f"give --stack-id; verified images of this project and stack bear: {OWNER.stack_id} (1 images), " in said
    assert person.written == {}
    assert person.recover("--yes", "--stack-id", OTHER_ID)[0] == 0
    assert person.written == {"recover.stack_id": OTHER_ID}
    person.asked = Recovery(stack_id=OTHER_ID)
    assert person.recover("--yes")[0] == 0, "the config names it"
    assert person.written == {"recover.stack_id": OTHER_ID}


def test_an_account_without_such_images_is_said(person: Person) -> None:
    person.images = (in_account(NEW, OTHER_ID, "another"),)
    code, said = person.recover()
    assert (code, "bear: none" in said) == (2, True)
    code, said = person.recover("--stack-id", OWNER.stack_id)
    assert code == 2
    assert "holds no verified image of the stack id" in said


def test_why_an_image_is_left_is_part_of_the_error_and_nothing_else_is(person: Person) -> None:
    unverified = in_account(NEW)
    person.images = (replace(unverified, tags={**unverified.tags, VERIFIED: "no"}, description=""),)
    code, said = person.recover("--stack-id", OWNER.stack_id)
    assert code == 2
    assert f"; recover: {NEW.record.omi} ({NEW.name}) is left: neither tag nor description marks it" in said
    assert said.count("; ") == 1, said


def test_a_state_with_an_id_recovers_its_own_alone(person: Person) -> None:
    person.stack_id, person.ledger = OWNER.stack_id, Ledger.of([NEW])
    person.images = in_account(OLD), in_account(NEW)
    code, said = person.recover("--stack-id", OTHER_ID)
    assert (code, f"this state is of the stack id {OWNER.stack_id} already" in said) == (2, True)
    code, said = person.recover(OLD.name, "--yes")
    assert code == 0, said
    assert person.written == {"recover.stack_id": OWNER.stack_id, "recover.images[0]": OLD.name}
    assert person.recover("--stack-id", OWNER.stack_id)[0] == 0, "its own may be given"
    code, said = person.recover(OLD.name, "alpine-r9", "--yes")
    assert (code, "no verified image named alpine-r9 of the stack id" in said) == (2, True)


def test_what_an_earlier_run_asked_for_is_replaced_and_not_added_to(person: Person) -> None:
    person.images = in_account(OLD), in_account(NEW)
    person.asked = Recovery(stack_id=OWNER.stack_id, images=(OLD.name,))
    person.written = {"recover.stack_id": OWNER.stack_id, "recover.images[0]": OLD.name, "retention.keep": 1}
    code, said = person.recover()
    assert (code, "2 to recover" in said, len(person.written)) == (0, True, 3), said
    assert person.recover("--yes")[0] == 0
    assert person.written == {"recover.stack_id": OWNER.stack_id, "retention.keep": 1}


def test_an_empty_state_takes_the_recovered_id_and_another_refuses_it() -> None:
    assert read_state({}, "p", "s", OTHER_ID).owner.stack_id == OTHER_ID
    stash = {"type": "pulumi:index:Stash", "outputs": {"output": OWNER.stack_id, "input": OWNER.stack_id}}
    state = {"urn:pulumi:s::p::pulumi:index:Stash::stack-id": stash}
    assert read_state(state, "p", "s", OWNER.stack_id).owner.stack_id == OWNER.stack_id
    with pytest.raises(SettingsError, match=f"this state is of the stack id {OWNER.stack_id}"):
        read_state(state, "p", "s", OTHER_ID)
