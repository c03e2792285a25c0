"""The documents beside the releases files: they come with an image and go with it, and nothing else goes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from omi.publish import export_ledger, forget, record
from omi.publish.documents.kinds import SUFFIXES, file_name
from omi.publish.releases import from_yaml
from omi.publish.site import build_site
from tests.omi.publish.test_releases import Pair, image, ledger_of, stack_of, texts_in

STACK = stack_of(Path("releases"))


@pytest.fixture(autouse=True)
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def built(revision: int = 0, region: str = "eu-west-2", stack: str = "test") -> Pair:
    """An image with documents, as its build leaves them."""
    spec, made = image(Path("releases"), revision=revision, region=region)
    spec = spec.model_copy(update={"stack": stack})
    folder = Path("build") / spec.stack / spec.name / "documents"
    folder.mkdir(parents=True, exist_ok=True)
    digests = {}
    for kind in SUFFIXES:
        text = f"{kind} of {spec.name} in {region}\n"
        (folder / file_name(spec.name, kind)).write_text(text)
        digests[kind] = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    return spec, made.model_copy(update={"documents": digests})


def pair_in(pair: Pair, region: str) -> Pair:
    """The same image as if it were in that Region."""
    return pair[0], pair[1].model_copy(update={"region": region})


def beside(region: str = "eu-west-2") -> list[str]:
    return sorted(path.name for path in (Path("releases") / "alpine" / region).glob("*"))


def names(pair: Pair) -> list[str]:
    return sorted(file_name(pair[0].name, kind) for kind in SUFFIXES)


def test_a_built_image_has_its_documents_beside_it_and_is_linked_to_them() -> None:
    pair = built()
    assert record(*pair) == []
    assert beside() == names(pair)
    (entry,) = from_yaml(Path("releases/alpine.yaml").read_text(), "here")
    assert entry.documents["eu-west-2"] == pair[1].documents
    readme = Path("releases/README.md").read_text()
    assert "[SBOM](alpine/eu-west-2/alpine-3.23.6-x86_64-r0.cdx.json)" in readme


def test_an_image_without_documents_names_none() -> None:
    assert record(*image(Path("releases"))) == []
    assert "documents" not in Path("releases/alpine.yaml").read_text()


def test_a_pruned_image_takes_its_documents_along_twice_over() -> None:
    old, new = built(0), built(1)
    for pair in (old, new):
        record(*pair)
    (Path("releases/alpine/eu-west-2") / "mine.cdx.json").write_text("not the program's")
    assert forget(*old) == []
    assert forget(*old) == []
    assert beside() == sorted([*names(new), "mine.cdx.json"])


def test_documents_that_an_interrupted_prune_left_go_with_the_next(tmp_path: Path) -> None:
    """It had written the files, which name the image no more, and not yet removed what lies beside them."""
    old, new = built(0), built(1)
    record(*old)
    left = {path: path.read_bytes() for path in (tmp_path / "releases/alpine/eu-west-2").iterdir()}
    record(*new)
    forget(*old)
    for path, content in left.items():
        path.write_bytes(content)
    assert forget(*old) == []
    assert beside() == names(new)


def test_the_last_image_takes_the_folders_along() -> None:
    pair = built()
    record(*pair)
    forget(*pair)
    assert not Path("releases/alpine").exists()


def test_what_somebody_changed_is_left_and_said() -> None:
    pair = built()
    record(*pair)
    changed = Path("releases/alpine/eu-west-2") / file_name(pair[0].name, "sbom")
    changed.write_text("with a note")
    (line,) = forget(*pair)
    assert "alpine-3.23.6-x86_64-r0.cdx.json stay: they were changed" in line
    assert beside() == [changed.name]


def test_a_releases_file_that_points_elsewhere_removes_nothing_there(tmp_path: Path) -> None:
    pair = built()
    record(*pair)
    victim = tmp_path / "elsewhere" / file_name(pair[0].name, "sbom")
    victim.parent.mkdir()
    victim.write_bytes((Path("releases/alpine/eu-west-2") / victim.name).read_bytes())
    listing = Path("releases/alpine.yaml")
    listing.write_text(listing.read_text().replace("eu-west-2:", "../../elsewhere:"))
    forget(*pair_in(pair, "../../elsewhere"))
    assert victim.exists()


def test_the_export_brings_documents_that_are_missing() -> None:
    new = built(1)
    record(*new)
    for path in Path("releases/alpine/eu-west-2").glob("*-r1.*"):
        path.unlink()
    assert export_ledger(STACK, ledger_of(new)) == []
    assert beside() == names(new)


def test_images_that_state_lacks_keep_their_documents_and_their_place_on_the_site(tmp_path: Path) -> None:
    for pair in (built(0), built(1)):
        record(*pair)
    before = texts_in(Path("releases"))
    build_site(Path("releases"), tmp_path / "site")
    for state in (ledger_of(), ledger_of(built(1))):
        assert export_ledger(STACK, state) == []
        assert texts_in(Path("releases")) == before
        assert build_site(Path("releases"), tmp_path / "site")[-1].startswith(f"{tmp_path / 'site'}: 2 images")


def test_an_image_that_is_taken_up_without_its_documents_keeps_them() -> None:
    pair = built()
    record(*pair)
    before = texts_in(Path("releases"))
    assert record(pair[0], pair[1].model_copy(update={"documents": None})) == []
    assert texts_in(Path("releases")) == before


def test_what_is_nowhere_is_said_in_one_line_for_all() -> None:
    pairs = [built(revision) for revision in range(5)]
    for path in Path("build").rglob("*.json"):
        path.unlink()
    (line,) = export_ledger(STACK, ledger_of(*pairs))
    first = ", ".join(f"alpine-3.23.6-x86_64-r{revision}" for revision in range(3))
    assert line.startswith(f"releases: documents of {first} and 2 more are missing; ")
    assert beside() == sorted(file_name(spec.name, kind) for spec, _ in pairs for kind in ("files", "packages"))


def test_another_build_s_leftovers_are_not_taken_for_it() -> None:
    pair = built()
    documents = Path("build") / pair[0].stack / pair[0].name / "documents"
    (documents / file_name(pair[0].name, "sbom")).write_text("of a later build")
    (line,) = record(*pair)
    assert "are missing" in line
    assert file_name(pair[0].name, "sbom") not in beside()


def test_two_stacks_in_one_checkout_build_images_of_one_name_each_with_its_own_documents() -> None:
    one, two = built(), built(region="us-east-2", stack="another")
    record(*one)
    record(*two)
    for pair, region in ((one, "eu-west-2"), (two, "us-east-2")):
        sbom = Path("releases/alpine") / region / file_name(pair[0].name, "sbom")
        assert sbom.read_text() == f"sbom of {pair[0].name} in {region}\n"


def test_each_region_has_its_own() -> None:
    here = built()
    record(*here)
    there = built(region="us-east-2")
    record(*there)
    assert beside("eu-west-2") == beside("us-east-2") == names(here)
    forget(*here)
    assert beside("eu-west-2") == []
    assert beside("us-east-2") == names(there)
    (entry,) = from_yaml(Path("releases/alpine.yaml").read_text(), "here")
    assert list(entry.documents) == ["us-east-2"]


def test_what_a_killed_run_had_half_written_is_removed_by_the_next() -> None:
    pair = built()
    record(*pair)
    folder = Path("releases")
    halves = [
        folder / ".alpine.atom.xml.sn5833jc.part",
        folder / "alpine/eu-west-2/.alpine-3.23.6-x86_64-r0.cdx.json.abcd_123.part",
    ]
    mine = [folder / ".gitkeep", folder / ".notes.md", folder / ".alpine.yaml.original"]
    for file in (*halves, *mine):
        file.write_text("half")
    assert record(*pair) == []
    assert [file.exists() for file in (*halves, *mine)] == [False, False, True, True, True]
