"""Runs Pulumi's commands on an account, with their input and the last record."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from omi.commands.__main__ import main
from omi.state.identity import Identity
from omi.state.image import ImageRecord, ImageSpec
from tests.omi.conftest import Account
from tests.omi.specs import make_record


class Desk:
    """Runs a command as Pulumi's plugin does: spec on standard input, the last record in the environment."""

    def __init__(self, account: Account, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.account, self.monkeypatch, self.capfd = account, monkeypatch, capfd

    def run(self, command: str, spec: ImageSpec, record: ImageRecord | None) -> tuple[int, str, str]:
        self.monkeypatch.setattr("sys.stdin", io.StringIO(spec.to_json()))
        self.monkeypatch.setenv("PULUMI_COMMAND_STDOUT", record.to_json() if record else "")
        code = main([command])
        seen = self.capfd.readouterr()
        return code, seen.out, seen.err

    def own_image(self, spec: ImageSpec) -> ImageRecord:
        """An image as a build leaves it."""
        omi = self.account.register(spec.name, tags=dict(Identity(spec).tags))
        return self.record(spec, omi)

    def record(self, spec: ImageSpec, omi: str, account: str = "", adopted: bool = False) -> ImageRecord:
        return make_record(
            name=spec.name,
            omi=omi,
            snapshots=(),
            account=account or self.account.id,
            region=spec.cloud.region,
            verified=not adopted,
            adopted=adopted,
        )


@pytest.fixture
def desk(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(account, monkeypatch, capfd)
