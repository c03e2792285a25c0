"""Twenty builds at once in an account with tight quotas that may send five requests a second.

    . toolchain/env.sh; python -m bench.load [--builds 20] [--requests-per-second 5] [--quota vm_limit=25]...

Real pulumi, real Packer and its plugin run on the sandbox's stub VMs. Each side is one `pulumi up` that makes all
images at once, first in an account without a limit of requests, then in one with it. The report has the calls of a
build by action, the number of those that the cloud refused as too many, and the ratio of the wall times. It is an
error if an image is lost, made twice or left unverified, or if anything else is left in the account.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.stacks import project_on_sandbox
from omi.state.ledger import read_ledger, resources_of_export
from tests.e2e.project import Project, Result

STACK = "e2e"
BUSY = 429
"""The status of a call beyond the account's limit."""
QUOTAS = {"vm_limit": 40, "keypair_limit": 40, "sg_limit": 40, "volume_limit": 100, "image_limit": 100}
"""The account's quotas, tighter than usual: a build has two keypairs, a group and a VM with two volumes."""


@dataclass(frozen=True)
class UpdateRun:
    """The figures of one update."""

    seconds: float
    calls: Sequence[Mapping[str, Any]]

    @property
    def refused(self) -> int:
        """Calls that were refused as too many."""
        return sum(call["status"] == BUSY for call in self.calls)

    @property
    def served(self) -> Counter[str]:
        """The others, by face and action."""
        return Counter(f"{call['face']} {call['action']}" for call in self.calls if call["status"] != BUSY)


@contextmanager
def account(place: Path, each_second: float | None, quotas: Mapping[str, int]) -> Iterator[Project]:
    """A project with its stack, in an account with this limit of requests a second and these quotas."""
    limit = () if each_second is None else ("--requests-per-second", f"{each_second:g}")
    with project_on_sandbox(place, *limit) as project:
        project.control("quotas", dict(quotas), "PUT")
        project.pulumi("stack", "init", STACK)
        yield project


def update(project: Project, builds: int) -> Result:
    """Run the `pulumi up` that makes this many images at once."""
    entries = {f"b{n:02}": {"version": "3.23", "arch": "x86_64", "prefix": f"b{n:02}-"} for n in range(builds)}
    profile = project.folder / "profiles" / "alpine.yaml"
    profile.write_text(yaml.safe_dump({"builds": entries}), encoding="utf-8")
    return project.pulumi("up", "--yes", "--skip-preview", "--parallel", str(builds), "-s", STACK, timeout=3600)


def build_all(place: Path, builds: int, each_second: float | None, quotas: Mapping[str, int]) -> UpdateRun:
    """Make this many images at once, and check that none is lost; SystemExit names the faults."""
    with account(place, each_second, quotas) as project:
        begun = time.monotonic()
        done = update(project, builds)
        side = UpdateRun(time.monotonic() - begun, project.control("calls"))
        if done.code:
            raise SystemExit(f"the update of {builds} images failed:\n{done.text[-8000:]}")
        if found := wrong(project, builds):
            raise SystemExit(f"after the update of {builds} images: {'; '.join(found)}")
        return side


def wrong(project: Project, builds: int) -> list[str]:
    """Find faults in a stack that should hold this many images: lost or unverified images, and leftovers."""
    exported = json.loads(project.pulumi("stack", "export", "-s", STACK).text)
    ledger = read_ledger(resources_of_export(exported["deployment"]))
    account = project.inventory()["main"]["resources"]
    held = {image.record.omi for image in ledger.images if image.record.verified}
    snapshots = {each for image in ledger.images for each in image.record.snapshots}
    found = [] if len(held) == builds else [f"{len(held)} images are held and verified instead of {builds}"]
    for kind, wanted in {kind: {"image": held, "snapshot": snapshots}.get(kind, set()) for kind in account}.items():
        there = {each["id"] for each in account[kind]}
        found += [f"{kind} {each} is left" for each in sorted(there - wanted)]
        found += [f"{kind} {each} is lost" for each in sorted(wanted - there)]
    return found


def measure(builds: int, each_second: float, quotas: Mapping[str, int]) -> tuple[UpdateRun, UpdateRun]:
    """Both sides, the one without a limit first."""
    sides = []
    for limit in (None, each_second):
        with tempfile.TemporaryDirectory(prefix="omi-load-") as place:
            sides.append(build_all(Path(place), builds, limit, quotas))
    return sides[0], sides[1]


def report(builds: int, each_second: float, free: UpdateRun, limited: UpdateRun) -> str:
    """The figures of both as text."""
    table = "\n".join(
        f"  {action:40} {free.served[action] / builds:5.1f} {limited.served[action] / builds:5.1f}"
        for action in sorted(free.served | limited.served)
    )
    answered = limited.served.total()
    return (
        f"{builds} builds at once, none lost\n"
        f"requests of a build, without a limit and at {each_second:g} a second:\n{table}\n"
        f"  {'all':40} {free.served.total() / builds:5.1f} {answered / builds:5.1f}\n"
        f"refused for their number: {limited.refused} of {answered + limited.refused} "
        f"({100 * limited.refused / (answered + limited.refused):.1f} %)\n"
        f"wall time: {limited.seconds:.0f} s against {free.seconds:.0f} s, ratio {limited.seconds / free.seconds:.1f}; "
        f"{answered} requests at {each_second:g} a second take {answered / each_second:.0f} s at least"
    )


def main() -> None:
    """Run it and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--builds", type=int, default=20)
    parser.add_argument("--requests-per-second", type=float, default=5.0)
    parser.add_argument("--quota", action="append", default=[], metavar="NAME=NUMBER", help="instead of its usual here")
    given = parser.parse_args()
    quotas = QUOTAS | {name: int(number) for name, _, number in (each.partition("=") for each in given.quota)}
    free, limited = measure(given.builds, given.requests_per_second, quotas)
    print(report(given.builds, given.requests_per_second, free, limited))


if __name__ == "__main__":
    main()
