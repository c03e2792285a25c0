from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sandbox.machines.disks import GIB, DiskStore
from sandbox.machines.protocol import MachineError

MIB = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path)


def write(volume: Path, pattern: int, offset: int = 0, length: int = MIB) -> None:
    subprocess.run(["qemu-io", "-c", f"write -P {pattern} {offset} {length}", str(volume)], check=True, timeout=60)


def holds(volume: Path, pattern: int, offset: int = 0, length: int = MIB) -> bool:
    command = ["qemu-io", "-r", "-c", f"read -P {pattern} {offset} {length}", str(volume)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode == 0 and "verification failed" not in done.stdout


def info(volume: Path) -> dict[str, object]:
    done = subprocess.run(
        ["qemu-img", "info", "--output=json", str(volume)], capture_output=True, check=True, timeout=60
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_an_empty_volume_takes_no_space(store: DiskStore) -> None:
    store.create_volume("vol-1", 10, None)

    assert info(store.volume("vol-1"))["virtual-size"] == 10 * GIB
    assert store.volume("vol-1").stat().st_blocks * 512 < MIB


def test_a_snapshot_keeps_what_the_volume_held_and_depends_on_nothing(store: DiskStore) -> None:
    store.create_volume("vol-1", 10, None)
    write(store.volume("vol-1"), 0x11, offset=5 * GIB)
    store.create_snapshot("snap-1", "vol-1")
    write(store.volume("vol-1"), 0x22, offset=5 * GIB)
    store.delete_volume("vol-1")

    assert holds(store.snapshot("snap-1"), 0x11, offset=5 * GIB)
    assert "backing-filename" not in info(store.snapshot("snap-1"))
    assert MIB <= store.snapshot("snap-1").stat().st_blocks * 512 < 2 * MIB


def test_a_volume_starts_as_its_snapshot_and_changes_alone(store: DiskStore) -> None:
    store.create_volume("vol-1", 1, None)
    write(store.volume("vol-1"), 0x11)
    store.create_snapshot("snap-1", "vol-1")
    store.create_volume("vol-2", 2, "snap-1")

    assert info(store.volume("vol-2"))["virtual-size"] == 2 * GIB
    assert holds(store.volume("vol-2"), 0x11)
    assert store.volume("vol-2").stat().st_blocks * 512 < MIB
    write(store.volume("vol-2"), 0x22)
    assert holds(store.snapshot("snap-1"), 0x11)


def test_a_snapshot_can_go_before_its_volumes(store: DiskStore, tmp_path: Path) -> None:
    store.create_volume("vol-1", 1, None)
    write(store.volume("vol-1"), 0x11)
    store.create_snapshot("snap-1", "vol-1")
    store.create_volume("vol-2", 1, "snap-1")
    store.delete_snapshot("snap-1")

    assert holds(store.volume("vol-2"), 0x11)
    store.create_snapshot("snap-2", "vol-2")
    assert holds(store.snapshot("snap-2"), 0x11)
    for volume in ("vol-1", "vol-2"):
        store.delete_volume(volume)
    assert list((tmp_path / "volumes").iterdir()) == []


def test_a_copied_snapshot_takes_no_space_and_outlives_its_source(store: DiskStore) -> None:
    store.create_volume("vol-1", 1, None)
    write(store.volume("vol-1"), 0x11)
    store.create_snapshot("snap-1", "vol-1")
    store.copy_snapshot("snap-2", "snap-1")

    assert store.snapshot("snap-2").samefile(store.snapshot("snap-1"))
    store.delete_snapshot("snap-1")
    assert holds(store.snapshot("snap-2"), 0x11)


def test_every_call_may_be_repeated(store: DiskStore) -> None:
    store.create_volume("vol-1", 1, None)
    write(store.volume("vol-1"), 0x11)
    for _ in range(2):
        store.create_volume("vol-1", 1, None)
        store.create_snapshot("snap-1", "vol-1")
        store.copy_snapshot("snap-2", "snap-1")
        store.create_volume("vol-2", 1, "snap-1")

    assert holds(store.volume("vol-1"), 0x11)
    for _ in range(2):
        store.delete_snapshot("snap-1")
        store.delete_volume("vol-1")
    with pytest.raises(MachineError, match="snapshot snap-1 does not exist"):
        store.snapshot("snap-1")


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_an_image_file_becomes_a_snapshot(store: DiskStore, tmp_path: Path, kind: str) -> None:
    image = tmp_path / "image"
    subprocess.run(["qemu-img", "create", "-q", "-f", kind, str(image), "1G"], check=True, timeout=60)
    subprocess.run(["qemu-io", "-f", kind, "-c", "write -P 7 0 1M", str(image)], check=True, timeout=60)
    store.import_snapshot("snap-1", image)
    image.unlink()

    assert holds(store.snapshot("snap-1"), 7)
    assert info(store.snapshot("snap-1"))["format"] == "qcow2"


def test_an_imported_child_is_taken_with_its_backing_file(store: DiskStore, tmp_path: Path) -> None:
    base, child = tmp_path / "base.qcow2", tmp_path / "child.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(base), "1G"], check=True, timeout=60)
    write(base, 0x33)
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(child)], check=True, timeout=60
    )
    store.import_snapshot("snap-1", child)
    base.unlink()

    assert holds(store.snapshot("snap-1"), 0x33)


def test_a_volume_smaller_than_its_snapshot_is_refused(store: DiskStore) -> None:
    store.create_volume("vol-1", 2, None)
    store.create_snapshot("snap-1", "vol-1")

    with pytest.raises(MachineError, match="vol-2: 1 GiB is too small, snapshot snap-1 needs 2 GiB"):
        store.create_volume("vol-2", 1, "snap-1")
    with pytest.raises(MachineError, match="vol-2 does not exist"):
        store.volume("vol-2")


def test_what_an_interrupted_call_left_is_swept_at_the_next_start(store: DiskStore, tmp_path: Path) -> None:
    store.create_volume("vol-1", 1, None)
    left = tmp_path / "snapshots" / ".new-1234"
    left.write_bytes(b"half")

    assert DiskStore(tmp_path).volume("vol-1").exists()
    assert not left.exists()


def test_a_full_disk_is_said_and_leaves_nothing(
    store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    fake = tools / "qemu-img"
    fake.write_text('#!/bin/sh\n: >"$8"\necho "qemu-img: error while writing: No space left on device" >&2\nexit 1\n')
    fake.chmod(0o755)
    store.create_volume("vol-1", 1, None)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")

    with pytest.raises(MachineError, match=r"^no space left on the disk of the sandbox's home: free some"):
        store.create_snapshot("snap-1", "vol-1")
    assert list((tmp_path / "snapshots").iterdir()) == []


def test_a_missing_tool_names_its_package(store: DiskStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MachineError, match="qemu-img is missing: apt-get install qemu-utils"):
        store.create_volume("vol-1", 1, None)


@pytest.mark.parametrize("name", ["../vol-1", "", ".new-1", "vol-1.base", "a/b"])
def test_an_id_cannot_leave_the_store(store: DiskStore, name: str) -> None:
    with pytest.raises(MachineError, match="allowed are up to 64 letters"):
        store.create_volume(name, 1, None)


def test_what_is_exported_raw_and_imported_again_is_the_same_disk(store: DiskStore, tmp_path: Path) -> None:
    store.create_volume("vol-1", 1, None)
    write(store.volume("vol-1"), 0x5A, offset=3 * MIB)
    store.create_snapshot("snap-1", "vol-1")
    store.export_snapshot("snap-1", tmp_path / "disk", "raw")
    assert (tmp_path / "disk").stat().st_size == GIB
    store.import_snapshot("snap-2", tmp_path / "disk")
    compared = subprocess.run(
        ["qemu-img", "compare", str(store.snapshot("snap-1")), str(store.snapshot("snap-2"))],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert compared.returncode == 0, compared.stdout
    assert store.snapshot("snap-2").stat().st_blocks * 512 < 16 * MIB
