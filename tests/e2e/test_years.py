"""A dozen weeks of Alpine's own calendar by real Pulumi on stub VMs, with trouble on the way and nobody there.

Five branches, one of which ends and one begins. The tests of this module are one story and run in their order; the
same goes on for years, without Pulumi, in tests/reliability/years.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from omi.state.ledger import LedgerImage, read_ledger, resources_of_export
from omi.support.version import EDGE, edge_release, release_key
from tests.e2e.project import Project
from tests.omi.upstream.site import Page, Site, branch, listing, serving
from tests.reliability.years.calendar import Calendar
from tests.sandbox.client import wait_for
from tests.sandbox.ports import free_base_port

pytestmark = pytest.mark.slow

START = date(2024, 5, 6)
GRACE, STAGE = 7, 7
"""Days after an end of life, and of each stage."""
SLACK = 28
"""Days by which a stage may come later: the run after a build's counts it as replaced, and one is killed."""
CALENDAR = Calendar.read()
KNOWN = ("3.16", "3.17", "3.18", "3.19", "3.20")


@dataclass
class Weeks:
    """The stack and its Alpine, week by week."""

    project: Project
    site: Site
    number: int = 0
    seen: dict[str, LedgerImage] = field(default_factory=dict)
    """Every image that state ever held, by OMI id."""
    replaced: dict[str, date] = field(default_factory=dict)
    """Since when each has had a successor, or was past its end and the grace."""

    @property
    def today(self) -> date:
        return START + timedelta(weeks=self.number)

    def newest(self) -> dict[str, str]:
        """The newest release of each branch that is supported today."""
        found = {}
        for version in KNOWN:
            line = CALENDAR.branches[version]
            out = [name for name, day in line.releases.items() if day <= self.today]
            if out and self.today <= line.end_of_life:
                found[version] = max(out, key=release_key)
        return {**found, EDGE: edge_release(self.today)}

    def begin(self, number: int) -> None:
        """Let Alpine and the project's clock come to a week."""
        self.number = number
        self.project.set_today(self.today)
        branches = [each for each in CALENDAR.on(self.today) if each.version in KNOWN]
        listed = [branch(each.version, *each.releases, eol_date=str(each.end_of_life)) for each in branches]
        self.site.releases(*listed)
        for each in branches:
            self.site.latest(each.version, listing(str(each.newest)))

    def update(self) -> int:
        """What the CI does each week, as examples/ci/steps/update.sh has it; the update's exit code."""
        done = self.project.up()
        print(done.text[-6000:])
        swept = self.project.run("python3", "-m", "omi", "sweep", "-s", "e2e", "--yes")
        assert swept.code == 0, swept.text
        return done.code

    def images(self) -> dict[str, LedgerImage]:
        """What state holds, by OMI id."""
        exported = json.loads(self.project.pulumi("stack", "export", "-s", "e2e").text)
        return {image.record.omi: image for image in read_ledger(resources_of_export(exported["deployment"])).images}

    def check(self) -> None:
        """Each branch is fresh, nothing is lost and nothing is left."""
        held, there = self.images(), {each["id"]: each for each in self.project.images()}
        assert set(held) == set(there)
        assert self.project.left() == {}
        newest: dict[str, LedgerImage] = {}
        for image in sorted(held.values(), key=lambda image: image.order):
            assert image.record.verified
            newest[image.version] = image
        assert {version: newest[version].release for version in self.newest()} == self.newest()
        self.seen |= held
        for omi, image in self.seen.items():
            line = CALENDAR.branches.get(image.version)
            ended = line is not None and self.today > line.end_of_life + timedelta(days=GRACE)
            later = newest.get(image.version)
            if ended or (later is not None and later.order > image.order):
                self.replaced.setdefault(omi, self.today)
            days = (self.today - self.replaced.get(omi, self.today)).days
            if omi in there:
                assert days < 2 * STAGE + SLACK, f"{image.name} stays"
                public = is_public(self.project, omi)
                assert public or days >= STAGE, f"{image.name} was replaced {days} days ago"
                assert not public or days < STAGE + SLACK, f"{image.name} was replaced {days} days ago"
            else:
                assert days >= 2 * STAGE, f"{image.name} was replaced {days} days ago"
        plan = self.project.run("python3", "-m", "omi", "plan", "-s", "e2e", "--json")
        assert [step for step in json.loads(plan.text)["steps"] if step["action"] not in ("keep", "prune")] == []


def is_public(project: Project, omi: str) -> bool:
    (image,) = project.oapi().call("ReadImages", Filters={"ImageIds": [omi]})["Images"]
    return bool(image["PermissionsToLaunch"]["GlobalPermission"])


@pytest.fixture(scope="module")
def weeks() -> Iterator[Weeks]:
    with tempfile.TemporaryDirectory(prefix="omi-years-") as folder, serving() as site:
        project = Project(Path(folder) / "project", Path(folder) / "cloud", free_base_port(), stubs=True)
        try:
            started = project.sandbox("start", "--mirror", "off", "--machines", "stub")
            assert started.code == 0, started.text
            project.configure("upstream", {**site.settings.model_dump(), "security": "http://127.0.0.1:9"})
            # there is no mirror, whose keys these would be: what the profile records of Alpine is enough for stubs
            project.configure("vm", {**project.configured("vm"), "trusted_keys": []})
            shared = {"deprecated_days": STAGE, "private_days": STAGE}
            levels = {"release": {}, "revision": {}, "end_of_life": {"grace_days": GRACE}}
            project.configure("retention", {**levels, "stages": {"shared": shared}})
            profile = {"discover": {"versions": "supported", "edge": 1}, "access": {"public": True}}
            (project.folder / "profiles" / "alpine.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
            assert project.pulumi("stack", "init", "e2e").code == 0
            yield Weeks(project, site)
            print(project.log_tail())
        finally:
            project.sandbox("stop")


def but_edge(images: dict[str, LedgerImage]) -> set[str]:
    return {image.name for image in images.values() if image.version != EDGE}


def test_the_first_week_builds_every_supported_branch(weeks: Weeks) -> None:
    weeks.begin(0)
    assert weeks.update() == 0
    assert set(weeks.newest()) == {"3.16", "3.17", "3.18", "3.19", EDGE}
    weeks.check()


def test_a_week_without_upstream_changes_no_branch(weeks: Weeks) -> None:
    before = but_edge(weeks.images())
    for number in (1, 2):
        weeks.begin(number)
        if number == 1:
            for path in list(weeks.site.pages):
                weeks.site.pages[path] = Page(status=503)
        assert weeks.update() == 0
        assert but_edge(weeks.images()) == before
        weeks.check()


def test_a_used_up_quota_fails_the_week_of_a_new_branch_and_leaves_nothing(weeks: Weeks) -> None:
    weeks.begin(3)
    quota = {"code": "10029", "type": "TooManyResources (QuotaExceded)"}
    weeks.project.control(
        "faults", [{"face": "oapi", "action": "CreateVms", "status": 400, "times": -1, **quota}], "PUT"
    )
    before = weeks.images()
    assert weeks.update() != 0
    weeks.project.control("faults", [], "PUT")
    assert set(weeks.images()) <= set(before)
    assert weeks.project.left() == {}


def test_the_next_week_makes_up_for_it_though_the_cloud_is_busy(weeks: Weeks) -> None:
    weeks.begin(4)
    busy = [{"face": "oapi", "action": action, "status": 503, "times": 2} for action in ("ReadImages", "CreateTags")]
    weeks.project.control("faults", busy, "PUT")
    assert weeks.update() == 0
    weeks.project.control("faults", [], "PUT")
    assert "3.20" in weeks.newest()
    weeks.check()


def test_a_branch_that_has_ended_goes_in_its_stages(weeks: Weeks) -> None:
    for number in (5, 6):
        weeks.begin(number)
        assert weeks.update() == 0
        weeks.check()
    assert {image.version for image in weeks.images().values()} == {"3.17", "3.18", "3.19", "3.20", EDGE}


def test_a_killed_run_is_made_up_for_by_the_next(weeks: Weeks) -> None:
    weeks.begin(7)  # four branches have a new release
    begun = weeks.project.begin("pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "-s", "e2e")
    wait_for(lambda: weeks.project.inventory()["main"]["resources"]["vm"], bool, 120)
    os.killpg(begun.pid, signal.SIGKILL)
    begun.wait(30)
    weeks.begin(8)  # by now edge is another release
    assert weeks.project.pulumi("cancel", "--yes", "-s", "e2e").code == 0
    cleared = weeks.project.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates", "-s", "e2e")
    assert cleared.code == 0, cleared.text
    assert weeks.update() == 0
    weeks.check()


def test_what_was_replaced_goes_in_its_stages(weeks: Weeks) -> None:
    replaced = {image.name for image in weeks.seen.values() if image.release in ("3.17.7", "3.18.6", "3.19.1")}
    for number in (9, 10, 11):
        weeks.begin(number)
        assert weeks.update() == 0
        weeks.check()
    assert len(replaced) == 3
    assert not replaced & {image.name for image in weeks.images().values()}
