"""The EIM policies are the least: what runs call is what they allow, by the sandbox that holds them to it.

All of it, real pulumi and each right taken away in turn, is `python -m tests.reliability.rights --each`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.reliability.rights import Noted, play_all, without_each
from tests.reliability.scenes import COPY_POLICY, COPY_SCENES, SCENES, granted
from tests.reliability.stage import Booth, staged

pytestmark = pytest.mark.slow

WORKERS = 4
BY_PULUMI = ("whole way", "whole copy")
"""tests/e2e/test_secrets.py and test_copy.py go such ways by these policies."""
TAKEN = ("api:CreateKeypair", "api:DeleteTags", "api:ReadConsoleOutput", "api:ReadVms", "api:UpdateSnapshot")

COPY_TAKEN = ("api:ReadImageExportTasks", "s3:DeleteBucket", "s3:PutObject")


@pytest.fixture(scope="module")
def booths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Booth]]:
    with staged(tmp_path_factory.mktemp("rights"), WORKERS) as stage:
        yield stage.booths


@pytest.fixture(scope="module")
def noted(booths: Sequence[Booth]) -> Sequence[Noted]:
    return play_all(booths, [(scene, granted()) for scene in SCENES if scene not in BY_PULUMI])


def test_runs_call_all_that_the_policy_allows_and_nothing_else(noted: Sequence[Noted]) -> None:
    assert {each.scene: sorted(each.refused) for each in noted if each.refused} == {}
    assert sorted(frozenset[str]().union(*(each.called for each in noted))) == granted()


def test_a_right_that_is_taken_away_is_missed(booths: Sequence[Booth], noted: Sequence[Noted]) -> None:
    assert missed(booths, noted, granted(), TAKEN) == {right: [right] for right in TAKEN}


def missed(
    booths: Sequence[Booth], noted: Sequence[Noted], rights: Sequence[str], taken: Sequence[str]
) -> dict[str, list[str]]:
    """What is refused where one of `taken` is taken away from the rights."""
    tasks = [task for task in without_each(noted, rights) if task[0] in taken]
    seen = play_all(booths, [(scene, rest) for _, scene, rest in tasks])
    return {right: sorted(each.refused) for (right, _, _), each in zip(tasks, seen, strict=True)}


def test_a_copy_needs_all_of_its_policy_and_the_other_region_none_of_it(booths: Sequence[Booth]) -> None:
    rights = granted(COPY_POLICY)
    noted = play_all(booths, [(scene, rights) for scene in COPY_SCENES if scene not in BY_PULUMI])
    assert {each.scene: sorted(each.refused) for each in noted if each.refused} == {}
    assert sorted(frozenset[str]().union(*(each.called for each in noted))) == rights
    assert missed(booths, noted, rights, COPY_TAKEN) == {right: [right] for right in COPY_TAKEN}
