"""`rebuild` and `fork`: what a person asks of a stack, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from omi.cli.main import main
from omi.config.regions import regions_of
from omi.config.settings import Recovery, Settings
from omi.plan.held import Held
from omi.plan.survey import Survey
from omi.profile.load import Profile
from omi.profile.model import Target
from omi.state.account import AccountView
from omi.state.ledger import Ledger
from tests.omi.plan.make import TODAY, build, held, upstream
from tests.omi.specs import OWNER

BUILD = build()
NEW = held(BUILD, "3.23.6")


def digest(of: Target, release: str) -> str:
    return f"sha256:{of.user}" + (f" again {of.again}" if of.again else "")


@dataclass
class Desk:
    """A stack that holds an image, and what the commands do to it."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    settings: Settings = field(default_factory=lambda: Settings(region="eu-west-2"))
    ledger: Ledger = field(default_factory=lambda: Ledger.of([NEW]))
    builds: tuple[Target, ...] = (BUILD,)
    done: list[object] = field(default_factory=list)

    def run(self, command: str, *arguments: str) -> tuple[int, str]:
        known = Held(OWNER, self.ledger)
        for module in ("rebuild", "fork"):
            self._patch(f"omi.cli.{module}.read_stack", lambda _: (self.settings, known))
        self._patch("omi.cli.rebuild.survey_stack", self._survey)
        self._patch("omi.cli.rebuild.configure", self._configure)
        self._patch("omi.cli.fork.empty_state", self.done.append)
        self._patch("omi.plan.planning._digest", digest)
        code = main([command, "-s", "test", *arguments])
        seen = self.capsys.readouterr()
        return code, seen.out + seen.err

    def _patch(self, name: str, function: Callable[..., object]) -> None:
        self.monkeypatch.setattr(name, function)

    def _survey(self, settings: Settings, known: Held) -> Survey:
        accounts = {"eu-west-2": AccountView()}
        return Survey(
            Profile("alpine", self.builds),
            upstream("3.23.6"),
            regions_of(settings, known.ledger),
            accounts,
            TODAY,
            known.owner,
        )

    def _configure(self, stack: str, key: str, values: Mapping[str, object]) -> None:
        self.done.append((stack, key, dict(values)))


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(monkeypatch, capsys)


def test_rebuild_counts_up_and_says_which_revision_comes(desk: Desk) -> None:
    code, said = desk.run("rebuild", "v3_23")
    assert code == 0, said
    assert desk.done == [("test", "again", {'["v3_23"]': 1})]
    assert f"build {BUILD.image_name('3.23.6', 1)}: revision r1: asked for again (1)" in said
    desk.settings = Settings(region="eu-west-2", again={"v3_23": 4, "other": 2})
    desk.run("rebuild", "v3_23")
    assert desk.done[1:] == [("test", "again", {'["v3_23"]': 5})]


def test_rebuild_of_an_unknown_or_pinned_build_is_refused(desk: Desk) -> None:
    code, said = desk.run("rebuild", "v3_24")
    assert (code, "build 'v3_24': is none of the profile's; there are: v3_23" in said) == (2, True)
    desk.builds = (BUILD.model_copy(update={"revision": 0}),)
    code, said = desk.run("rebuild", "v3_23")
    assert (code, "`revision: 0` pins it" in said) == (2, True)
    assert desk.done == []


def test_fork_lists_and_empties_the_state_only_with_yes(desk: Desk) -> None:
    code, said = desk.run("fork")
    assert (code, desk.done) == (0, [])
    assert NEW.record.omi in said
    assert "Nothing is changed yet" in said
    code, said = desk.run("fork", "--yes")
    assert (code, desk.done) == (0, ["test"])
    assert OWNER.stack_id in said


def test_fork_is_refused_where_it_would_be_undone_or_does_nothing(desk: Desk) -> None:
    desk.settings = Settings(region="eu-west-2", recover=Recovery(stack_id=OWNER.stack_id))
    code, said = desk.run("fork", "--yes")
    assert (code, "pulumi config rm recover" in said) == (2, True)
    desk.settings, desk.ledger = Settings(region="eu-west-2"), Ledger()
    code, said = desk.run("fork", "--yes")
    assert (code, "holds no image" in said) == (2, True)
    assert desk.done == []
