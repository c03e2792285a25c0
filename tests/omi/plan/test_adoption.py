"""OMIs of the wanted name that are already in the account: by example."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omi.plan import Action, PlannedImage
from omi.profile.model import Access
from omi.state.account import AccountImage
from omi.state.ledger import Ledger
from tests.omi.plan.examples import NAME, R5, R6, UP6, V23
from tests.omi.plan.make import account, after, build, held, ledger, outcome, plan_of, seen, step_of

PINNED = V23.model_copy(update={"revision": 3})


class TestAdoption:
    FOREIGN = AccountImage(NAME.format(6, 0), "ami-foreign")

    def test_foreign_image_of_the_wanted_name(self) -> None:
        plan = plan_of([V23], UP6, Ledger(), account=account(self.FOREIGN))
        (step,) = plan.steps
        assert step.action is Action.ADOPT
        assert step.reason == (
            "ami-foreign of that name is in the account, made by someone else, and stays external; "
            "its tags don't name its content"
        )
        assert isinstance(step.image, PlannedImage)
        assert step.image.existing == self.FOREIGN

    @pytest.mark.parametrize(
        ("content", "holds"),
        [
            ("sha256:other", "it holds other content (sha256:other)"),
            (f"sha256:{V23.user}", "it holds this very content"),
            (None, "its tags don't name its content"),
        ],
    )
    def test_another_stacks_image_of_the_wanted_name_says_whose_it_is_and_what_it_holds(
        self, content: str | None, holds: str
    ) -> None:
        theirs = AccountImage(NAME.format(6, 0), "ami-theirs", {"stack": "other", "stack-id": "5"}, digest=content)
        plan = plan_of([V23], UP6, Ledger(), account=account(theirs))
        (step,) = plan.steps
        assert step.action is Action.ADOPT
        maker = "made by stack other (id 5)"
        assert step.reason == f"ami-theirs of that name is in the account, {maker}, and stays external; {holds}"
        differs = content == "sha256:other"
        assert [f"{maker}, holds other content than v3_23" in warning for warning in plan.warnings] == [True] * differs
        held_by_now = plan_of([V23], UP6, after(plan), account=account(theirs))
        assert held_by_now.warnings == plan.warnings
        assert f"{maker}, so never changed" in held_by_now.steps[0].reason

    @pytest.mark.parametrize(
        "name", [{"suffix": "-mine"}, {"prefix": "aaa-"}, {"name_template": "a {release}_{revision}"}]
    )
    def test_another_suffix_gives_one_an_image_of_ones_own(self, name: dict[str, str]) -> None:
        theirs = AccountImage(NAME.format(6, 0), "ami-theirs", {"stack": "other", "stack-id": "5"}, digest="sha256:5")
        first = plan_of([V23], UP6, Ledger(), account=account(theirs))
        mine = build(**name)
        plan = plan_of([mine], UP6, after(first), account=account(theirs))
        own = mine.image_name("3.23.6", 0)
        assert outcome(plan) == {own: "build", theirs.name: "keep"}
        assert not plan.warnings
        reason = f"an image of one's own instead of {theirs.name}, which someone else made"
        assert step_of(plan, own).reason == reason
        later = plan_of([mine], UP6, after(plan), account=account(theirs, *after(plan).images[1:]))
        assert next(step.name for step in later.steps) == own

    def test_newest_revision_of_an_old_account_is_adopted(self) -> None:
        images = [AccountImage(NAME.format(6, number), f"ami-{number}") for number in (9, 10)]
        assert outcome(plan_of([V23], UP6, Ledger(), account=account(*images))) == {NAME.format(6, 10): "adopt"}

    def test_newest_revision_is_found_by_any_template(self) -> None:
        own = build(name_template="{release}{revision} of {build}")
        names = [own.image_name("3.23.6", number) for number in (9, 10)]
        others = ["3.23.6r010 of v3_23", "3.23.6r11 of v3", "r12", "3.23.6-r13 of v3_23"]
        images = [AccountImage(name, f"ami-{place}") for place, name in enumerate([*names, *others])]
        assert outcome(plan_of([own], UP6, Ledger(), account=account(*images))) == {"3.23.6r10 of v3_23": "adopt"}

    def test_adopted_image_is_current_and_its_access_untouched(self) -> None:
        first = plan_of([V23], UP6, Ledger(), account=account(self.FOREIGN))
        public = V23.model_copy(update={"access": Access(public=True)})
        plan = plan_of([public], UP6, after(first), account=account(self.FOREIGN))
        assert not plan.changes
        assert plan.steps[0].reason == "current; made by someone else, so never changed"

    def test_interrupted_runs_image_is_found_again(self) -> None:
        own = seen(held(V23, "3.23.6"))
        plan = plan_of([V23], UP6, ledger(R5), account=account(R5, own))
        assert step_of(plan, own.name).action is Action.ADOPT
        assert "this stack's own, from an interrupted run" in step_of(plan, own.name).reason

    def test_half_made_image_does_not_hold_its_name(self) -> None:
        half = seen(held(V23, "3.23.6"), half_made=True)
        assert outcome(plan_of([V23], UP6, Ledger(), account=account(half))) == {NAME.format(6, 0): "build"}

    def test_own_image_of_other_content_is_passed_over(self) -> None:
        own = seen(held(V23, "3.23.6"), digest="sha256:other")
        assert outcome(plan_of([V23], UP6, Ledger(), account=account(own))) == {NAME.format(6, 1): "build"}

    def test_foreign_image_does_not_answer_to_changed_content(self) -> None:
        changed = V23.model_copy(update={"user": "admin"})
        foreign = AccountImage(NAME.format(6, 1), "ami-foreign")
        plan = plan_of([changed], UP6, ledger(R6), account=account(R6, foreign))
        assert outcome(plan) == {NAME.format(6, 2): "build", R6.name: "keep"}

    def test_own_image_below_the_newest_revision_is_passed_over(self) -> None:
        """Adopting it would leave the newest image with the old content."""
        newest = held(V23.model_copy(update={"user": "admin"}), "3.23.6", 2)
        older = seen(held(V23, "3.23.6", 1))
        plan = plan_of([V23], UP6, ledger(newest), account=account(newest, older))
        assert outcome(plan) == {NAME.format(6, 3): "build", newest.name: "keep"}

    def test_name_that_a_missing_image_has_in_state_is_not_adopted(self) -> None:
        """One name can't be forgotten and adopted in one update."""
        view = account(AccountImage(R6.name, "ami-by-hand"), missing=[R6])
        plan = plan_of([V23], UP6, ledger(R6), account=view)
        assert outcome(plan) == {NAME.format(6, 1): "build", R6.name: "keep"}

    @pytest.mark.parametrize("name", [NAME.format(6, "01"), NAME.format(60, 0), NAME.format(6, 0) + "-x", "other"])
    def test_other_names_are_nobodys(self, name: str) -> None:
        plan = plan_of([V23], UP6, Ledger(), account=account(AccountImage(name, "ami-1")))
        assert outcome(plan) == {NAME.format(6, 0): "build"}

    def test_suffix_is_part_of_the_name(self) -> None:
        suffixed = build(suffix="-r2-x")
        name = NAME.format(6, 7)
        view = account(AccountImage(f"{name}-r2-x", "ami-1"), AccountImage(NAME.format(6, 9), "ami-2"))
        assert outcome(plan_of([suffixed], UP6, Ledger(), account=view)) == {f"{name}-r2-x": "adopt"}

    def test_pinned_revision_is_adopted(self) -> None:
        pinned = V23.model_copy(update={"revision": 3})
        view = account(AccountImage(NAME.format(6, 3), "ami-3"), AccountImage(NAME.format(6, 4), "ami-4"))
        assert outcome(plan_of([pinned], UP6, Ledger(), account=view)) == {NAME.format(6, 3): "adopt"}

    def test_pinned_revision_of_the_stacks_own_is_adopted_if_it_holds_the_content(self) -> None:
        own = seen(held(V23, "3.23.6", 3))
        for there in (own, replace(own, unchecked=True)):
            plan = plan_of([PINNED], UP6, ledger(R6), account=account(R6, there))
            assert outcome(plan) == {own.name: "adopt", R6.name: "keep"}
            assert not plan.refused

    def test_pinned_revision_of_the_stacks_own_with_other_content_is_refused_with_the_cure(self) -> None:
        other = seen(held(V23.model_copy(update={"user": "admin"}), "3.23.6", 3))
        taken_over = seen(held(V23, "3.23.6", 3), tags={"stands-for": "sha256:alpine"})
        unknown = replace(other, digest=None)
        for there in (other, taken_over, unknown):
            plan = plan_of([PINNED], UP6, ledger(R6), account=account(R6, there))
            assert outcome(plan) == {R6.name: "keep"}
            (line,) = plan.refused
            assert line.startswith(f"v3_23: nothing is built as r3, since {other.omi} ({other.name}) of other content")
            assert "`revision` in the profile" in line
            assert f"omi recover -s STACK {other.name}" in line
            one_off = plan_of([PINNED], UP6, ledger(R6), account=account(R6, there), asked=())
            assert line in one_off.warnings, "which drops refusals"
        assert outcome(plan_of([PINNED], UP6, Ledger(), account=account(other))) == {}

    def test_pinned_revision_of_other_content_that_was_never_verified_is_built_anew(self) -> None:
        other = seen(held(V23.model_copy(update={"user": "admin"}), "3.23.6", 3), unchecked=True)
        plan = plan_of([PINNED], UP6, ledger(R6), account=account(R6, other))
        assert outcome(plan) == {other.name: "build", R6.name: "keep"}
        assert not plan.refused

    def test_pinned_revision_of_someone_else_with_other_content_is_adopted(self) -> None:
        theirs = replace(seen(held(V23.model_copy(update={"user": "admin"}), "3.23.6", 3)), managed=False)
        assert outcome(plan_of([PINNED], UP6, Ledger(), account=account(theirs))) == {theirs.name: "adopt"}
