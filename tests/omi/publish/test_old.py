"""Releases files of the old tool, as it wrote them, and what isn't one."""

from __future__ import annotations

from pathlib import Path

import pytest

from omi.publish import record, unheld_lines
from omi.publish.old import OldImage, is_old, read_old_releases
from omi.publish.releases import HEADER
from omi.support.errors import InputError
from tests.omi.ancestor import DATA
from tests.omi.publish.test_releases import image, ledger_of, stack_of

LEAF = """\
      description: Alpine Linux 3.20.10 x86_64
      profile: alpine
      profile_build: v3_20-x86_64
      version: '3.20'
      release: 3.20.10
      arch: x86_64
      revision: {revision}
      end_of_life: '2026-04-01T00:00:00'
      build_time: 1630478686
      artifacts:
        eu-west-2: ami-0000000a
        us-east-2: ami-0000000b
"""
BY_BUILD = "v3_20-x86_64:\n  3.20.10:\n    old-3.20.10-x86_64-r12:\n" + LEAF.format(revision="r12")
BY_RELEASE = "3.20.10:\n  v3_20-x86_64:\n    old-3.20.10-x86_64-r12:\n" + LEAF.format(revision="r12")


def read(tmp_path: Path, text: str) -> list[OldImage]:
    file = tmp_path / "old.yaml"
    file.write_text(text, encoding="utf-8")
    return read_old_releases(file)


@pytest.mark.parametrize("text", [BY_BUILD, BY_RELEASE], ids=["2019 to 2020", "2021"])
def test_both_layouts_say_the_same(tmp_path: Path, text: str) -> None:
    artifacts = {"eu-west-2": "ami-0000000a", "us-east-2": "ami-0000000b"}
    (image,) = read(tmp_path, text)
    assert image == OldImage("old-3.20.10-x86_64-r12", "v3_20-x86_64", "3.20.10", 12, 1630478686, "x86_64", artifacts)


def test_a_time_for_a_revision_counts_as_the_first(tmp_path: Path) -> None:
    (image,) = read(tmp_path, BY_BUILD.replace("revision: r12", "revision: '20210831223706'"))
    assert image.revision == 0


def test_images_of_edge_come_in_the_order_of_their_builds(tmp_path: Path) -> None:
    """Their names need not say it, and one day may have several."""
    times = {"z": 1630478686, "y": 1630478600, "x": 1630592000, "w": 1561007140}
    leaf = LEAF.replace("3.20.10", "edge").format(revision="'20210831223706'")
    images = "".join(f"    {name}:\n{leaf.replace('1630478686', str(at))}" for name, at in times.items())
    read_images = read(tmp_path, f"edge:\n  edge-x86_64:\n{images}")
    told = {image.name: (image.release, image.revision) for image in read_images}
    assert told == {
        "z": ("edge-20210901", 1),
        "y": ("edge-20210901", 0),
        "x": ("edge-20210902", 0),
        "w": ("edge-20190620", 0),
    }


@pytest.mark.parametrize("name", ["2019-07-build-release.yaml", "2021-08-release-build.yaml", "alpine.yaml"])
def test_the_old_tools_own_files_are_read_whatever_their_layout(name: str) -> None:
    file = DATA / "releases" / name
    if not file.exists():
        pytest.skip(f"{file} is not here")
    images = read_old_releases(file)
    assert {image.release.partition("-")[0] for image in images} >= {"edge"}
    assert all(image.artifacts and image.built > 1.5e9 for image in images)
    assert is_old(file.read_text())


@pytest.mark.parametrize("time", ["-1", "99999999999999", "soon"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, time: str) -> None:
    with pytest.raises(InputError, match="build_time: "):
        read(tmp_path, BY_BUILD.replace("1630478686", time))


def test_what_looks_like_a_number_stays_text(tmp_path: Path) -> None:
    (image,) = read(tmp_path, BY_BUILD.replace("release: 3.20.10", "release: 3.20"))
    assert image.release == "3.20"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "the whole file: is not a map"),
        ("a: {b: [c]}\n", r"a\.b: is not a map"),
        ("a: {b: {c: {release: 3.20.1}}}\n", r"a\.b\.c: profile_build: is missing"),
        ("a: {b: {c: text}}\n", r"a\.b\.c: its value"),
        ("a: [\n", "is not YAML"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        read(tmp_path, text)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_old_releases(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", [BY_BUILD, BY_RELEASE], ids=["2019 to 2020", "2021"])
def test_a_file_of_the_old_tool_is_known_by_its_form(text: str) -> None:
    dated = text.replace("      end_of_life", "      creation_date: '2021-08-31T22:44:46.000Z'\n      end_of_life")
    assert is_old(text)
    assert is_old(dated)


@pytest.mark.parametrize("text", ["", "a: 1\n", "a: {b: {c: text}}\n", "a: [\n", "{}\n", HEADER + "{}\n"])
def test_no_other_file_counts_as_the_old_tools(text: str) -> None:
    assert not is_old(text)


def test_a_file_of_this_program_is_its_own_even_without_its_head(tmp_path: Path) -> None:
    record(*image(tmp_path))
    text = (tmp_path / "alpine.yaml").read_text(encoding="utf-8")
    assert not is_old(text)
    assert not is_old(text.removeprefix(HEADER))


def test_nothing_in_it_counts_as_what_state_lacks(tmp_path: Path) -> None:
    (tmp_path / "alpine.yaml").write_text(BY_BUILD, encoding="utf-8")
    assert unheld_lines(stack_of(tmp_path), ledger_of()) == []
