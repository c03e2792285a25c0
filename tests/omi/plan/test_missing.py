"""Images that the account no longer shows, or that another record holds: by example."""

from __future__ import annotations

from dataclasses import replace

from omi.config.settings import Retention
from omi.plan import Action
from omi.plan.model import ChangeKind
from omi.profile.model import Access
from omi.state.ledger import LedgerImage
from tests.omi.plan.examples import LATEST_ONLY, NAME, R5, R6, UP6, V23
from tests.omi.plan.make import TODAY, account, after, held, ledger, outcome, plan_of, seen, step_of


class TestMissing:
    """One update marks what no read shows, a later one forgets it; nothing of it is ever deleted."""

    MARKED = replace(R6, record=R6.record.model_copy(update={"missing": TODAY}))

    def test_it_is_marked_and_built_again_first_and_forgotten_by_the_next_update(self) -> None:
        plan = plan_of([V23], UP6, ledger(R5, R6), account=account(R5, missing=[R6]))
        assert outcome(plan) == {NAME.format(6, 1): "build", R6.name: "keep", R5.name: "keep"}
        assert step_of(plan, NAME.format(6, 1)).reason == f"revision r1: {R6.record.omi} (r0) is missing"
        marked = step_of(plan, R6.name)
        assert [change.kind for change in marked.changes] == [ChangeKind.MARK_MISSING]
        assert marked.updates
        held_then = after(plan)
        again = plan_of(
            [V23], UP6, held_then, account=account(*held_then.images[:1], held_then.images[2], missing=[R6])
        )
        forgotten = step_of(again, R6.name)
        assert (forgotten.action, forgotten.level, forgotten.forgets) == (Action.PRUNE, "gone", True)
        assert not plan_of([V23], UP6, after(again)).changes

    def test_one_answer_that_lacks_it_changes_nothing(self) -> None:
        for retention in (None, LATEST_ONLY):
            plan = plan_of([V23], UP6, ledger(R5, R6), retention, account=account(R5))
            assert outcome(plan) == {R6.name: "keep", R5.name: "keep"}
            assert not plan.changes
            assert "the account's answers differ" in step_of(plan, R6.name).reason

    def test_what_is_there_again_is_kept(self) -> None:
        plan = plan_of([V23], UP6, ledger(self.MARKED), account=account(R6))
        assert [change.kind for change in step_of(plan, R6.name).changes] == [ChangeKind.FOUND]
        assert not plan_of([V23], UP6, after(plan), account=account(R6)).changes

    def test_what_is_there_again_is_updated_with_all_else_that_changes(self) -> None:
        (step,) = plan_of([V23], UP6, ledger(self.MARKED), account=account(R6)).steps
        assert isinstance(step.image, LedgerImage)
        assert step.image.command.stdin != self.MARKED.command.stdin, "else Pulumi runs no update"
        public = V23.model_copy(update={"access": Access(public=True)})
        (step,) = plan_of([public], UP6, ledger(self.MARKED), account=account(R6)).steps
        assert isinstance(step.image, LedgerImage)
        assert step.image.spec.access.public
        assert [change.kind for change in step.changes] == [ChangeKind.SHARE, ChangeKind.FOUND]

    def test_several_that_wait_to_be_forgotten_are_not_there_again(self) -> None:
        """Many that are missing at once may mean that something else is wrong: they wait, still marked."""
        marked = [replace(each, record=each.record.model_copy(update={"missing": TODAY})) for each in (R5, R6)]
        plan = plan_of([V23], UP6, ledger(*marked), Retention(max_prunes=1), account=account(missing=marked))
        assert plan.refused
        assert [step_of(plan, each.name).action for each in marked] == [Action.KEEP] * 2
        assert not any(step_of(plan, each.name).updates for each in marked)

    def test_its_successor_counts_on_from_what_is_missing(self) -> None:
        gone = held(V23, "3.23.6", 5)
        plan = plan_of([V23], UP6, ledger(R5, gone), account=account(R5, missing=[gone]))
        assert outcome(plan) == {NAME.format(6, 6): "build", gone.name: "keep", R5.name: "keep"}

    def test_forgetting_the_only_image_is_no_mass_prune(self) -> None:
        plan = plan_of([V23], UP6, ledger(self.MARKED), Retention(), account=account(missing=[R6]))
        assert outcome(plan) == {NAME.format(6, 1): "build", R6.name: "prune"}
        assert not plan.refused

    def test_missing_image_is_no_replacement(self) -> None:
        plan = plan_of([V23], UP6, ledger(R5, R6), LATEST_ONLY, account=account(R5, missing=[R6]))
        assert step_of(plan, R5.name).action is Action.KEEP

    def test_pinned_revision_that_is_missing_comes_back_once_it_is_forgotten(self) -> None:
        pinned = V23.model_copy(update={"revision": 0})
        marking = plan_of([pinned], UP6, ledger(R5, R6), account=account(R5, missing=[R6]))
        forgetting = plan_of([pinned], UP6, after(marking), account=account(R5, missing=[R6]))
        assert outcome(forgetting) == {R6.name: "prune", R5.name: "keep"}
        assert "v3_23: the next update can make r0, once its name is free" in forgetting.warnings
        assert outcome(plan_of([pinned], UP6, after(forgetting), account=account(R5)))[R6.name] == "build"


class TestClaim:
    def test_what_another_record_holds_is_left_and_named(self) -> None:
        image = replace(R6, record=R6.record.model_copy(update={"claim": "mine"}))
        public = V23.model_copy(update={"access": Access(public=True)})
        for tag, updates in (("mine", True), (None, True), ("theirs", False)):
            view = account(seen(image, tags={"claim": tag} if tag else {}))
            (step,) = plan_of([public], UP6, ledger(image), account=view).steps
            assert (step.action, step.updates) == (Action.KEEP, updates)
            assert ("another record holds" in step.reason) is not updates
