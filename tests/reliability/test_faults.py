"""One case of each kind of fault, drawn by a seed; the whole matrix is `python -m tests.reliability.faults`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reliability import matrix
from tests.reliability.faults import one_of_each, record_cases, try_all
from tests.reliability.matrix import AFTER, BEFORE, COMMANDS, Case, Command, Prepared, Verdict, judge
from tests.reliability.report import failures, table
from tests.reliability.stage import Booth, Ended, Stage, staged

pytestmark = pytest.mark.slow

SEED, WORKERS = 20261124, 6


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("faults"), WORKERS) as stage:
        yield stage


def test_no_fault_leaves_loses_or_touches_anything(stage: Stage) -> None:
    cases = record_cases(stage.booths)
    assert {case.command for case in cases} == set(COMMANDS)
    chosen = one_of_each(cases, SEED)
    assert {case.kind for case in chosen} >= {*BEFORE, *AFTER} - {"503 twenty times"}
    verdicts: list[Verdict] = []
    try_all(stage.booths, chosen, float("inf"), verdicts.append)
    print(f"seed {SEED}\n{table(verdicts)}")
    assert sum(each.reached for each in verdicts) >= len(chosen) - WORKERS  # polls may come out otherwise
    assert failures(verdicts) == ""


def test_a_verdict_notices_what_is_left_lost_touched_and_told_badly(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    booth = stage.booths[-1]
    case = Case("adopt", "none", "nowhere", {"action": "NoSuchAction", "cut": True})
    good = judge(booth, case)
    assert (good.is_good, good.recovered, good.reached) == (True, True, False)

    kept = booth.kept["image"].items()
    own = next(key for key, image in kept if image["tags"].get("stack-id") == booth.spec.stack_id)
    others = next(key for key, image in kept if not image["tags"])

    def harm(booth: Booth, command: Command, prepared: Prepared) -> Ended:
        if "left" not in {each["name"] for each in booth.resources()["keypair"].values()}:
            booth.oapi.call("CreateKeypair", KeypairName="left")
            booth.oapi.call("DeleteImage", ImageId=own)
            booth.tag(others, {"changed": "by someone else"})
        return Ended(1, "", "error: unexpected KeyError", 1.0)

    monkeypatch.setattr(matrix, "perform", harm)
    bad = judge(booth, case)
    assert not bad.is_good
    assert not bad.clean
    assert [each.split()[0] for each in bad.left] == ["keypair"]
    assert [own in each for each in bad.lost] == [True]
    assert [others in each for each in bad.touched] == [True]
