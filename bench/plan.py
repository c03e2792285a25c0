"""How long the planner takes: `python -m bench.plan [IMAGES]`; exit code 1 if 10,000 images take a second or more."""

from __future__ import annotations

import sys
import time
from datetime import date

from omi.config.settings import Level, Retention
from omi.plan import PlanInput, PlannedImage, make_plan
from omi.plan.report import render_table
from omi.profile.model import Target
from omi.state.account import AccountImage, AccountView
from omi.state.image import BuildVm
from omi.state.ledger import Ledger, LedgerImage, StoredCommand
from omi.upstream.model import Branch, MirrorRelease, Upstream
from tests.omi.specs import OWNER, make_access, make_record

LIMIT = 1.0
"""Seconds for 10,000 images."""
RETENTION = Retention(revision=Level(), release=Level(keep=3), end_of_life=Level(), allow_mass_prune=("all",))


def held(build: Target, release: str, revision: int) -> LedgerImage:
    planned = PlannedImage(build, release, revision, "sha256:one")
    spec = planned.to_spec(OWNER, make_access(), BuildVm(), "releases")
    record = make_record(name=planned.name, omi=f"ami-{planned.name}")
    return LedgerImage(planned.name, spec, record, StoredCommand("build", "update", "delete", spec.to_json()))


def measure(count: int, builds: int) -> float:
    """CPU seconds (the planner waits for nothing) for a plan and its table, with all levels and an account."""
    made = [
        Target(profile="bench", name=f"b{number}", version=f"3.{number}", prefix=f"b{number}-")
        for number in range(builds)
    ]
    images = [held(made[n % builds], f"3.{n % builds}.{n // builds // 20}", n // builds % 20) for n in range(count)]
    account = AccountView.of(AccountImage(image.name, image.record.omi) for image in images)
    newest = {build.version: f"{build.version}.{count // builds // 20 + 1}" for build in made}
    upstream = Upstream(
        tuple(Branch(version, (release,), date(2030, 1, 1), ("x86_64",)) for version, release in newest.items()),
        {(version, "x86_64"): MirrorRelease(release) for version, release in newest.items()},
    )
    ledger = Ledger.of(images)
    start = time.process_time()
    given = PlanInput(made, upstream, ledger, RETENTION, date(2026, 11, 23), lambda _, __: "sha256:two", account)
    plan = make_plan(given)
    render_table(plan)
    seconds = time.process_time() - start
    print(f"{count} images of {builds} builds: {len(plan.steps)} steps in {seconds:.3f} s")
    return seconds


def main(arguments: list[str]) -> int:
    count = int(arguments[0]) if arguments else 10_000
    slowest = max(measure(count, builds) for builds in (1, 30, 300) if builds <= count)
    return 1 if slowest >= LIMIT * count / 10_000 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
