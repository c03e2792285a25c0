"""A releases file of the old tool in the folder: it stays as it is, and everything else goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from omi.publish import export_ledger, record
from omi.publish.site import build_site
from omi.publish.store import LOCK
from omi.support.errors import StateError
from tests.omi.publish.test_old import BY_BUILD, BY_RELEASE
from tests.omi.publish.test_releases import image, ledger_of, stack_of

LAYOUTS = pytest.mark.parametrize(
    "text",
    [
        BY_BUILD,
        BY_RELEASE,
        BY_RELEASE.replace("      end_of_life", "      creation_date: '2021-08-31T22:44:46.000Z'\n      end_of_life"),
    ],
    ids=["2019 to 2020", "2021", "2021 with its time"],
)


@LAYOUTS
def test_of_another_profile_it_stays_and_the_import_is_proposed(tmp_path: Path, text: str) -> None:
    old = tmp_path / "old.yaml"
    old.write_text(text)
    pair = image(tmp_path)
    (told,) = record(*pair)
    assert told.startswith(f"{old}: is of the old tool")
    assert f"omi import -s STACK {old}" in told
    assert old.read_text() == text
    assert pair[1].omi in (tmp_path / "alpine.json").read_text()
    assert "old-3.20.10" not in (tmp_path / "README.md").read_text()
    assert build_site(tmp_path, tmp_path.parent / "site")


@LAYOUTS
def test_of_the_stacks_own_profile_nothing_is_written_in_its_place(tmp_path: Path, text: str) -> None:
    old = tmp_path / "alpine.yaml"
    old.write_text(text)
    spec, made = image(tmp_path)
    for told in (record(spec, made), export_ledger(stack_of(tmp_path), ledger_of((spec, made)))):
        assert len(told) == 1
        assert "omi import -s STACK" in told[0]
    assert {path.name for path in tmp_path.iterdir()} == {LOCK, "alpine.yaml"}
    assert old.read_text() == text


@pytest.mark.parametrize("content", [b"a: {b: {c: 1}}\n", b"\xff\xfe", b"a: [\n"], ids=["other", "bytes", "half"])
def test_nothing_is_written_where_a_file_beside_can_not_be_read(tmp_path: Path, content: bytes) -> None:
    record(*image(tmp_path))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "other.yaml").write_bytes(content)
    with pytest.raises(StateError, match=r"other\.yaml: is not a releases file"):
        record(*image(tmp_path, revision=1))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before | {"other.yaml": content}
