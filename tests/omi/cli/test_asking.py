"""`build`, `prune` and `fork`: what a person asks of a stack, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from omi.cli.main import main
from omi.config.one_off import OneOff, PruneLevel, asked
from omi.config.regions import regions_of
from omi.config.settings import Level, Recovery, Retention, Settings
from omi.plan.held import Held
from omi.plan.survey import Survey
from omi.profile.load import Profile
from omi.profile.model import Access, Target
from omi.state.account import AccountView
from omi.state.ledger import Ledger
from omi.support.errors import SettingsError
from tests.omi.plan.make import TODAY, build, held, seen, upstream
from tests.omi.specs import OWNER

BUILD = build()
NEW = held(BUILD, "3.23.6")


def digest(of: Target, release: str, _files: object) -> str:
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
        for module in ("one_off", "fork"):
            self._patch(f"omi.cli.{module}.read_stack", lambda _: (self.settings, known))
        self._patch("omi.cli.one_off.survey_stack", self._survey)
        self._patch("omi.cli.one_off.configure", self._configure)
        self._patch("omi.cli.one_off.update", self._update)
        self._patch("omi.cli.fork.empty_state", self.done.append)
        self._patch("omi.plan.planning.image_digest", digest)
        code = main([command, "-s", "test", *arguments])
        seen = self.capsys.readouterr()
        return code, seen.out + seen.err

    def _patch(self, name: str, function: Callable[..., object]) -> None:
        self.monkeypatch.setattr(name, function)

    def _survey(self, settings: Settings, known: Held) -> Survey:
        accounts = {"eu-west-2": AccountView.of([seen(image) for image in self.ledger.images])}
        return Survey(
            Profile("alpine", self.builds),
            upstream("3.23.6"),
            regions_of(settings, known.ledger),
            accounts,
            TODAY,
            known.owner,
        )

    def _update(self, stack: str, environment: Mapping[str, str]) -> int:
        self.done.append((stack, asked(environment)))
        return 0

    def _configure(self, stack: str, key: str, values: Mapping[str, object]) -> None:
        self.done.append((stack, key, dict(values)))


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(monkeypatch, capsys)


def test_another_revision_is_shown_first_and_counted_only_when_it_is_built(desk: Desk) -> None:
    code, said = desk.run("build", "v3_23", "--again")
    assert (code, desk.done) == (0, [])
    assert "revision r1: asked for again (1)" in said
    assert "Nothing is done yet" in said
    desk.settings = Settings(region="eu-west-2", again={"v3_23": 4, "other": 2})
    code, said = desk.run("build", "v3_23", "--again", "--yes")
    assert code == 0, said
    assert desk.done == [("test", "again", {'["v3_23"]': 5}), ("test", OneOff(action="build", builds=("v3_23",)))]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["v3_24"], "build: 'v3_24' is not a build of the profile or the ledger (did you mean 'v3_23'?)"),
        (["v3_24", "--again"], "build 'v3_24': is not in the profile; there are: v3_23"),
        (["--again"], "--again: name the builds; there are: v3_23"),
    ],
)
def test_a_build_that_is_none_is_refused(desk: Desk, arguments: list[str], said: str) -> None:
    code, shown = desk.run("build", *arguments, "--yes")
    assert (code, desk.done) == (2, [])
    assert said in shown


def test_another_revision_of_a_pinned_build_is_refused(desk: Desk) -> None:
    desk.builds = (BUILD.model_copy(update={"revision": 0}),)
    code, said = desk.run("build", "v3_23", "--again", "--yes")
    assert (code, desk.done, "`revision: 0` pins it" in said) == (2, [], True)


def test_a_build_of_one_leaves_all_others_as_they_are(desk: Desk) -> None:
    desk.settings = Settings(region="eu-west-2", retention=Retention(revision=Level(), release=Level()))
    desk.builds = (BUILD, build(name="b", prefix="b-"), build(name="c", prefix="c-"))
    desk.ledger = Ledger.of([held(BUILD, "3.23.5"), NEW])
    code, said = desk.run("build", "b", "--yes")
    assert code == 0, said
    assert [line.split()[:2] for line in said.splitlines() if line[0] in "+-~"] == [["+", "b"]]
    assert desk.done == [("test", OneOff(action="build", builds=("b",)))]


def test_a_prune_by_level_goes_through_at_once_and_builds_nothing(desk: Desk) -> None:
    shared = build(access=Access(public=True))
    desk.builds = (shared, build(name="new", prefix="new-"))
    desk.ledger = Ledger.of([held(shared, "3.23.5"), held(shared, "3.23.6")])
    code, said = desk.run("prune", "--level", "release")
    assert (code, desk.done) == (0, [])
    (line,) = (line for line in said.splitlines() if line[0] in "+-~")
    assert line.startswith("-")
    assert "release: the newest release of version 3.23 is kept" in line
    desk.run("prune", "v3_23", "--level", "release", "--yes")
    assert desk.done == [("test", OneOff(action="prune", builds=("v3_23",), level=PruneLevel.RELEASE))]


def test_an_end_of_life_by_hand_takes_the_newest_too_but_what_is_protected(desk: Desk) -> None:
    old = build(name="old", prefix="old-", version="3.19", end_of_life=TODAY - timedelta(days=30))
    images = [held(old, "3.19.1"), held(old, "3.19.2")]
    desk.builds, desk.ledger = (BUILD, old), Ledger.of([*images, NEW])
    desk.settings = Settings(region="eu-west-2", retention=Retention(protect=(images[0].name,)))
    code, said = desk.run("prune", "--level", "end-of-life")
    assert code == 0, said
    (line,) = (line for line in said.splitlines() if line[0] in "+-~")
    assert images[1].name in line
    (kept,) = (line for line in said.splitlines() if images[0].name in line)
    assert "retention.protect" in kept
    code, said = desk.run("prune", "--level", "revision", "--yes")
    assert (code, desk.done) == (0, [])
    assert "There is nothing to do." in said


def changed(said: str) -> list[str]:
    """Names of the images that the plan's rows change."""
    return [line.split()[2] for line in said.splitlines() if line[0] in "+-~"]


def test_a_prune_of_all_leaves_what_a_renamed_build_still_needs(desk: Desk) -> None:
    old = held(build(name="old", prefix="old-"), "3.23.6")
    desk.builds, desk.ledger = (build(name="new", prefix="new-"),), Ledger.of([old])
    code, said = desk.run("prune")
    assert (code, changed(said)) == (0, [])
    assert "waits until new has a verified image" in said
    code, said = desk.run("prune", "old")
    assert (code, changed(said)) == (0, [old.name])


def test_a_prune_of_all_is_not_held_back_by_its_number(desk: Desk) -> None:
    gone = [held(build(name=f"b{number}", prefix=f"b{number}-"), "3.23.6") for number in range(9)]
    desk.ledger = Ledger.of([NEW, *gone])
    code, said = desk.run("prune")
    assert (code, changed(said)) == (0, [image.name for image in gone])


def test_a_level_by_hand_is_that_of_the_config(desk: Desk) -> None:
    desk.settings = Settings(region="eu-west-2", retention=Retention(revision=Level(keep=3, builds=("other",))))
    images = [held(BUILD, "3.23.6", number) for number in range(5)]
    desk.ledger = Ledger.of(images)
    code, said = desk.run("prune", "--level", "revision")
    assert (code, changed(said)) == (0, [])
    code, said = desk.run("prune", "v3_23", "--level", "revision")
    assert (code, sorted(changed(said))) == (0, [image.name for image in images[:2]])


def test_a_build_by_hand_does_not_fail_for_prunes_that_it_leaves(desk: Desk) -> None:
    gone = [held(build(name=f"b{number}", prefix=f"b{number}-"), "3.23.6") for number in range(9)]
    desk.ledger, desk.builds = Ledger.of([held(BUILD, "3.23.5"), *gone]), (BUILD,)
    code, said = desk.run("build", "v3_23")
    assert (code, changed(said)) == (0, [NEW.name])
    assert "refused" not in said


def test_a_request_that_no_command_makes_is_refused() -> None:
    assert asked({}) is None
    request = OneOff(action="prune", level=PruneLevel.END_OF_LIFE)
    assert asked(request.environment) == request
    with pytest.raises(SettingsError, match=r"^ALPINE_OMI_ONE_OFF: action: .*; unset it$"):
        asked({"ALPINE_OMI_ONE_OFF": '{"action": "all"}'})


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
