"""The exports name every image after its build and none after its prune; the same state gives the same bytes."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from omi.config.settings import Settings
from omi.profile.model import Target
from omi.publish import export_ledger, forget, forget_unheld, record, unheld_lines
from omi.publish.readme import MARKER, render_readme
from omi.publish.releases import from_yaml
from omi.publish.store import LOCK
from omi.state.image import ImageRecord, ImageSpec
from omi.state.ledger import Ledger, LedgerImage, StoredCommand
from omi.state.withdrawal import Withdrawal
from omi.support.errors import InputError, StateError, ToolError
from tests.omi.examples import EXAMPLES
from tests.omi.specs import make_access, make_record, make_spec

Pair = tuple[ImageSpec, ImageRecord]


def image(
    folder: Path,
    build: str = "v3_23-x86_64",
    release: str = "3.23.6",
    revision: int = 0,
    region: str = "eu-west-2",
    prefix: str = "alpine-",
) -> Pair:
    target = Target(profile="alpine", name=build, version=release.rpartition(".")[0], prefix=prefix)
    spec = make_spec(
        name=target.image_name(release, revision), release=release,
        revision=revision, digest=f"sha256:{0:064x}", end_of_life=date(2027, 11, 1), build=target,
        cloud=make_access(region=region), releases_dir=str(folder),
    )  # fmt: skip
    number = abs(hash((build, release, revision, region))) % 16**8
    return spec, make_record(
        name=spec.name, omi=f"ami-{number:08x}", region=region,
        created=datetime(2026, 11, 23, tzinfo=UTC) + timedelta(minutes=revision),
    )  # fmt: skip


def ledger_of(*pairs: Pair) -> Ledger:
    """A state that holds these images."""
    return Ledger.of(LedgerImage(spec.run, spec, made, StoredCommand.of("build", spec)) for spec, made in pairs)


def stack_of(folder: Path) -> Settings:
    """The settings of a stack that writes into this folder."""
    return Settings(profile="alpine", region="eu-west-2", releases_dir=str(folder))


def texts_in(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FILES = ("alpine.yaml", "alpine.json", "alpine.atom.xml", "feed.schema.json", "fixes.schema.json", "README.md")


def listed(folder: Path) -> dict[str, dict[str, dict[str, dict[str, object]]]]:
    tree: dict[str, dict[str, dict[str, dict[str, object]]]] = yaml.safe_load((folder / "alpine.yaml").read_text())
    return tree


def test_a_built_image_is_named_with_all_that_the_old_tool_told(tmp_path: Path) -> None:
    spec, made = image(tmp_path)
    record(spec, made)
    entry = listed(tmp_path)["3.23.6"]["v3_23-x86_64"]["alpine-3.23.6-x86_64-r0"]
    assert entry == {
        "description": "Alpine Linux 3.23.6 x86_64 r0",
        "profile": "alpine",
        "profile_build": "v3_23-x86_64",
        "version": "3.23",
        "release": "3.23.6",
        "arch": "x86_64",
        "revision": "r0",
        "creation_date": "2026-11-23T00:00:00Z",
        "build_time": 1795392000,
        "end_of_life": "2027-11-01",
        "artifacts": {"eu-west-2": made.omi},
        "boot_modes": ["legacy"],
        "firmware": "bios",
        "bootstrap": "tiny-cloud",
        "user": "alpine",
        "digest": f"sha256:{0:064x}",
        "volume_size": 1,
        "verified": ["eu-west-2"],
    }
    assert made.omi in (tmp_path / "README.md").read_text()


def test_what_was_measured_of_an_image_is_named_and_read_back(tmp_path: Path) -> None:
    spec, made = image(tmp_path)
    measured = {"used_bytes": 95, "trimmed_bytes": 147, "installed_bytes": 83, "boot_seconds": 20}
    record(spec, made.model_copy(update=measured))
    entry = listed(tmp_path)["3.23.6"]["v3_23-x86_64"]["alpine-3.23.6-x86_64-r0"]
    assert {name: entry[name] for name in measured} == measured
    record(*image(tmp_path, revision=1))  # reads the file and writes all of it again
    entry = listed(tmp_path)["3.23.6"]["v3_23-x86_64"]["alpine-3.23.6-x86_64-r0"]
    assert {name: entry[name] for name in measured} == measured


def test_a_pruned_image_is_named_no_more_and_forgetting_twice_is_fine(tmp_path: Path) -> None:
    old, new = image(tmp_path, revision=0), image(tmp_path, revision=1)
    for pair in (old, new):
        record(*pair)
    forget(*old)
    forget(*old)
    assert list(listed(tmp_path)["3.23.6"]["v3_23-x86_64"]) == ["alpine-3.23.6-x86_64-r1"]
    assert old[1].omi not in (tmp_path / "README.md").read_text()


def test_forgetting_where_the_folder_is_gone_does_nothing(tmp_path: Path) -> None:
    assert forget(*image(tmp_path / "gone")) == []
    assert not (tmp_path / "gone").exists()


def test_releases_come_newest_first_by_number(tmp_path: Path) -> None:
    for release in ("3.9.12", "3.11.9", "3.11.12"):
        record(*image(tmp_path, release=release))
    record(*image(tmp_path, build="edge", release="edge-20261123", prefix="e-"))
    assert list(listed(tmp_path)) == ["edge", "3.11.12", "3.11.9", "3.9.12"]


def test_the_readme_lists_the_newest_of_each_version_first(tmp_path: Path) -> None:
    for release in ("3.9.12", "3.11.9", "3.11.12", "edge-20261123", "edge-20261124"):
        record(*image(tmp_path, release=release))
    readme = (tmp_path / "README.md").read_text()
    names = [line.split(" | ")[1] for line in readme.splitlines() if line.startswith("| v3_23")]
    assert names == ["3.11.12", "3.9.12", "edge-20261124", "3.11.9", "edge-20261123"]
    assert readme.index("## alpine") < readme.index("3.9.12") < readme.index("Earlier images") < readme.index("3.11.9")


def test_in_each_region_the_newest_that_one_may_launch_comes_first(tmp_path: Path) -> None:
    spec, made = image(tmp_path, revision=1)
    gone = Withdrawal(why="superseded", shared=True, deprecated=date(2026, 11, 1), private=date(2026, 11, 20))
    record(spec.model_copy(update={"withdrawal": gone}), made)
    record(*image(tmp_path, region="us-east-2"))
    record(*image(tmp_path))
    newest = (tmp_path / "README.md").read_text().partition("### Earlier")[0]
    rows = [line.split(" | ")[2:4] for line in newest.splitlines() if line.startswith("| v3_23")]
    assert rows == [["alpine-3.23.6-x86_64-r0", "eu-west-2"], ["alpine-3.23.6-x86_64-r0", "us-east-2"]]


def test_a_revoked_image_says_so_and_why_wherever_it_is_listed(tmp_path: Path) -> None:
    spec, made = image(tmp_path)
    revoked = Withdrawal(why="revoked", shared=True, private=date(2026, 11, 29), reason="its sshd takes any key")
    record(spec.model_copy(update={"withdrawal": revoked}), made)
    assert "| 2027-11-01 | revoked: its sshd takes any key |" in (tmp_path / "README.md").read_text()
    assert "revoked: its sshd takes any key" in (tmp_path / "alpine.atom.xml").read_text()
    assert listed(tmp_path)["3.23.6"]["v3_23-x86_64"][spec.name]["withdrawal"] == {
        "eu-west-2": {
            "stage": "private", "why": "revoked", "reason": "its sshd takes any key", "since": "2026-11-29",
        }
    }  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_people_wrote_above_the_marker_of_the_readme_stays(tmp_path: Path, end: str) -> None:
    record(*image(tmp_path))
    readme = tmp_path / "README.md"
    below = readme.read_bytes().partition(MARKER.encode())[2]
    own = f"# Ours{end}{end}Ask *us* {{{{ about }}}} <b>them</b> | \N{SNOWMAN}{end}".encode()
    readme.write_bytes(own + MARKER.encode() + b"\nlost")
    record(*image(tmp_path))
    assert readme.read_bytes() == own + MARKER.encode() + below
    forget(*image(tmp_path))
    assert readme.read_bytes().startswith(own + MARKER.encode())


def test_a_readme_without_the_marker_is_peoples_and_the_list_comes_after_it(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Of the old tool\n\n## AMIs\n| ami-1 |")
    for _ in range(2):
        record(*image(tmp_path))
        assert readme.read_text().startswith(f"# Of the old tool\n\n## AMIs\n| ami-1 |\n\n{MARKER}\n\nThe program")
        assert readme.read_text().count("## alpine") == 1


def test_a_readme_that_is_no_text_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"\xff\xfe")
    with pytest.raises(ToolError, match=r"README\.md: is not UTF-8 text; save it as UTF-8"):
        record(*image(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {LOCK, "README.md"}


@settings(deadline=None, max_examples=EXAMPLES // 4)  # it writes files, which takes as long as it takes
@given(st.permutations([("a", 0), ("a", 1), ("a", 10), ("b", 0)]), st.sets(st.integers(0, 3)))
def test_the_ledger_gives_the_same_bytes_as_the_builds_and_prunes_that_led_to_it(
    tmp_path_factory: pytest.TempPathFactory, order: list[tuple[str, int]], pruned: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("one")
    built = [image(folder, build=build, revision=revision, prefix=f"{build}-") for build, revision in order]
    for pair in built:
        record(*pair)
    for index in pruned:
        forget(*built[index])
    other = tmp_path_factory.mktemp("two")
    kept = [pair for index, pair in enumerate(built) if index not in pruned]
    export_ledger(stack_of(other), ledger_of(*kept))
    if not kept:
        assert not list(other.iterdir())
        return
    for name in FILES:
        assert (folder / name).read_bytes() == (other / name).read_bytes()


def test_a_ledger_that_lacks_images_changes_no_file(tmp_path: Path) -> None:
    old, new = image(tmp_path), image(tmp_path, revision=1)
    for pair in (old, new):
        record(*pair)
    before = texts_in(tmp_path)
    for state in (ledger_of(), ledger_of(new)):
        assert export_ledger(stack_of(tmp_path), state) == []
        assert texts_in(tmp_path) == before


def test_what_an_update_let_go_leaves_the_files_though_its_own_run_was_lost(tmp_path: Path) -> None:
    old, new = image(tmp_path), image(tmp_path, revision=1)
    for pair in (old, new):
        record(*pair)
    stack, before = stack_of(tmp_path), texts_in(tmp_path)
    gone = {old[1].omi, new[1].omi}
    assert export_ledger(stack, ledger_of(old, new), pruned=gone) == []
    assert texts_in(tmp_path) == before, "what state holds has not gone"
    assert unheld_lines(stack, ledger_of(new), gone) == []
    assert export_ledger(stack, ledger_of(new), pruned=gone) == []
    assert list(listed(tmp_path)) == ["3.23.6"]
    assert list(listed(tmp_path)["3.23.6"]["v3_23-x86_64"]) == [new[0].name]


def test_what_an_update_let_go_leaves_the_files_of_a_profile_that_the_stack_has_left(tmp_path: Path) -> None:
    folder = tmp_path / "releases"
    gone = image(folder)
    record(*gone)
    other = stack_of(folder).model_copy(update={"profile": "another"})
    assert export_ledger(other, Ledger.of([])) == []
    assert list(listed(folder)) == ["3.23.6"]
    export_ledger(other, Ledger.of([]), pruned=[gone[1].omi])
    assert listed(folder) == {}


def test_the_folder_may_be_below_a_persons_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    record(*image(Path("~/feeds")))
    assert list(listed(tmp_path / "feeds")) == ["3.23.6"]
    assert not (tmp_path / "~").exists()


def test_images_that_state_lacks_are_named_in_a_line_and_forgotten_by_name_alone(tmp_path: Path) -> None:
    old, new, elsewhere = image(tmp_path), image(tmp_path, revision=1), image(tmp_path, region="us-east-2")
    for pair in (old, new, elsewhere):
        record(*pair)
    stack, state = stack_of(tmp_path), ledger_of(new)
    (line,) = unheld_lines(stack, state)
    assert line.startswith(f"{tmp_path}: stays as it is on alpine-3.23.6-x86_64-r0, which the stack's state lacks; ")
    assert unheld_lines(stack, ledger_of(old, new)) == []
    before = texts_in(tmp_path)
    with pytest.raises(InputError, match=r"--forget alpine-3\.23\.6-x86_64-r1: .*: alpine-3\.23\.6-x86_64-r0$"):
        forget_unheld(stack, state, [new[0].name])
    assert texts_in(tmp_path) == before
    assert forget_unheld(stack, state, [old[0].name]) == []
    assert unheld_lines(stack, state) == []
    told = listed(tmp_path)["3.23.6"]["v3_23-x86_64"]
    assert told[old[0].name]["artifacts"] == {"us-east-2": elsewhere[1].omi}  # another stack's
    assert new[0].name in told


def test_of_several_images_that_state_lacks_only_the_named_one_is_forgotten(tmp_path: Path) -> None:
    built = [image(tmp_path, revision=number) for number in range(3)]
    for pair in built:
        record(*pair)
    assert forget_unheld(stack_of(tmp_path), ledger_of(), [built[1][0].name]) == []
    assert set(listed(tmp_path)["3.23.6"]["v3_23-x86_64"]) == {built[0][0].name, built[2][0].name}


def test_the_last_image_that_went_leaves_the_files_though_state_holds_none_any_more(tmp_path: Path) -> None:
    last = image(tmp_path)
    record(*last)
    assert export_ledger(stack_of(tmp_path), ledger_of(), pruned={last[1].omi}) == []
    assert last[1].omi not in (tmp_path / "alpine.json").read_text()


def test_the_images_of_each_profile_are_in_its_own_files_alone(tmp_path: Path) -> None:
    mine, (spec, made) = image(tmp_path), image(tmp_path, build="v3_22-x86_64", release="3.22.4")
    build = spec.target.model_copy(update={"profile": "other"})
    theirs = spec.model_copy(update={"profile": "other", "target": build})
    export_ledger(stack_of(tmp_path), ledger_of(mine, (theirs, made)))
    texts = {name: (tmp_path / f"{name}.json").read_text() for name in ("alpine", "other")}
    assert {name: [omi in text for omi in (mine[1].omi, made.omi)] for name, text in texts.items()} == {
        "alpine": [True, False],
        "other": [False, True],
    }
    record(*image(tmp_path, revision=1))
    assert made.omi in (tmp_path / "README.md").read_text(), "the list is of all profiles"


def test_what_state_lacks_is_named_in_a_region_that_left_too(tmp_path: Path) -> None:
    lost, held = (image(tmp_path, revision=number, region="us-east-2") for number in range(2))
    record(*lost)
    record(*held)
    (line,) = unheld_lines(stack_of(tmp_path), ledger_of(held))
    assert lost[0].name in line
    assert unheld_lines(stack_of(tmp_path), ledger_of()) == [], "it may be another stack's Region"


def test_a_record_that_knows_less_of_an_omi_takes_nothing_out_that_was_known_of_it(tmp_path: Path) -> None:
    spec, made = image(tmp_path)
    record(spec, made.model_copy(update={"used_bytes": 95, "boot_seconds": 20}))
    before = texts_in(tmp_path)
    record(spec, made.model_copy(update={"verified": False}))
    assert texts_in(tmp_path) == before
    record(spec, made.model_copy(update={"omi": "ami-0000beef", "verified": False}))  # another image of that name
    entry = listed(tmp_path)["3.23.6"]["v3_23-x86_64"]["alpine-3.23.6-x86_64-r0"]
    assert "used_bytes" not in entry
    assert entry["verified"] == []


def _record_one(folder: Path, revision: int) -> None:
    record(*image(folder, revision=revision))


def test_builds_that_end_at_the_same_time_are_all_named(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])  # once for all: the imports are dear
    makers = [processes.Process(target=_record_one, args=(tmp_path, revision)) for revision in range(6)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(60)
    assert len(listed(tmp_path)["3.23.6"]["v3_23-x86_64"]) == len(makers)
    assert {path.name for path in tmp_path.iterdir()} == {LOCK, *FILES}


def test_a_file_that_is_something_else_is_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "alpine.yaml").write_text("- just\n- a list\n")
    with pytest.raises(StateError, match=r"alpine\.yaml.*python -m omi publish"):
        record(*image(tmp_path))
    assert (tmp_path / "alpine.yaml").read_text() == "- just\n- a list\n"


def test_a_file_with_what_no_image_has_is_refused_with_the_cure(tmp_path: Path) -> None:
    record(*image(tmp_path))
    text = (tmp_path / "alpine.yaml").read_text().replace("2027-11-01", "soon")
    (tmp_path / "alpine.yaml").write_text(text)
    with pytest.raises(StateError, match=r"alpine\.yaml.*python -m omi publish"):
        record(*image(tmp_path, revision=1))


def test_the_first_region_tells_what_was_measured_whichever_stack_wrote_last(tmp_path: Path) -> None:
    (spec, made), there = image(tmp_path), image(tmp_path, region="us-east-2")
    here = spec, made.model_copy(update={"used_bytes": 95})
    for pairs in ([here, there], [there, here]):
        for pair in pairs:
            record(*pair)
        texts = {name: (tmp_path / name).read_bytes() for name in FILES}
        record(*there)
        assert {name: (tmp_path / name).read_bytes() for name in FILES} == texts
        assert listed(tmp_path)["3.23.6"]["v3_23-x86_64"]["alpine-3.23.6-x86_64-r0"]["used_bytes"] == 95


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match="cannot write the releases"):
        record(*image(tmp_path / "file" / "releases"))


def test_the_readme_in_the_repository_is_what_the_program_writes() -> None:
    folder = Path(__file__).resolve().parents[3] / "releases"
    listed = {path.stem: from_yaml(path.read_text(), str(path)) for path in folder.glob("*.yaml")}
    assert (folder / "README.md").read_text() == render_readme(listed)


ANOTHERS = {"adopted": True, "made_by": "stack first (id 1)", "verified": False, "claim": None, "digest": None}


def test_a_stack_that_lists_anothers_image_leaves_that_ones_entry_as_it_is(tmp_path: Path) -> None:
    """A fork that writes into the same folder, and is destroyed."""
    spec, made = image(tmp_path)
    record(spec, made)
    before = texts_in(tmp_path)
    external = made.model_copy(update=ANOTHERS)
    record(spec, external)
    export_ledger(stack_of(tmp_path), ledger_of((spec, external)))
    assert texts_in(tmp_path) == before
    forget(spec, external)
    assert texts_in(tmp_path) == before
    forget(spec, made)
    assert "3.23.6" not in listed(tmp_path)


@pytest.mark.parametrize("maker", ["stack first (id 1)", None])
def test_an_entry_of_ones_own_for_an_image_made_elsewhere_goes_once_it_is_forgotten(
    tmp_path: Path, maker: str | None
) -> None:
    spec, made = image(tmp_path)
    external = made.model_copy(update={**ANOTHERS, "made_by": maker})
    other = image(tmp_path, revision=1)
    record(*other)  # its words are no maker's of this one
    record(spec, external)
    assert "made by" in (tmp_path / "alpine.yaml").read_text()
    forget(spec, external)
    assert list(listed(tmp_path)["3.23.6"]["v3_23-x86_64"]) == [other[0].name]


def test_what_was_made_by_hand_has_no_maker_whose_words_stay(tmp_path: Path) -> None:
    spec, made = image(tmp_path)
    record(spec, made)
    by_hand = made.model_copy(update={**ANOTHERS, "made_by": None})
    record(spec, by_hand)
    assert "made by" in (tmp_path / "alpine.yaml").read_text()
    forget(spec, by_hand)
    assert "3.23.6" not in listed(tmp_path)
