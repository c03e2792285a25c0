"""Folders that are emptied and written into lead nowhere else, whatever lies in them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Event

import pytest

from omi.build.alone import hold_alone
from omi.build.packer.inputs import run_folder
from omi.publish.beside import place_documents, remove_documents
from omi.publish.store import record
from omi.support.errors import BuildError
from omi.upstream.http import AnswerStore, Cached
from tests.omi.publish.test_releases import image
from tests.omi.specs import make_spec

URL = "https://example.org/releases.json"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Somebody's things, called as a run's own are."""
    folder = tmp_path / "elsewhere"
    (folder / "packer-home").mkdir(parents=True)
    for name in ("alpine-omi-b-1-build", "packer.log", "lock", "packer-home/mine"):
        (folder / name).write_text("mine")
    return folder


def untouched(folder: Path) -> bool:
    return {path.read_text() for path in folder.rglob("*") if path.is_file()} == {"mine"} and (
        len(list(folder.rglob("*"))) == 5
    )


def begin(build: Path) -> None:
    """As a build begins in its run folder."""
    folder = run_folder(build, make_spec())
    with hold_alone(folder.path, "image", Event(), print, limit=0):
        folder.tidy()


@pytest.mark.parametrize("link", ["test", "test/alpine-3.23.6-x86_64-r0"])
def test_a_run_folder_that_is_a_link_is_refused(tmp_path: Path, elsewhere: Path, link: str) -> None:
    place = tmp_path / "build" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(elsewhere)
    if link == "test":
        (elsewhere / "alpine-3.23.6-x86_64-r0").symlink_to(elsewhere)
    with pytest.raises(BuildError, match=r"is a link to .*remove the link"):
        begin(tmp_path / "build")
    if link == "test":
        (elsewhere / "alpine-3.23.6-x86_64-r0").unlink()
    assert untouched(elsewhere)


@pytest.mark.parametrize(
    "name", ["packer.log", "build.log", "lock", "omi-build", "documents", "output", "packer-x", "documents/a"]
)
def test_a_link_in_a_run_folder_is_refused(tmp_path: Path, elsewhere: Path, name: str) -> None:
    place = tmp_path / "build" / "test" / "alpine-3.23.6-x86_64-r0" / name
    place.parent.mkdir(parents=True)
    place.symlink_to(elsewhere / "packer.log" if name.endswith((".log", "lock", "/a")) else elsewhere)
    with pytest.raises(BuildError, match="is a link"):
        begin(tmp_path / "build")
    assert untouched(elsewhere)


def test_builds_may_lie_on_another_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "build").symlink_to(tmp_path / "disk")
    begin(tmp_path / "build")
    assert (tmp_path / "disk" / "test" / "alpine-3.23.6-x86_64-r0" / "lock").exists()


@pytest.mark.parametrize("open_to_all", ["", "test", "test/alpine-3.23.6-x86_64-r0"])
def test_a_run_folder_that_anyone_may_write_to_is_refused(tmp_path: Path, open_to_all: str) -> None:
    begin(tmp_path / "build")
    (tmp_path / "build" / open_to_all).chmod(0o777)
    with pytest.raises(BuildError, match="anyone may write to it; run `chmod o-w"):
        begin(tmp_path / "build")


@pytest.mark.parametrize("prefix", ["../../../", "team/../../x/", "/etc/", "a/b/", "./"])
def test_an_omis_name_with_slashes_stays_one_folder(tmp_path: Path, prefix: str) -> None:
    folder = run_folder(tmp_path / "build", make_spec(name=f"{prefix}alpine-r0")).path
    assert folder.parent == tmp_path / "build" / "test"
    assert folder.resolve() == folder


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_documents_are_neither_written_nor_removed_through_a_link(tmp_path: Path, elsewhere: Path) -> None:
    releases, made = tmp_path / "releases", tmp_path / "build" / "test" / "image" / "documents"
    made.mkdir(parents=True)
    (made / "packer.log").write_text("new")
    (releases / "alpine").mkdir(parents=True)
    (releases / "alpine" / "eu-west-2").symlink_to(elsewhere)
    files = {"alpine/eu-west-2/packer.log": ("image", digest("new"))}
    (elsewhere / "packer.log").unlink()
    assert "are missing" in place_documents(releases, files, tmp_path / "build")[0]
    (elsewhere / "packer.log").write_text("mine")
    remove_documents(releases, {"alpine/eu-west-2/packer.log": ("image", digest("mine"))})
    assert untouched(elsewhere)


def test_halves_of_documents_are_not_removed_through_a_link(tmp_path: Path, elsewhere: Path) -> None:
    releases = tmp_path / "releases"
    (releases / "alpine").mkdir(parents=True)
    (releases / "alpine" / "eu-west-2").symlink_to(elsewhere)
    half = elsewhere / ".letter.abcd1234.part"
    half.write_text("mine")
    spec, made = image(releases)
    record(spec, made.model_copy(update={"documents": {"sbom": digest("new")}}))
    assert half.read_text() == "mine"


@pytest.mark.parametrize("name", ["../../packer.log", "../elsewhere/packer.log"])
def test_names_in_a_releases_file_remove_nothing_outside(tmp_path: Path, elsewhere: Path, name: str) -> None:
    releases = tmp_path / "releases" / "deep"
    releases.mkdir(parents=True)
    remove_documents(releases, {name: ("image", digest("mine"))})
    assert untouched(elsewhere)


def test_the_releases_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    made = tmp_path / "build" / "test" / "image" / "documents"
    made.mkdir(parents=True)
    (made / "image.cdx.json").write_text("{}")
    (tmp_path / "web").mkdir()
    (tmp_path / "releases").symlink_to(tmp_path / "web")
    files = {"alpine/eu-west-2/image.cdx.json": ("image", digest("{}"))}
    assert place_documents(tmp_path / "releases", files, tmp_path / "build") == []
    assert (tmp_path / "web" / "alpine" / "eu-west-2" / "image.cdx.json").read_text() == "{}"


def test_a_cache_that_anyone_may_write_to_is_not_believed(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "cache")
    store.save(Cached(URL, b"{}"))
    assert store.load(URL) == Cached(URL, b"{}")
    (tmp_path / "cache").chmod(0o777)
    assert store.load(URL) is None
    store.save(Cached(URL, b"[]"))
    (tmp_path / "cache").chmod(0o700)
    assert store.load(URL) == Cached(URL, b"{}")


def test_a_link_in_the_cache_is_replaced_and_not_written_through(tmp_path: Path, elsewhere: Path) -> None:
    store = AnswerStore(tmp_path / "cache")
    (tmp_path / "cache").mkdir(mode=0o700)
    store._path(URL).symlink_to(elsewhere / "packer.log")
    assert store.load(URL) is None
    store.save(Cached(URL, b"{}"))
    assert store.load(URL) == Cached(URL, b"{}")
    assert untouched(elsewhere)
