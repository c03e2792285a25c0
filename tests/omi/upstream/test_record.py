"""What was detected goes into the core version profiles: forward only, and nothing else of a file changes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omi.profile.discover import expand_discovered
from omi.profile.load import Profile, load_profile
from omi.support.version import release_key
from omi.upstream.model import Branch, MirrorRelease, Upstream
from omi.upstream.record import record_releases

KEY = ("3.23", "x86_64")
COMMENTED = """\
# Kept by hand,
# and by `up`.

base: base/1   # the first

packages:
  # a reason
  tzdata: true
  "nginx": null  # not here
kernel_options:
  quiet: false
release: 3.23.5   # as last detected
end_of_life: 2027-11-01


# the end
"""


def profile_of(root: Path, text: str = 'builds: {a: {version: "3.23", arch: x86_64}}') -> Profile:
    (root / "alpine.yaml").write_text(text, encoding="utf-8")
    return load_profile("alpine", root)


def upstream(release: str | None, end: date | None = None, *, stale: bool = False, old_site: bool = False) -> Upstream:
    branch = Branch("3.23", (), end, ("x86_64",))
    return Upstream((branch,), {KEY: MirrorRelease(release, stale=stale)}, (), old_site)


def version_file(root: Path, version: str = "3.23") -> Path:
    return root / "version" / f"{version}.yaml"


def test_a_newer_release_and_a_later_end_are_written_and_the_rest_stays(root: Path) -> None:
    file = version_file(root)
    file.write_text(COMMENTED, encoding="utf-8")
    told = record_releases(profile_of(root), upstream("3.23.10", date(2027, 12, 1)), root)
    assert told == ["profiles/version/3.23.yaml: release 3.23.10 (was 3.23.5), end of life 2027-12-01 (was 2027-11-01)"]
    expected = COMMENTED.replace("3.23.5", "3.23.10").replace("2027-11-01", "2027-12-01")
    assert file.read_text(encoding="utf-8") == expected
    branch = load_profile("alpine", root).builds[0]
    assert (branch.recorded_release, branch.end_of_life) == ("3.23.10", date(2027, 12, 1))


@pytest.mark.parametrize(
    "seen",
    [
        upstream("3.23.5", date(2027, 11, 1)),
        upstream("3.23.4", date(2027, 10, 1)),
        upstream("3.23.9", date(2028, 1, 1), stale=True, old_site=True),
        upstream(None),
        Upstream(),
    ],
    ids=["the same", "older", "from an earlier run", "no release yet", "nothing"],
)
def test_what_is_not_news_writes_nothing(root: Path, seen: Upstream) -> None:
    file = version_file(root)
    file.write_text(COMMENTED, encoding="utf-8")
    before = file.stat()
    assert record_releases(profile_of(root), seen, root) == []
    assert (file.read_text(encoding="utf-8"), file.stat().st_ino) == (COMMENTED, before.st_ino)


def test_facts_that_were_never_recorded_follow_the_base(root: Path) -> None:
    file = version_file(root)
    file.write_text("# bare\nbase: base/1\npackages: {tzdata: true}\n", encoding="utf-8")
    record_releases(profile_of(root), upstream("3.23.6", date(2027, 11, 1)), root)
    lines = ["# bare", "base: base/1", "release: 3.23.6", "end_of_life: 2027-11-01", "packages: {tzdata: true}"]
    assert file.read_text(encoding="utf-8").splitlines() == lines


def test_a_layout_that_cannot_be_kept_is_left_alone(root: Path) -> None:
    file = version_file(root)
    file.write_text("{base: base/1}\n", encoding="utf-8")
    (told,) = record_releases(profile_of(root), upstream("3.23.6"), root)
    assert "write by hand: release 3.23.6" in told
    assert file.read_text(encoding="utf-8") == "{base: base/1}\n"


def test_a_discovered_version_gets_a_core_profile_that_changes_no_build(root: Path) -> None:
    profile = expand_discovered(profile_of(root, "discover: {}"), ["3.30"])
    seen = Upstream((Branch("3.30", (), date(2029, 1, 1), ("x86_64",)),), {("3.30", "x86_64"): MirrorRelease("3.30.0")})
    record_releases(profile, seen, root)
    text = version_file(root, "3.30").read_text(encoding="utf-8")
    assert (
        text
        == "# release and end_of_life are as last detected.\nbase: base/1\nrelease: 3.30.0\nend_of_life: 2029-01-01\n"
    )
    again = expand_discovered(load_profile("alpine", root), ["3.30"])
    recorded = {"recorded_release": "3.30.0", "end_of_life": date(2029, 1, 1)}
    assert again.builds == tuple(build.model_copy(update=recorded) for build in profile.builds)


def test_a_version_that_no_build_is_of_is_left_alone(root: Path) -> None:
    seen = Upstream((), {("3.22", "x86_64"): MirrorRelease("3.22.99")})
    assert record_releases(profile_of(root), seen, root) == []


def test_a_folder_that_cannot_be_written_is_told_and_stops_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("omi.upstream.record.write_atomically", refuse)
    told = record_releases(profile_of(root), upstream("3.23.99"), root)
    assert told == ["profiles/version/3.23.yaml: not recorded: Permission denied"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_whatever_comes_the_newest_release_is_what_is_recorded(root: Path, numbers: list[int]) -> None:
    version_file(root).write_text(COMMENTED, encoding="utf-8")
    profile = profile_of(root)
    for number in numbers:
        record_releases(profile, upstream(f"3.23.{number}"), root)
    newest = max(["3.23.5", *(f"3.23.{number}" for number in numbers)], key=release_key)
    assert load_profile("alpine", root).builds[0].recorded_release == newest
    assert [file.name for file in (root / "version").iterdir() if file.name.startswith(".")] == []
