"""A stack whose folder is signed by real keys, for the tests of signing and of checking."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
import yaml

from omi.cli.main import main
from omi.plan.held import MEMORY, STASH_TYPE
from omi.plan.memory import Memory
from omi.support.environment import SIGNING_KEY
from omi.upstream.security import Security
from tests.omi.publish.site.made import PACKAGES, Pair, made, with_documents

STACK = "test"
LIMIT = 60
"""Seconds that one command may take on a busy machine."""


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A new private key, with its public one beside it."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(command, check=True, timeout=LIMIT)
    return path


def public(key: Path) -> str:
    """The line of its public key."""
    return key.with_name(f"{key.name}.pub").read_text(encoding="utf-8").strip()


def allows(*keys: Path, stack: str = STACK, options: str = "") -> str:
    """Lines of allowed_signers."""
    return "".join(f'{stack} namespaces="alpine-omi"{options} {public(key)}\n' for key in keys)


@dataclass
class Publisher:
    """A stack in a folder of its own, and its key."""

    top: Path
    key: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    images: list[Pair] = field(default_factory=list)

    @property
    def releases(self) -> Path:
        return self.top / "releases"

    @property
    def signers(self) -> Path:
        """What a consumer got by another way."""
        return self.top / "trusted" / "allowed_signers"

    def hold(self, images: Iterable[Pair], pruned: Iterable[str] = ()) -> None:
        """Make the stack's state hold these images, and remember OMIs that an update let go."""
        self.images = list(images)
        kept = Memory(pruned=dict.fromkeys(pruned, date(2026, 11, 27))).model_dump(mode="json")
        urn = f"urn:pulumi:test::alpine-omi::{STASH_TYPE}::{MEMORY}"
        resources = [{"urn": urn, "type": STASH_TYPE, "outputs": {"input": kept, "output": {}}}]
        for spec, record in self.images:
            outputs = {"stdin": spec.to_json(), "stdout": record.to_json(), "create": "c", "update": "u", "delete": "d"}
            urn = f"urn:pulumi:test::alpine-omi::command:local:Command::{spec.run}"
            resources.append({"urn": urn, "type": "command:local:Command", "outputs": outputs})
        self.monkeypatch.setattr("omi.cli.stack.exported_state", lambda _: {"resources": resources})

    def publish(self, *arguments: str | Path, key: Path | None = None, text: str = "") -> tuple[int, str]:
        """Run `omi publish`; exit code and all that it printed. Without a key or arguments the stack's own signs."""
        self.monkeypatch.setenv(SIGNING_KEY, text)
        given = () if arguments or text else ("--key", str(key or self.key))
        code = main(["publish", "-s", STACK, *map(str, arguments), *given])
        seen = self.capsys.readouterr()
        return code, seen.out + seen.err

    def trust(self, text: str | None = None) -> None:
        """Have the consumer trust these signers, as a new consumer; without text the published ones."""
        shutil.rmtree(self.signers.parent, ignore_errors=True)
        self.signers.parent.mkdir()
        there = self.releases / "allowed_signers"
        self.signers.write_text(there.read_text(encoding="utf-8") if text is None else text, encoding="utf-8")

    def files(self) -> dict[str, bytes]:
        """Every published file with its content."""
        return {
            str(path.relative_to(self.releases)): path.read_bytes()
            for path in sorted(self.releases.rglob("*"))
            if path.is_file() and path.name != ".lock"
        }


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Publisher:
    """It holds two images, one with documents; nothing is published yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "stacks").mkdir()
    monkeypatch.setattr("omi.cli.publish.survey_fixes", lambda *_: ((), Security(), {}))
    config = {"config": {"alpine-omi:region": "eu-west-2"}}
    (tmp_path / "stacks" / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    stack = Publisher(tmp_path, make_key(tmp_path / "key"), monkeypatch, capsys)
    full = with_documents(stack.releases, made(2, "eu-west-2", "3.23.6"), PACKAGES)
    stack.hold([made(1, "eu-west-2", "3.22.2"), full])
    return stack


def environment(**changed: str) -> dict[str, str]:
    """This process's own, changed."""
    return {**os.environ, **changed}
