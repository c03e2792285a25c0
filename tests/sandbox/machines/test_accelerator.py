from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.machines import accelerator
from sandbox.machines.accelerator import OVERRIDE, Accelerator, detect, guest_runs


@pytest.fixture(autouse=True)
def _no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OVERRIDE, raising=False)


def test_emulation_without_a_kvm_device(tmp_path: Path) -> None:
    assert detect(tmp_path / "kvm") is Accelerator.TCG


def test_emulation_where_the_device_is_there_but_no_guest_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "kvm"
    device.touch()
    asked = []
    monkeypatch.setattr(accelerator, "guest_runs", lambda kind, _qemu: asked.append(kind))

    assert detect(device) is Accelerator.TCG
    assert asked == [Accelerator.KVM]


def test_kvm_where_a_guest_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accelerator, "guest_runs", lambda _kind, _qemu: True)

    assert detect(device) is Accelerator.KVM


def test_the_environment_overrules_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OVERRIDE, "kvm")

    assert detect(tmp_path / "kvm") is Accelerator.KVM


def test_the_probe_sees_a_real_guest_run() -> None:
    assert guest_runs(Accelerator.TCG)


def test_the_probe_sees_that_nothing_ran(tmp_path: Path) -> None:
    broken = tmp_path / "qemu"
    broken.write_text("#!/bin/sh\necho 'failed to set MSR' >&2\nexit 1\n")
    broken.chmod(0o755)

    assert not guest_runs(Accelerator.KVM, str(broken))
    assert not guest_runs(Accelerator.KVM, str(tmp_path / "absent"))
