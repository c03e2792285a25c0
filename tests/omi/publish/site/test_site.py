"""The site as files: whole without scripts, the same for the same feeds, careful with folders and hostile text."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from omi.cli.main import main
from omi.publish.documents.installed import ListedPackage, read_packages
from omi.publish.feed import Feed
from omi.publish.site import build_site
from omi.publish.site.launch import launch_lines
from omi.publish.site.pages import changes_between
from omi.publish.site.write import MARK
from omi.state.withdrawal import Withdrawal
from tests.omi.publish.signing import Publisher, publisher
from tests.omi.publish.site.html import broken_links, read_html
from tests.omi.publish.site.made import PACKAGES, Pair, everyday, made, with_documents, write

__all__ = ["publisher"]

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>${7*7}{{7*7}} javascript:alert(1)"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Releases that no test changes."""
    return everyday(tmp_path_factory.mktemp("pristine") / "releases")


@pytest.fixture(scope="module")
def site(pristine: Path) -> Path:
    """Their site, which no test changes."""
    (line,) = build_site(pristine, pristine.parent / "site")
    assert "11 images" in line
    return pristine.parent / "site"


@pytest.fixture
def releases(pristine: Path, tmp_path: Path) -> Path:
    """The same releases, for a test of its own."""
    shutil.copytree(pristine, tmp_path / "releases")
    return tmp_path / "releases"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def page(site: Path, image: str) -> Path:
    return site / "images" / "alpine" / f"{image}.html"


def words(path: Path) -> str:
    return " ".join(read_html(path).text.split())


def test_every_image_is_on_the_front_page_newest_first_with_its_ids(pristine: Path, site: Path) -> None:
    text = words(site / "index.html").partition("All images")[2]
    feed = Feed.read(pristine / "alpine.json")
    assert feed.images[0].name == "alpine-edge-20261120-x86_64-r0"
    places = [text.index(f" {image.name} ") for image in feed.images]
    assert places == sorted(places)
    assert all(omi in text for image in feed.images for omi in image.ids.values())


def test_all_links_resolve_and_all_tags_are_closed(site: Path) -> None:
    assert broken_links(site) == []
    for path in site.rglob("*.html"):
        html = read_html(path)
        assert html.unclosed == []
        assert len(html.ids) == len(set(html.ids))


def test_an_image_s_page_tells_what_changed_since_the_one_before_it(site: Path) -> None:
    text = words(page(site, "alpine-3.23.4-x86_64-r0"))
    assert "Since alpine-3.23.2-x86_64-r0: 1 changed, 1 added, 1 removed." in text
    assert "linux-virt 6.18.7-r0 6.18.8-r0 nftables added 1.1.5-r0 zlib 1.3.1-r2 removed" in text
    assert "the same packages in the same versions" in words(page(site, "alpine-3.23.6-x86_64-r1"))
    assert "first image of the build" in words(page(site, "alpine-3.22.1-x86_64-r0"))


def test_an_image_s_page_has_its_figures_documents_and_lines(site: Path) -> None:
    path = page(site, "alpine-3.23.4-x86_64-r0")
    text, html = words(path), read_html(path)
    for told in ("Firmware BIOS and UEFI", "Space used 83 MiB", "Boot to SSH 20 s", "End of life 1 November 2027"):
        assert told in text
    assert "../../alpine/eu-west-2/alpine-3.23.4-x86_64-r0.cdx.json" in html.links
    assert "../../index.html#check" in html.links
    labels = [value for name, value in html.attributes if name == "aria-label" and "oldest first" in value]
    assert len(labels) == 3
    assert labels[2] == "Boot to SSH of 7 images, oldest first: from 21 to 27 s, lowest 20, highest 27"
    copied = [value for name, value in html.attributes if name == "data-copy"]
    assert [line.split()[0] for line in copied[:5]] == ["ami-392d0958", "osc-cli", "terraform", "import", "ssh"]
    assert "The user alpine logs in with that keypair alone." in text


def test_an_image_on_its_way_out_says_so_and_when_it_goes(site: Path) -> None:
    told = "Deprecated (superseded), to be removed on 24 December 2026"
    front, text = words(site / "index.html"), words(page(site, "alpine-3.22.1-x86_64-r0"))
    assert front.count(told) == 1
    assert front.count(" deprecated ") == 1
    assert f"{told}. Launch alpine-3.22.2-x86_64-r0 instead." in text


def revoked(pair: Pair) -> Pair:
    spec, record = pair
    why = Withdrawal(why="revoked", shared=True, private=date(2026, 11, 29), reason="its sshd takes any key")
    return spec.model_copy(update={"withdrawal": why}), record


def test_a_revoked_image_cannot_be_launched_from_the_pages_which_say_why_and_what_to_launch(tmp_path: Path) -> None:
    old, new = made(1, "eu-west-2", "3.23.5"), made(2, "eu-west-2", "3.23.6")
    build_site(write(tmp_path / "releases", [old, revoked(new)]), tmp_path / "site")
    front, its = read_html(tmp_path / "site" / "index.html"), read_html(page(tmp_path / "site", new[0].name))
    told = "Revoked, so it must not be launched: its sshd takes any key"
    assert told in " ".join(front.text.split())
    text = " ".join(its.text.split())
    assert f"{told}. Launch {old[0].name} instead." in text
    assert f"../../images/alpine/{old[0].name}.html" in its.links
    assert new[1].omi in text, "whoever runs it finds it by its id"
    assert "Launch it" not in text
    for html in (front, its):
        assert not [value for name, value in html.attributes if name == "data-copy" and new[1].omi in value]
        assert f"--ImageId {new[1].omi}" not in html.text
        assert " revoked" in html.text


def test_where_no_image_is_left_to_launch_the_page_of_a_revoked_one_names_none(tmp_path: Path) -> None:
    alone = made(1, "eu-west-2", "3.23.5")
    build_site(write(tmp_path / "releases", [revoked(alone), made(2, "us-east-2", "3.23.5")]), tmp_path / "site")
    text = words(page(tmp_path / "site", alone[0].name))
    assert "instead" not in text
    assert f"--ImageId {made(2, 'us-east-2', '3.23.5')[1].omi}" in text


def test_the_same_feeds_give_the_same_bytes_and_the_old_pages_go(releases: Path, tmp_path: Path) -> None:
    build_site(releases, tmp_path / "one")
    build_site(releases, tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    staying = [made(1, "eu-west-2", "3.22.1")]
    build_site(write(tmp_path / "fewer", staying), tmp_path / "one")
    assert [path.stem for path in (tmp_path / "one" / "images" / "alpine").iterdir()] == ["alpine-3.22.1-x86_64-r0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fewer", "one", "releases", "two"]


def test_the_feeds_come_along_and_the_atom_feed_links_to_the_pages(pristine: Path, site: Path) -> None:
    for name in ("alpine.json", "alpine.yaml", "feed.schema.json", "fixes.schema.json"):
        assert (site / name).read_bytes() == (pristine / name).read_bytes()
    atom = (site / "alpine.atom.xml").read_text()
    pages = re.findall(r'rel="alternate" type="text/html" href="([^"]+)"', atom)
    assert len(pages) == 11
    assert all((site / link).is_file() for link in pages)


def test_a_folder_without_images_gives_a_page_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "releases").mkdir()
    build_site(tmp_path / "releases", tmp_path / "site")
    assert "There is no image yet" in words(tmp_path / "site" / "index.html")
    write(tmp_path / "releases", [made(1, "eu-west-2", "3.22.1")])
    write(tmp_path / "releases", [])
    build_site(tmp_path / "releases", tmp_path / "site")
    assert broken_links(tmp_path / "site") == []


def hostile(folder: Path) -> Path:
    """Releases with hostile text wherever there may be text."""
    packages = {**PACKAGES, HOSTILE: HOSTILE}
    pairs = [
        with_documents(folder, made(1, "eu-west-2", "3.23.5"), PACKAGES),
        with_documents(folder, made(2, "eu-west-2", "3.23.6", description=HOSTILE, omi=HOSTILE), packages),
    ]
    write(folder, pairs)
    feed = json.loads((folder / "alpine.json").read_text())
    image = json.loads(json.dumps(feed["images"][0]))
    image |= {"name": HOSTILE, "arch": HOSTILE, "bootstrap": HOSTILE, "firmware": HOSTILE}
    image |= {"digest": HOSTILE, "version": HOSTILE, "ids": {HOSTILE: HOSTILE, "eu-west-2": HOSTILE}}
    image["documents"]["eu-west-2"]["sbom"]["href"] = "javascript:alert(1)"
    feed["images"].append(image)
    (folder / "alpine.json").write_text(json.dumps(feed))
    return folder


def test_hostile_strings_are_text_wherever_they_come_from(tmp_path: Path) -> None:
    told = build_site(hostile(tmp_path / "releases"), tmp_path / "site")
    assert "documents that are missing or changed: 1;" in told[0]
    assert broken_links(tmp_path / "site") == []
    for path in (tmp_path / "site").rglob("*.html"):
        html = read_html(path)
        assert html.tags.count("script") == 1
        assert "img" not in html.tags
        assert not [name for name, _ in html.attributes if name.startswith("on")]
    assert HOSTILE in read_html(tmp_path / "site" / "index.html").text


def test_names_that_no_file_may_have_get_pages_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "releases"
    names = ("../a ", "../b/", "Alpine (x) ", "alpine (X) ")
    write(folder, [made(1, "eu-west-2", "3.23.6", prefix=name) for name in names])
    build_site(folder, tmp_path / "site")
    pages = [path.name.lower() for path in (tmp_path / "site" / "images" / "alpine").iterdir()]
    assert len(set(pages)) == len(names)
    assert broken_links(tmp_path / "site") == []


def test_a_document_that_was_changed_or_lies_elsewhere_is_not_published(releases: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (releases / "alpine/eu-west-2/alpine-3.23.4-x86_64-r0.cdx.json").write_text("changed")
    text = (releases / "alpine.json").read_text()
    link = "alpine/eu-west-2/alpine-3.23.5-x86_64-r0.provenance.json"
    digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"  # SHA-256 of `secret`
    feed = json.loads(text.replace(link, "../secret"))
    for image in feed["images"]:
        for document in image["documents"].get("eu-west-2", {}).values():
            document["sha256"] = digest if document["href"] == "../secret" else document["sha256"]
    (releases / "alpine.json").write_text(json.dumps(feed))
    told = build_site(releases, tmp_path / "site")
    assert told[0] == f"{releases}: documents that are missing or changed: 2; the pages do without them"
    assert b"secret" not in files(tmp_path / "site").values()
    assert broken_links(tmp_path / "site") == []


def test_a_folder_of_somebody_else_is_never_replaced(
    releases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letter.txt").write_text("dear")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(taken)
    for output in (taken, tmp_path / "file", tmp_path / "link", releases / "site", releases.parent):
        assert main(["site", "--releases", str(releases), "--output", str(output)]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: --output {output}: ")
        assert error.count("\n") == 1
    assert (taken / "letter.txt").read_text() == "dear"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(["site", "--releases", str(releases), "--output", str(empty)]) == 0
    assert (empty / MARK).exists()


def test_what_is_no_releases_folder_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "releases"
    arguments = ["site", "--releases", str(folder), "--output", str(tmp_path / "site")]
    assert main(arguments) == 2
    assert "is not a folder" in capsys.readouterr().err
    folder.mkdir()
    (folder / "alpine.yaml").write_text("{}")
    assert main(arguments) == 2
    assert "alpine.json: is missing beside alpine.yaml; write it by" in capsys.readouterr().err
    (folder / "alpine.json").write_text('{"format": 2}')
    assert main(arguments) == 2
    assert "alpine.json" in capsys.readouterr().err
    assert main(["site", "--wrong"]) == 2
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("name", ["alpine.yaml", "alpine.json"])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path.name)])
def test_a_releases_file_that_is_none_is_one_line(
    name: str, make: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / name)
    assert main(["site", "--releases", str(tmp_path), "--output", str(tmp_path.parent / "site")]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"error: {tmp_path / name}: ")
    assert line.count("\n") == 1


def test_a_signed_folder_s_site_shows_lines_that_check_what_was_downloaded_from_it(publisher: Publisher) -> None:
    publisher.publish()
    publisher.trust()
    site = publisher.top / "site"
    assert len(build_site(publisher.releases, site)) == 1
    html = read_html(site / "index.html")
    lines = [value for name, value in html.attributes if name == "data-copy" and ".txt" in value]
    new = publisher.top / "new"
    new.mkdir()
    for name in ("alpine.json", "manifest.txt", "manifest.txt.sig"):
        shutil.copy(site / name, new)
    shutil.copy(publisher.signers, new)

    def codes() -> list[int]:
        runs = (subprocess.run(["sh", "-c", line], cwd=new, capture_output=True, check=False) for line in lines)
        return [done.returncode for done in runs]

    assert codes() == [0, 0]
    (new / "alpine.json").write_text("{}", encoding="utf-8")
    assert codes() == [0, 1]
    (new / "manifest.txt").write_text("", encoding="utf-8")
    assert codes()[0] == 255


def test_a_signature_that_is_older_than_the_files_is_left_out(publisher: Publisher) -> None:
    publisher.publish()
    write(publisher.releases, [made(3, "eu-west-2", "3.23.7")])
    site = publisher.top / "site"
    said, _ = build_site(publisher.releases, site)
    assert "manifest.txt is older than the files, so the site has no signature; sign them by" in said
    assert not (site / "manifest.txt").exists()
    text = words(site / "index.html").partition("Check what you launch ")[2]
    assert text.startswith("None of these files is signed, so get ")
    assert "ssh-keygen" not in text


def test_lines_to_paste_hold_whatever_the_id_holds() -> None:
    lines = launch_lines("ami-1'\"; rm -rf $HOME ${path.module}", "me; rm -rf $HOME")
    assert shlex.split(lines["osc-cli"])[4] == "ami-1'\"; rm -rf $HOME ${path.module}"
    assert '"ami-1\'\\"; rm -rf $HOME $${path.module}"' in lines["OpenTofu"]
    assert (
        'required_providers {\n    outscale = { source = "outscale/outscale", version = "~> 1.8" }\n'
        in lines["OpenTofu"]
    )
    imported, call = ast.parse(lines["Pulumi"]).body
    assert ast.unparse(imported) == "import pulumi_outscale as outscale"
    assert isinstance(call, ast.Assign)
    assert ast.unparse(call.targets[0]) == "vm"
    assert shlex.split(lines["SSH"]) == ["ssh", "-i", "KEYPAIR.pem", "me; rm -rf $HOME@ADDRESS"]
    assert "SSH" not in launch_lines("ami-1", None)


def test_packages_are_read_and_compared() -> None:
    before = read_packages("# name\nmusl\t1\tx86_64\tQ1\t10\tmusl\tMIT\ngone\t1\tx86_64\tQ1\tx\tgone\tMIT\nno line\n")
    after = (ListedPackage("musl", "2", 10, "MIT", "musl"), ListedPackage("new", "1", 0, "MIT", "new"))
    assert before == (ListedPackage("musl", "1", 10, "MIT", "musl"), ListedPackage("gone", "1", 0, "MIT", "gone"))
    changes = changes_between(before, after)
    assert (changes.added, changes.removed) == ((after[1],), (before[1],))
    assert changes.changed == ((before[0], after[0]),)
    assert changes.count == 3
    assert changes_between(after, after).count == 0
