"""`health`: what is good, a warning or an error, in the three forms."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from omi.cli.findings import Findings, NotChecked
from omi.cli.main import main
from omi.cli.sweep import SweepFindings, find_leftovers
from omi.config.regions import regions_of
from omi.config.settings import Health, Settings
from omi.outscale.sweep import Leftover
from omi.plan.held import Held
from omi.plan.survey import Survey
from omi.profile.load import Profile
from omi.profile.model import Access, Target
from omi.publish.manifest import PublishedManifest
from omi.state.account import AccountImage, AccountView
from omi.state.image import CloudAccess
from omi.state.ledger import Ledger, LedgerImage
from omi.support.errors import CloudError
from omi.support.json_schema import schema_text
from omi.upstream.offer import Offer
from tests.omi.plan.make import TODAY, build, digest, held, seen, upstream
from tests.omi.plan.test_fresh import FIXED, NEW, OLD, WHY, offer
from tests.omi.publish.signing import allows, make_key
from tests.omi.specs import OWNER

BUILD = build()


def made(days_ago: int, release: str = "3.23.6", *, of: Target = BUILD, **values: Any) -> LedgerImage:
    """An image that the cloud made so many days ago."""
    created = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC) - timedelta(days=days_ago)
    image = held(of, release, **values)
    return replace(image, record=image.record.model_copy(update={"created": created}))


@dataclass
class Ward:
    """A stack whose health is asked."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    images: Sequence[LedgerImage] = (made(3),)
    builds: tuple[Target, ...] = (BUILD,)
    account: Sequence[AccountImage] | None = None
    """None: every image as the ledger has it."""
    last: datetime | None = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=1))
    leftovers: int = 0
    unread: tuple[str, ...] = ()
    """Why Regions couldn't be searched for leftovers."""
    down: bool = False
    """Whether the API of the Region no longer answers once the plan is made."""
    expiry: Callable[[], datetime | None] = lambda: None
    settings: Settings = field(default_factory=lambda: Settings(region="eu-west-2"))
    offers: dict[str, Offer] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """Those of upstream."""

    def health(self, *arguments: str) -> tuple[int, str]:
        ledger = Ledger.of(self.images)
        region = regions_of(self.settings, ledger)[0]
        things = [Leftover("VM", "i-1", "", "") for _ in range(self.leftovers)]
        in_use = Leftover("try", "fedcba9876543210", "", "somebody may use it", stays=True)
        left = [SweepFindings(region, things=(*things, in_use))]
        left += [SweepFindings(region, unread=why) for why in self.unread]
        patches = {
            "read_stack": lambda _: (self.settings, Held(OWNER, ledger)),
            "survey_stack": self._survey,
            "last_update": lambda _: self.last,
            "key_expiry": lambda _: self.expiry(),
            "find_leftovers": find_leftovers if self.down else lambda *_: left,
        }
        for name, function in patches.items():
            self.monkeypatch.setattr(f"omi.cli.health.{name}", function)
        self.monkeypatch.setattr("omi.plan.planning.image_digest", digest)
        self.monkeypatch.setattr("omi.cli.health.Cloud.connect", self._connect)
        code = main(["health", "-s", "test", *arguments])
        shown = self.capsys.readouterr()
        return code, shown.out + shown.err

    def _connect(self, access: CloudAccess) -> CloudAccess:
        if self.down:
            raise CloudError(f"{access.api}: no answer within 60 s")
        return access

    def _survey(self, settings: Settings, known: Held) -> Survey:
        there = [seen(image) for image in self.images] if self.account is None else self.account
        missing = {image.record.omi for image in self.images} - {image.omi for image in there}
        accounts = {"eu-west-2": AccountView.of(there, None, missing)}
        regions = regions_of(settings, known.ledger)
        profile = Profile("alpine", self.builds)
        known_upstream = replace(upstream("3.23.6"), warnings=self.warnings)
        return Survey(profile, known_upstream, regions, accounts, TODAY, known.owner, offers=self.offers)


@pytest.fixture
def ward(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ward:
    return Ward(monkeypatch, capsys)


def test_all_is_well(ward: Ward) -> None:
    code, said = ward.health()
    assert code == 0, said
    assert f"good     newest image  eu-west-2: v3_23: {made(3).name} is 3 days old" in said
    assert "nothing is left over" in said
    assert said.endswith("0 warning, 0 error\n")


def test_an_image_that_is_too_old_is_an_error(ward: Ward) -> None:
    ward.images = (made(46),)
    code, said = ward.health()
    assert (code, "is 46 days old, more than the 45 of health.max_age_days" in said) == (1, True)
    ward.settings = Settings(region="eu-west-2", health=Health(max_age_days=46))
    assert ward.health()[0] == 0


def test_a_build_without_a_verified_image_is_an_error(ward: Ward) -> None:
    ward.images = ()
    code, said = ward.health()
    assert code == 1
    assert "has no verified image; `pulumi up` builds one" in said
    ward.images = (made(3, verified=False),)
    assert ward.health()[0] == 1


def test_a_build_whose_only_image_is_revoked_says_what_to_do(ward: Ward) -> None:
    ward.settings = Settings(region="eu-west-2", revoked={made(3).name: "its sshd takes any key"})
    code, said = ward.health()
    assert code == 1
    assert "its only verified image is revoked: change the profile, or `python -m omi build" in said


def test_a_release_that_is_not_built_yet_is_a_warning(ward: Ward) -> None:
    ward.images = (made(3, "3.23.5"),)
    code, said = ward.health()
    assert code == 0
    assert "warning  not built     eu-west-2: v3_23: alpine-v3_23-3.23.6-x86_64-r0 is not there yet" in said


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (7, f"{made(0).name[:-1]}1 is not there yet: revision r1: {WHY}"),
        (5, f"{made(0).name} has no successor yet: current until 2026-11-25, by min_interval; then: {WHY}"),
    ],
    ids=["to be built", "waiting"],
)
def test_a_fix_that_is_not_built_yet_is_a_warning_that_names_package_and_ids(ward: Ward, age: int, text: str) -> None:
    fixing = build(rebuild_on="security", min_interval=7)
    ward.builds, ward.offers = (fixing,), {fixing.name: offer(NEW, FIXED)}
    ward.images = (made(age, of=fixing, installed=OLD),)
    code, said = ward.health()
    assert (code, f"warning  not built     eu-west-2: v3_23: {text}\n" in said) == (0, True), said


def test_what_a_preview_warns_of_is_a_warning(ward: Ward) -> None:
    """Nothing new is built while Alpine can't be reached, which nobody sees who reads no preview."""
    ward.warnings = ("https://alpinelinux.org/releases.json: can't be reached; the answer of 2026-11-02 counts",)
    code, said = ward.health()
    assert (code, f"warning  plan          {ward.warnings[0]}\n" in said) == (0, True), said


def test_a_missing_image_is_an_error(ward: Ward) -> None:
    ward.account = ()
    code, said = ward.health()
    assert code == 1
    assert f"error    missing       eu-west-2: v3_23: {made(3).name}: " in said


def test_an_image_that_others_changed_is_a_warning(ward: Ward) -> None:
    ward.account = [seen(made(3), access=Access(public=True))]
    code, said = ward.health()
    assert (code, f"drift         eu-west-2: v3_23: {made(3).name} was changed by others: " in said) == (0, True)


@pytest.mark.parametrize(("left", "level", "code"), [(61, "good", 0), (59, "warning", 0), (-1, "error", 1)])
def test_support_that_ends_is_told_in_time(ward: Ward, left: int, level: str, code: int) -> None:
    end = TODAY + timedelta(days=left)
    image = made(3)
    ward.images = (replace(image, spec=image.spec.model_copy(update={"end_of_life": end})),)
    ward.builds = (build(end_of_life=end),)
    got, said = ward.health()
    (line,) = (line for line in said.splitlines() if "version 3.23" in line and str(end) in line)
    assert (line.split()[0], got) == (level, code)


def test_an_update_long_ago_or_none_is_an_error_and_a_leftover_a_warning(ward: Ward) -> None:
    ward.leftovers = 2
    code, said = ward.health()
    assert (code, "2 things are left over: `python -m omi sweep` lists them" in said) == (0, True)
    ward.last = datetime.now(UTC) - timedelta(days=9)
    code, said = ward.health()
    assert (code, "longer ago than the 8 days of health.max_run_days" in said) == (1, True)
    ward.last = None
    assert ward.health()[0] == 1


def test_a_region_in_use_that_is_down_hides_no_other_finding(ward: Ward) -> None:
    ward.down = True
    code, said = ward.health()
    assert (code, f"newest image  eu-west-2: v3_23: {made(3).name} is 3 days old" in said) == (1, True), said
    assert (
        "warning  leftovers     eu-west-2: not searched: https://api.eu-west-2.outscale.com/api/v1: no answer" in said
    )


@pytest.mark.parametrize("left", [0, 2])
def test_a_region_that_cant_be_searched_for_leftovers_is_a_warning_and_nothing_is_said_to_be_left_nowhere(
    ward: Ward, left: int
) -> None:
    ward.unread, ward.leftovers = ("Region us-east-2: no key",), left
    code, said = ward.health()
    assert (code, "warning  leftovers     eu-west-2: not searched: Region us-east-2: no key" in said) == (0, True), said
    assert "nothing is left over" not in said
    assert ("2 things are left over" in said) is (left == 2)


@pytest.mark.parametrize(
    ("left", "level", "code", "text"),
    [
        (timedelta(days=15), "good", 0, "the access key expires in 14 days, on "),
        (timedelta(days=3, hours=1), "warning", 0, "expires in 3 days, on "),
        (timedelta(hours=1), "warning", 0, "UTC: make a new one in Cockpit, and give it where this one is"),
        (timedelta(hours=-1), "error", 1, "the access key expired on "),
        (None, "good", 0, "the access key doesn't expire"),
    ],
)
def test_an_access_key_that_expires_is_seen_in_time(
    ward: Ward, left: timedelta | None, level: str, code: int, text: str
) -> None:
    ward.expiry = lambda: None if left is None else datetime.now(UTC) + left
    got, said = ward.health()
    (line,) = (line for line in said.splitlines() if "access key" in line)
    assert (line.split()[0], text in line, got) == (level, True, code), line
    ward.settings = Settings(region="eu-west-2", health=Health(key_expiry_days=0))
    assert ward.health()[0] == code


def test_a_key_that_may_not_ask_when_it_expires_names_the_policy(ward: Ward) -> None:
    def refuse() -> None:
        raise NotChecked("the key may not call api:ReadAccessKeys; allow it in docs/eim-policy.json")

    ward.expiry = refuse
    code, said = ward.health()
    assert (code, "warning  access key    eu-west-2: not checked: the key may not" in said) == (0, True), said
    assert "alpine_omi_access_key_left_seconds{" not in ward.health("--openmetrics")[1]


@pytest.mark.parametrize(
    ("until", "level", "code", "text"),
    [
        (None, "good", 0, "counts for 14 more days at least"),
        (timedelta(days=16), "good", 0, "counts for 14 more days at least"),
        (timedelta(days=12), "warning", 0, "counts for fewer than 14 more days: publish by a key that"),
        (timedelta(days=-2), "error", 1, "its signature is no longer valid ("),
    ],
)
def test_a_signing_key_that_expires_is_seen_in_time(
    ward: Ward, tmp_path: Path, until: timedelta | None, level: str, code: int, text: str
) -> None:
    key, manifest = make_key(tmp_path / "key"), tmp_path / "manifest.txt"
    options = "" if until is None else f',valid-before="{datetime.now(UTC) + until:%Y%m%d}"'
    (tmp_path / "allowed_signers").write_text(allows(key, options=options), encoding="utf-8")
    ward.settings = Settings(region="eu-west-2", releases_dir=str(tmp_path))
    got, said = ward.health()
    assert (got, f"warning  signing key   {tmp_path}: nothing is signed yet" in said) == (0, True), said
    manifest.write_text(PublishedManifest("test", 1, {}).to_text(), encoding="utf-8")
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "alpine-omi", "-f", str(key), str(manifest)]
    subprocess.run(sign, check=True, timeout=60)
    got, said = ward.health()
    (line,) = (line for line in said.splitlines() if "signing key" in line)
    assert (line.split()[0], text in line, got) == (level, True, code), line


def test_programs_read_json_and_prometheus_openmetrics(ward: Ward) -> None:
    code, said = ward.health("--json")
    found = json.loads(said)
    assert (code, found["ok"]) == (0, True)
    assert {finding["check"] for finding in found["findings"]} == {"update", "access key", "newest image", "leftovers"}
    jsonschema.validate(found, json.loads(schema_text(Findings)))
    (image,) = (finding for finding in found["findings"] if finding["check"] == "newest image")
    assert (image["region"], image["build"], image["level"]) == ("eu-west-2", "v3_23", "good")
    ward.images, ward.leftovers, ward.account = (made(46),), 2, [seen(made(46), access=Access(public=True))]
    ward.expiry = lambda: datetime.now(UTC) + timedelta(hours=2)
    ward.last = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)
    ward.settings = Settings(region="eu-west-2", health=Health(max_run_days=3650))
    code, said = ward.health("--openmetrics")
    lines = said.splitlines()
    assert (code, lines[-1]) == (1, "# EOF")
    counts = {line for line in lines if line.startswith("alpine_omi_findings{")}
    assert counts == {
        'alpine_omi_findings{check="update",level="good"} 1',
        'alpine_omi_findings{check="access key",level="warning"} 1',
        'alpine_omi_findings{check="drift",level="warning"} 1',
        'alpine_omi_findings{check="newest image",level="error"} 1',
        'alpine_omi_findings{check="leftovers",level="warning"} 1',
    }
    assert f"alpine_omi_last_update_timestamp_seconds {int(ward.last.timestamp())}" in lines
    (left,) = (line for line in lines if line.startswith('alpine_omi_access_key_left_seconds{region="eu-west-2"} '))
    assert 7000 < int(left.split()[-1]) <= 7200
    assert f'alpine_omi_image_age_seconds{{build="v3_23",region="eu-west-2"}} {46 * 86400}' in lines


def test_one_form_alone_is_printed(ward: Ward) -> None:
    assert ward.health("--json", "--openmetrics")[0] == 2
