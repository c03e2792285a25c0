"""`claim`: a person makes this stack's record hold an image again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from omi.cli.main import main
from omi.cli.stack_lock import LOCKS
from omi.outscale.client import Cloud
from omi.outscale.images import read_omi
from omi.outscale.shapes import Omi
from omi.plan.held import Held
from omi.state.identity import Identity
from omi.state.image import ImageSpec
from omi.state.ledger import Ledger
from omi.state.owner import CLAIM
from tests.omi.conftest import Account
from tests.omi.plan.make import build, held, in_region
from tests.omi.specs import OWNER, make_record

OWN = "1111111111111111"
THEIRS = "2222222222222222"


@dataclass(frozen=True)
class Stack:
    """A stack whose state holds one image, and a person who types commands about it."""

    account: Account
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    folder: Path
    """The checkout, and the backend."""

    def hold(self, tags: dict[str, str] | None = None, claim: str | None = OWN) -> str:
        """Have state hold an image whose OMI has these tags beside its own; the OMI's id."""
        spec = self.account.spec()
        omi = self.account.register(spec.name, tags={**Identity(spec).tags, **(tags or {})})
        self.state(spec, omi, claim)
        return omi

    def state(self, spec: ImageSpec, omi: str, claim: str | None) -> None:
        held = {"verified": claim is not None, "adopted": claim is None, "claim": claim}
        record = make_record(omi=omi, account=self.account.id, **held)
        outputs = {"stdin": spec.to_json(), "stdout": record.to_json(), "create": "c", "update": "u", "delete": "d"}
        urn = f"urn:pulumi:test::alpine-omi::command:local:Command::{spec.name}"
        resource = {"urn": urn, "type": "command:local:Command", "outputs": outputs}
        self.monkeypatch.setattr("omi.cli.stack.exported_state", lambda _: {"resources": [resource]})

    def claim(self, image: str) -> tuple[int, str]:
        code = main(["claim", "-s", "test", image])
        seen = self.capsys.readouterr()
        return code, seen.out + seen.err


@pytest.fixture
def stack(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Stack:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stacks").mkdir()
    config = {"config": {"alpine-omi:region": "eu-west-2"}}
    (tmp_path / "stacks" / "Pulumi.test.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    monkeypatch.setattr("omi.cli.stack_lock.backend_url", lambda: f"file://{tmp_path}")
    return Stack(account, monkeypatch, capsys, tmp_path)


@pytest.mark.parametrize("before", [{CLAIM: THEIRS}, {}])
def test_a_lost_or_foreign_claim_is_written_again_and_the_rest_stays(stack: Stack, before: dict[str, str]) -> None:
    omi = stack.hold(before)
    tags = stack.account.tags(omi)
    code, said = stack.claim("alpine-3.23.6-x86_64-r0")
    assert code == 0, said
    assert f"before: {THEIRS if before else 'none'}" in said
    assert stack.account.tags(omi) == {**tags, CLAIM: OWN}
    code, said = stack.claim(omi)
    assert (code, "nothing is changed" in said) == (0, True)


def test_an_image_of_another_stack_id_is_refused_and_left(stack: Stack) -> None:
    omi = stack.hold({CLAIM: THEIRS, "stack-id": "fedcba9876543210"})
    before = stack.account.tags(omi)
    code, said = stack.claim(omi)
    assert code == 5
    assert (
        "its tag stack-id is fedcba9876543210, so it isn't this stack's to claim; `pulumi state delete -s test`" in said
    )
    assert stack.account.tags(omi) == before


def test_an_image_that_lost_its_stack_id_is_left_with_the_cure(stack: Stack) -> None:
    spec = stack.account.spec()
    omi = stack.account.register(spec.name)
    stack.state(spec, omi, OWN)
    code, said = stack.claim(omi)
    assert code == 5
    assert f"put its tag stack-id={OWNER.stack_id} back, and run this again" in said
    assert stack.account.tags(omi) == {}


def test_during_an_update_of_the_stack_nothing_is_claimed(stack: Stack) -> None:
    omi = stack.hold({CLAIM: THEIRS})
    lock = stack.folder / LOCKS / "test" / "lock.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"username": "ada", "hostname": "box", "pid": 7, "timestamp": "today"}))
    code, said = stack.claim(omi)
    assert (code, "currently locked by ada on box" in said) == (8, True), said
    assert stack.account.tags(omi)[CLAIM] == THEIRS
    lock.unlink()
    assert stack.claim(omi)[0] == 0
    assert list(lock.parent.iterdir()) == []


def test_it_waits_until_the_cloud_shows_the_claim(stack: Stack) -> None:
    """A prune right after it would still read another's claim, and drop the record."""
    omi, shown = stack.hold({CLAIM: THEIRS}), list[str]()

    def read(cloud: Cloud, omi_id: str) -> Omi | None:
        found = read_omi(cloud, omi_id)
        shown.append(found.tags[CLAIM] if found else "")
        late = found is not None and len(shown) < 4
        return found.model_copy(update={"tags": {**found.tags, CLAIM: THEIRS}}) if found and late else found

    stack.monkeypatch.setattr("omi.outscale.claims.read_omi", read)
    stack.monkeypatch.setattr("omi.outscale.waiting.pause", lambda *_: None)
    assert stack.claim(omi)[0] == 0
    assert shown == [THEIRS, OWN, OWN, OWN]


def test_an_external_image_is_refused_and_left(stack: Stack) -> None:
    omi = stack.hold({CLAIM: THEIRS}, claim=None)
    before = stack.account.tags(omi)
    code, said = stack.claim(omi)
    assert code == 2
    assert "was not made by this stack" in said
    assert stack.account.tags(omi) == before


def test_an_image_that_the_stack_lacks_is_named(stack: Stack) -> None:
    stack.hold()
    code, said = stack.claim("alpine-3.23.6-x86_64-r9")
    assert (code, said.count("\n")) == (2, 1)
    assert "'alpine-3.23.6-x86_64-r9': is not the stack's" in said


def test_of_an_image_in_several_regions_the_omis_id_must_be_given(stack: Stack) -> None:
    image = held(build(), "3.23.6")
    ledger = Ledger.of([image, in_region(image, "us-east-2")])
    stack.monkeypatch.setattr("omi.cli.claim.read_stack", lambda _: (None, Held(OWNER, ledger)))
    code, said = stack.claim(image.name)
    assert (code, said.count("\n")) == (2, 1)
    assert "is in several Regions; give the OMI's id" in said


def test_an_image_that_the_account_lacks_is_named(stack: Stack) -> None:
    stack.state(stack.account.spec(), "ami-0123abcd", OWN)
    code, said = stack.claim("ami-0123abcd")
    assert code == 5
    assert "is not in the account" in said
