from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import sandbox.source_omi as source_omi
from sandbox.source_omi import SourceOmiError, build, ensure
from sandbox.source_omi.build import Privilege, Progress, packages, privilege


def pretend(folder: Path, target: Path, progress: Progress) -> None:
    (folder / "scratch").write_bytes(b"x" * 100)
    progress("pretending")
    target.write_bytes(b"disk")


def test_made_once_then_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_omi, "build_disk", pretend)
    said: list[str] = []
    made = ensure(tmp_path, said.append)

    assert said[1] == "pretending"
    assert made.path.read_bytes() == b"disk"
    assert made.name == f"Debian-12-{made.created:%Y-%m-%d}"
    assert abs((datetime.now(UTC) - made.created).total_seconds()) < 60
    monkeypatch.setattr(source_omi, "build_disk", None)
    assert ensure(tmp_path, said.append) == made
    assert sorted(path.name for path in (tmp_path / "source-omi").iterdir()) == sorted([made.path.parent.name, "lock"])


def test_a_damaged_one_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_omi, "build_disk", pretend)
    ensure(tmp_path, lambda _line: None).path.unlink()

    assert ensure(tmp_path, lambda _line: None).path.read_bytes() == b"disk"


def test_a_failed_making_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path, target: Path, progress: Progress) -> None:
        pretend(folder, target, progress)
        raise SourceOmiError("no")

    monkeypatch.setattr(source_omi, "build_disk", fail)
    with pytest.raises(SourceOmiError):
        ensure(tmp_path, lambda _line: None)
    assert [path.name for path in (tmp_path / "source-omi").iterdir()] == ["lock"]


def test_what_a_killed_maker_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_omi, "build_disk", pretend)
    left = tmp_path / "source-omi" / "making-1234"
    left.mkdir(parents=True)
    (left / "disk.raw").write_bytes(b"half")

    ensure(tmp_path, lambda _line: None)
    assert not left.exists()


def test_the_key_follows_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    script = recipe / "customize.sh"
    script.write_text("true\n")
    monkeypatch.setattr(source_omi, "RECIPE", recipe)
    first = source_omi.cache_key()

    (recipe / "module.py").write_text("pass\n")
    assert source_omi.cache_key() == first
    script.chmod(0o755)
    second = source_omi.cache_key()
    script.write_text("false\n")
    assert len({first, second, source_omi.cache_key()}) == 3


def test_an_unwritable_cache_is_said(tmp_path: Path) -> None:
    (tmp_path / "source-omi").write_text("in the way")

    with pytest.raises(SourceOmiError, match=r"Not a directory$"):
        ensure(tmp_path, lambda _line: None)


def test_two_makers_make_it_once(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; import sandbox.source_omi as s\n"
        "def build(folder, target, progress): time.sleep(1); target.write_bytes(b'x'); print('made', flush=True)\n"
        "s.build_disk = build; s.ensure(Path(sys.argv[1]), lambda line: None)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    makers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    outputs = [maker.communicate(timeout=60)[0] for maker in makers]
    assert [maker.returncode for maker in makers] == [0, 0]
    assert sorted(outputs) == ["", "made\n"]


def test_root_works_without_a_namespace(tmp_path: Path) -> None:
    assert privilege(0, "root", tmp_path) == Privilege("root", ())


@pytest.mark.parametrize("row", ["me:100000:65536", "1234:100000:65536"])
def test_a_user_works_by_subordinate_ids(tmp_path: Path, row: str) -> None:
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text(f"other:1:2\n{row}\n")

    assert privilege(1234, "me", tmp_path).mode == "unshare"
    assert "--map-auto" in privilege(1234, "me", tmp_path).prefix


@pytest.mark.parametrize("rows", ["", "me:100000:1000\n", "other:100000:65536\n"])
def test_a_user_without_subordinate_ids_is_told_how_to_get_them(tmp_path: Path, rows: str) -> None:
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text(rows)

    with pytest.raises(SourceOmiError, match=r"subuid gives me no 65536 subordinate ids: as root run `usermod .* me`"):
        privilege(1234, "me", tmp_path)


def test_missing_tools_are_named_by_their_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "TOOLS", {"mmdebstrap-not-here": "mmdebstrap", "sh": "dash"})

    with pytest.raises(SourceOmiError, match=r"cannot be made without: apt-get install mmdebstrap$"):
        build.build_disk(tmp_path, tmp_path / "disk", lambda _line: None)


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("E: Could not connect to mirror.invalid:80", "no package source of Debian 12 in /etc/apt could be reached"),
        ("mke2fs: No space left on device while writing", "no space left on the disk"),
        ("W: GPG error: NO_PUBKEY 0123", "has no signature that apt trusts"),
        ("E: setup failed", "tool failed: E: setup failed"),
    ],
)
def test_a_tools_failure_is_one_clear_line(said: str, meaning: str) -> None:
    command = ["sh", "-c", 'echo "I: begin"; echo "$1"; exit 1', "sh", said]
    with pytest.raises(SourceOmiError, match=meaning) as caught:
        build.run_tool(command, "tool", 30.0, lambda _line: None)
    assert "\n" not in str(caught.value)
    assert said in str(caught.value)


def test_package_sources_are_asked_once_more(tmp_path: Path) -> None:
    repository = "https://me:secret@mirror.invalid/debian"
    script = f"""echo "E: The repository '{repository}' is not signed."; """ + '[ -e "$1" ] || { touch "$1"; exit 1; }'
    said: list[str] = []

    build.fetch_packages(["sh", "-c", script, "sh", str(tmp_path / "asked")], said.append)

    (line,) = said
    assert line.startswith("mmdebstrap: a package source of Debian 12 has no signature that apt trusts: install ")
    assert line.endswith("(E: The repository 'https://mirror.invalid/debian' is not signed.); asking once more")


def test_package_sources_are_asked_twice_at_most(tmp_path: Path) -> None:
    script = 'echo "E: Unable to connect to mirror.invalid"; echo asked >> "$1"; exit 1'
    log = tmp_path / "log"

    with pytest.raises(SourceOmiError, match="could be reached"):
        build.fetch_packages(["sh", "-c", script, "sh", str(log)], lambda _line: None)

    assert log.read_text(encoding="utf-8").split() == ["asked", "asked"]


def test_a_tool_that_hangs_is_ended() -> None:
    with pytest.raises(SourceOmiError, match=r"tool was not done after 0\.2 s"):
        build.run_tool(["sleep", "60"], "tool", 0.2, lambda _line: None)


def test_the_image_has_no_tool_of_alpine() -> None:
    assert not {"extlinux", "syslinux", "apk-tools"} & set(packages())
    assert {"e2fsprogs", "wget", "curl", "ca-certificates", "zstd", "xz-utils", "kmod", "fdisk"} <= set(packages())


@pytest.mark.slow
def test_the_real_thing_is_made_from_this_machines_sources(tmp_path: Path) -> None:
    said: list[str] = []
    disk = ensure(tmp_path, said.append)

    assert disk.size_gib == 10
    assert 50 << 20 < disk.path.stat().st_size < 200 << 20
    check = subprocess.run(["qemu-img", "check", "-q", str(disk.path)], timeout=60, check=False)
    assert check.returncode == 0
    assert any("packages and what they need" in line for line in said)
    assert len(list((tmp_path / "source-omi").iterdir())) == 2
