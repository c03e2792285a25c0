"""A stack with one image in its state and one that a build left, and a person who types `sweep`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from omi.cli.main import main
from omi.config.stack import PROJECT
from omi.state.identity import Identity
from omi.state.ledger import COMMAND_TYPE, StoredCommand
from tests.omi.conftest import PROFILE, Account
from tests.omi.specs import make_record

STACK = "test"


@dataclass
class Swept:
    """A stack with one image in its state, and what its `sweep` says and does."""

    account: Account
    folder: Path
    capsys: pytest.CaptureFixture[str]
    held: str
    """The image that state holds."""
    lost: str
    """One that a build left unverified."""
    resources: list[dict[str, Any]]
    backend: str = ""
    pending: list[str] = field(default_factory=list)
    exports: int = 0

    def configure(self, **more: Any) -> None:
        access = self.account.access
        values = {"profile": "alpine", "region": access.region, "cloud": {"api": access.api, "ca_file": access.ca_file}}
        config = {f"{PROJECT}:{key}": value for key, value in {**values, **more}.items()}
        (self.folder / "stacks").mkdir(exist_ok=True)
        (self.folder / "stacks" / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump({"config": config}))

    def pulumi(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        if "whoami" in command:
            return subprocess.CompletedProcess(command, 0, json.dumps({"user": "u", "url": self.backend}), "")
        assert "export" in command
        self.exports += 1
        content = {"deployment": {"resources": self.resources, "pending_operations": self.pending}}
        return subprocess.CompletedProcess(command, 0, json.dumps(content), "")

    def run(self, *arguments: str) -> tuple[int, str]:
        code = main(["sweep", "-s", STACK, *arguments])
        seen = self.capsys.readouterr()
        return code, seen.out + seen.err

    @property
    def inventory(self) -> Any:
        """All that is there and stays."""
        kinds = self.account.sandbox.control("GET", "inventory")[PROFILE]["resources"]
        return {kind: [each for each in found if each.get("state") != "deleting"] for kind, found in kinds.items()}

    def refuses(self, code: int, said: str, *arguments: str) -> str:
        """It ends in one line, and nothing is changed, tags included."""
        before = self.inventory
        done, text = self.run(*arguments)
        assert (done, self.inventory) == (code, before), text
        (line,) = [line for line in text.splitlines() if line.startswith("error: ")]
        assert said in line
        return line

    @property
    def images(self) -> set[str]:
        return {each["id"] for each in self.inventory["image"]}


@pytest.fixture
def swept(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Swept:
    monkeypatch.chdir(tmp_path)
    spec = account.spec()
    lost = Identity(account.spec(name="alpine-3.23.6-x86_64-r1", revision=1))
    omi = account.register(spec.name, tags={**Identity(spec).tags, "verified": "yes"})
    disk = account.image(omi)["BlockDeviceMappings"][0]["Bsu"]["SnapshotId"]
    record = make_record(name=spec.name, omi=omi, snapshots=(disk,), account=account.id, region=spec.cloud.region)
    outputs = {**StoredCommand.of("build", spec).__dict__, "stdout": record.to_json()}
    urn = f"urn:pulumi:{STACK}::{PROJECT}::{COMMAND_TYPE}::{spec.name}"
    left = account.register(lost.spec.name, tags=dict(lost.tags))
    made = Swept(
        account,
        tmp_path,
        capsys,
        omi,
        left,
        [{"urn": urn, "type": COMMAND_TYPE, "outputs": outputs}],
        f"file://{tmp_path}",
    )
    made.configure()
    monkeypatch.setattr("omi.config.stack._run", made.pulumi)
    return made
