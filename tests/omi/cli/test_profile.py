"""`profile`: a person begins one, sees all that is wrong, where values come from, and what a change would do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from omi.cli.main import main
from omi.cli.new import LOCAL_VERSIONS
from omi.config.settings import Settings
from omi.plan.held import Held
from omi.profile.load import load_profile
from omi.profile.model import Target
from omi.state.ledger import LedgerImage
from omi.support.errors import ProfileError
from omi.support.version import EDGE
from omi.upstream.packages import Offered
from sandbox.mirror.catalogue import DEFAULT_CATALOGUE
from tests.omi.conftest import TOP
from tests.omi.plan.make import held, ledger, offer
from tests.omi.specs import OWNER

WRONG = """\
pakages: {a: true}
user: root
packages:
  foot: testing
  nginx:
  on: true
setup_script: a.sh
tests: {x: b.sh}
keys: {gone.rsa.pub: true}
builds:
  a: {version: 3.23}
  b: {version: "3.23", volume_size: 0, packages: {linux-virt: false}}
  c: {version: "3.23"}
  d: {}
  e: {version: "3.22", release: 3.23.1}
  f: {version: "9.9"}
"""


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    return Shown(capsys)


class Shown:
    """What a command prints."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def by(self, *arguments: str, code: int = 0) -> list[str]:
        ended = main(arguments)
        seen = self._capsys.readouterr()
        assert ended == code, seen.err
        return (seen.out + seen.err).splitlines()

    def rows(self, *arguments: str) -> dict[str, list[str]]:
        """The cells of a table by the first of each row."""
        cells = (re.split(r"  +", line) for line in self.by(*arguments))
        return {first: rest for first, *rest in cells}


class TestNew:
    def test_it_is_whole_at_once_and_names_what_comes_next(self, root: Path, shown: Shown) -> None:
        *_, check, stack, local = shown.by("profile", "new", "web")
        assert check.strip() == "python -m omi profile check web"
        assert stack.strip() == "python -m omi stack new web --profile web --local"
        assert local == "the local cloud has no Alpine 3.24: for it set the build's version to 3.22 or 3.23"
        shown.by("profile", "check", "web")
        (build,) = load_profile("web").builds
        assert (build.name, build.version, build.suffix) == ("v3_24-x86_64", "3.24", "-web")
        first = (root / "web.yaml").read_text(encoding="utf-8").partition("\n")[0]
        assert first == (TOP / "profiles" / "alpine.yaml").read_text(encoding="utf-8").partition("\n")[0]

    def test_its_examples_are_whole_too(self, root: Path, shown: Shown) -> None:
        *_, stack = shown.by("profile", "new", "web", "--version", "3.23")
        assert stack.endswith("--local"), "no remark on the local cloud: it has this version"
        text = (root / "web.yaml").read_text(encoding="utf-8")
        (root / "web.yaml").write_text(re.sub(r"(?m)^#(?=[a-z]|  )", "", text), encoding="utf-8")
        (root / "setup").mkdir()
        for name in ("web.sh", "web-test.sh"):
            (root / "setup" / name).write_text("true\n", encoding="utf-8")
        shown.by("profile", "check", "web")
        (build,) = load_profile("web").builds
        assert (build.version, build.ports, build.setup_script) == ("3.23", ("80/tcp",), "setup/web.sh")
        assert build.packages["nginx"] is True

    def test_the_local_clouds_versions_are_those_of_its_mirror(self) -> None:
        served = {branch.name.removeprefix("v") for branch in DEFAULT_CATALOGUE.branches}
        assert {path.stem for path in (TOP / "profiles" / "version").iterdir()} & served == {*LOCAL_VERSIONS, EDGE}

    @pytest.mark.parametrize("name", ["3.23", "323", "1_000", "0x10", "no"])
    def test_a_name_that_yaml_reads_as_something_else_makes_a_good_profile(
        self, root: Path, shown: Shown, name: str
    ) -> None:
        shown.by("profile", "new", name, "--version", "3.23")
        shown.by("profile", "check", name)
        assert load_profile(name).builds[0].suffix == f"-{name}"

    def test_nothing_is_overwritten(self, root: Path, shown: Shown) -> None:
        (root / "web.yaml").write_text("builds: {}\n")
        (line,) = shown.by("profile", "new", "web", code=2)
        assert line == "error: profiles/web.yaml: is there already; give another name, or edit it"
        assert (root / "web.yaml").read_text() == "builds: {}\n"

    @pytest.mark.parametrize("name", ["../x", "", "a/b", "ü", "x" * 41])
    def test_what_is_no_name_is_refused(self, root: Path, shown: Shown, name: str) -> None:
        (line,) = shown.by("profile", "new", name, code=2)
        assert "is not a profile's name" in line

    def test_a_files_name_is_refused_with_the_profiles(self, root: Path, shown: Shown) -> None:
        (line,) = shown.by("profile", "new", "web.yaml", code=2)
        assert line == "error: 'web.yaml': is a file's name; give the profile's: 'web'"

    def test_an_unknown_version_lists_those_that_are_known(self, root: Path, shown: Shown) -> None:
        (line,) = shown.by("profile", "new", "web", "--version", "9.9", code=2)
        assert line.endswith("there are: 3.22, 3.23, 3.24")
        assert not (root / "web.yaml").exists()


class TestCheck:
    def test_all_problems_are_shown_at_once_by_line(self, root: Path, shown: Shown) -> None:
        (root / "web.yaml").write_text(WRONG)
        lines = shown.by("profile", "check", "web", code=1)
        assert all(line.startswith("profiles/web.yaml:") for line in lines)
        told = [(int(line.split(":")[1]), line.split(": ")[1]) for line in lines]
        assert told == [
            (1, "pakages"),
            (2, "user"),
            (4, "packages.foot"),
            (5, "packages.nginx"),
            (6, "packages"),
            (7, "setup_script"),
            (8, "tests.x"),
            (9, "keys.gone.rsa.pub"),
            (11, "builds.a.version"),
            (12, "builds.b.volume_size"),
            (12, "packages.linux-virt"),
            (14, "builds.d.version"),
            (15, "release"),
            (16, "builds.f.version"),
        ]

    def test_other_commands_show_the_first_and_how_many_more(self, root: Path, shown: Shown) -> None:
        (root / "web.yaml").write_text("pakages: {}\nuser: root\nbuilds: {}\n")
        with pytest.raises(
            ProfileError, match=r"^profiles/web\.yaml:1: pakages: .* \(and 1 more: `python -m omi profile"
        ):
            load_profile("web")

    def test_every_profile_is_checked_where_none_is_named(self, root: Path, shown: Shown) -> None:
        (root / "good.yaml").write_text("builds: {}\n")
        assert shown.by("profile", "check") == ["nothing is wrong with good"]
        (root / "one.yaml").write_text("user: root\nbuilds: {}\n")
        (root / "two.yaml").write_text("builds: {}\npakages: {}\n")
        lines = shown.by("profile", "check", code=1)
        assert [line.partition(": ")[0] for line in lines] == ["profiles/one.yaml:1", "profiles/two.yaml:2"]
        shown.by("profile", "check", "good")

    def test_what_all_profiles_share_is_shown_once(self, root: Path, shown: Shown) -> None:
        for name in ("one", "two"):
            (root / f"{name}.yaml").write_text("builds: {}\n")
        (root / "version" / "3.23.yaml").write_text("base: base/9\nrelease: 3.22.1\nusr: x\n")
        assert len(shown.by("profile", "check", code=1)) == 1
        (root / "version" / "3.23.yaml").write_text("base: base/9\nrelease: 3.22.1\n")
        assert len(shown.by("profile", "check", code=1)) == 2

    def test_builds_that_discover_adds_are_checked(self, root: Path, shown: Shown) -> None:
        (root / "web.yaml").write_text("discover: {}\npackages: {foot: testing}\n")
        (line,) = shown.by("profile", "check", code=1)
        assert line.startswith("profiles/web.yaml:2: packages.foot: ")

    def test_outside_of_the_project_nothing_counts_as_checked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Shown
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for words in (["check"], ["show", "v3_23-x86_64"]):
            (line,) = shown.by("profile", *words, code=2)
            assert line == "error: profiles: no such folder; run this from the project's top"

    def test_an_unknown_profile_is_a_problem(self, root: Path, shown: Shown) -> None:
        (root / "web.yaml").write_text("builds: {}\n")
        (line,) = shown.by("profile", "check", "wep", code=1)
        assert line == "profiles: there is no profile 'wep' (did you mean 'web'?); there are: web"

    def test_the_projects_own_profiles_are_whole(self, monkeypatch: pytest.MonkeyPatch, shown: Shown) -> None:
        monkeypatch.chdir(TOP)
        assert shown.by("profile", "check", "alpine", "test") == ["nothing is wrong with alpine, test"]


class TestShow:
    def test_each_value_has_the_line_that_it_comes_from(self, root: Path, shown: Shown) -> None:
        text = """\
            packages:
              nginx: true
              e2fsprogs: false
            repos: {https://example.org/x: own}
            builds:
              a: {version: "3.23", services: {default: {nginx: true}}}
            """
        (root / "web.yaml").write_text(dedent(text))
        rows = shown.rows("profile", "show", "a")
        assert rows["packages.nginx"] == ["profiles/web.yaml:2", "true"]
        assert rows["packages.e2fsprogs"] == ["profiles/web.yaml:3", "taken away"]
        assert rows["repos.https://example.org/x"] == ["profiles/web.yaml:4", "own"]
        assert rows["services.default.nginx"] == ["profiles/web.yaml:6", "true"]
        assert rows["user"] == ["profiles/base/1.yaml:5", "alpine"]
        assert rows["kernel_options.console=tty0"][0] == "profiles/arch/x86_64.yaml:3"
        assert rows["arch"] == ["default", "x86_64"]
        assert rows["packages.tiny-cloud"] == ["follows", "true"]

    def test_all_that_a_build_holds_is_there(self, monkeypatch: pytest.MonkeyPatch, shown: Shown) -> None:
        monkeypatch.chdir(TOP)
        (build,) = load_profile("test").builds
        rows = shown.rows("profile", "show", build.name, "--profile", "test")
        kept = {key for key, row in rows.items() if row[-1:] != ["taken away"]}
        assert {f"packages.{name}" for name in build.packages} <= kept
        assert {f"services.{level}.{name}" for level, names in build.services.items() for name in names} <= kept
        assert {f"sysctl.{name}" for name in build.sysctl} <= kept

    def test_a_discovered_build_is_shown(self, root: Path, shown: Shown) -> None:
        (root / "web.yaml").write_text("user: a\ndiscover: {}\n")
        assert shown.rows("profile", "show", "v3_23-x86_64")["version"] == ["profiles/web.yaml:2", "3.23"]

    def test_a_build_of_several_profiles_asks_which(self, root: Path, shown: Shown) -> None:
        for name in ("one", "two"):
            (root / f"{name}.yaml").write_text(f'user: {name}\nbuilds: {{a: {{version: "3.23"}}}}\n')
        (root / "broken.yaml").write_text("user: root\n")
        (line,) = shown.by("profile", "show", "a", code=2)
        assert line == "error: build 'a': profiles one, two have one; name one of them by --profile"
        assert shown.rows("profile", "show", "a", "--profile", "two")["user"] == ["profiles/two.yaml:1", "two"]
        (line,) = shown.by("profile", "show", "b", code=2)
        assert line == "error: build 'b': is in no profile; there are: a"
        (line,) = shown.by("profile", "show", "b", "--profile", "two", code=2)
        assert line == "error: build 'b': is not in profile two; it has: a"
        assert "broken.yaml:1: user" in shown.by("profile", "show", "a", "--profile", "broken", code=2)[0]


BEFORE = """\
packages: {curl: true, nginx: true}
services: {default: {nginx: true}}
setup_script: web.sh
builds: {a: {version: "3.23"}}
"""
AFTER = """\
packages: {nginx: true, htop: true}
ports: {80/tcp: true}
user: admin
setup_script: web.sh
builds: {a: {version: "3.23"}}
"""


class TestDiff:
    @pytest.fixture(autouse=True)
    def stack(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stack whose image was made of BEFORE."""
        (root / "web.sh").write_text("true\n")
        self.write(root, BEFORE)
        (made,) = load_profile("web").builds
        self.image = held(made, "3.23.6", installed={"nginx": "1-r0", "musl": "1-r0"})
        self.hold(monkeypatch, self.image)
        self.offer(monkeypatch)

    @staticmethod
    def write(root: Path, text: str) -> None:
        (root / "web.yaml").write_text(text)

    @staticmethod
    def hold(monkeypatch: pytest.MonkeyPatch, *images: LedgerImage) -> None:
        settings = Settings(region="eu-west-2", profile="web")
        monkeypatch.setattr("omi.cli.profile.read_stack", lambda _: (settings, Held(OWNER, ledger(*images))))

    @staticmethod
    def offer(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
        def offered(builds: list[Target], *_: object) -> Offered:
            return Offered({build.name: offer(**versions) for build in builds})

        monkeypatch.setattr("omi.cli.profile.read_offered", offered)

    def test_without_a_change_nothing_differs(self, shown: Shown) -> None:
        assert shown.by("profile", "diff", "a", "-s", "web") == [f"nothing differs from {self.image.name}"]

    def test_changed_keys_are_shown_with_what_they_make(self, root: Path, shown: Shown) -> None:
        self.write(root, AFTER)
        (root / "web.sh").write_text("false\n")
        heading, *rows = (re.split(r"  +", line) for line in shown.by("profile", "diff", "a", "-s", "web"))
        assert heading == ["KEY", self.image.name, "NOW", "NEW REVISION"]
        assert rows == [
            ["user", "alpine", "admin", "yes"],
            ["packages.curl", "true", "-", "yes"],
            ["packages.htop", "-", "true", "yes"],
            ["services.default.nginx", "true", "-", "yes"],
            ["ports.80/tcp", "-", "true", "no"],
            ["the file web.sh", "as built", "changed", "yes"],
        ]

    def test_newer_packages_are_named(self, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offer(monkeypatch, nginx="2-r0", musl="1-r0")
        assert shown.rows("profile", "diff", "a", "-s", "web")["package nginx"] == ["1-r0", "2-r0", "no"]

    def test_what_can_not_be_known_is_said(self, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
        unreached: Mapping[str, str] = {"https://example.org": "no answer in time"}
        monkeypatch.setattr("omi.cli.profile.read_offered", lambda *_: Offered(unreached=unreached))
        assert shown.by("profile", "diff", "a", "-s", "web")[0] == (
            "which packages are newer is not known: https://example.org: no answer in time"
        )

    def test_a_stack_without_such_an_image_says_so(self, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hold(monkeypatch)
        (line,) = shown.by("profile", "diff", "a", "-s", "web", code=2)
        assert line == "error: stack 'web': its state has no image of a yet; `pulumi up -s web` builds one"
