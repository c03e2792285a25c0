"""A bench on which images are built with the fake Packer and no boot."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from omi.build.job import Job
from omi.build.lifecycle import Lifecycle
from omi.build.packer.inputs import RunFolder
from omi.build.packer.maker import PackerMaker
from omi.outscale.shapes import Omi
from omi.profile.model import Access
from omi.state.identity import Identity
from omi.state.image import ImageRecord, ImageSpec
from omi.support.narration import Narrator, narrated
from omi.verify.boot import Verification, Verified
from omi.verify.facts import Facts
from tests.omi.conftest import Account, FakePacker


class Bench:
    """Builds images of one account with the fake Packer; booting them is answered by `verify`."""

    def __init__(self, account: Account, packer: FakePacker, folder: Path) -> None:
        self.account, self.packer, self.folder = account, packer, folder
        self.said = io.StringIO()
        self.booted: list[str] = []
        self.finished: list[Facts | None] = []
        self.stop = threading.Event()
        self.failure: Exception | None = None
        self.on_verify: Callable[[], object] = lambda: None
        self.launchers: list[set[str]] = []
        """Who might launch each image while it was verified."""

    def verify(self, omi: Omi, verification: Verification) -> Verified:
        self.booted.append(omi.omi_id)
        self.finished.append(verification.finished)
        self.launchers.append(self.account.launchers(omi.omi_id))
        self.on_verify()
        if self.failure:
            raise self.failure
        return Verified(7, 95000000, 83000000, ("busybox=1.37.0-r30", "musl=1.2.5-r23"))

    def run_of(self, spec: ImageSpec) -> Lifecycle:
        folder = RunFolder(self.folder / spec.name)
        folder.path.mkdir(parents=True, exist_ok=True)
        narrator = Narrator(self.said, folder.build_log)
        project, environ = self.folder.parent / "project", self.packer.environ
        job = Job(Identity(spec), self.account.cloud, folder, narrator, self.stop, environ, project)
        return Lifecycle(job, PackerMaker(job, grace=1))

    def build(self, spec: ImageSpec) -> ImageRecord:
        run = self.run_of(spec)
        with narrated(run.job.narrator):
            return run.run()


@pytest.fixture
def bench(account: Account, packer: FakePacker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    guest = tmp_path / "project" / "guest"
    guest.mkdir(parents=True)
    (guest / "build.sh").write_text("true\n")
    made = Bench(account, packer, tmp_path / "run")
    monkeypatch.setattr(Verification, "run", lambda self, omi: made.verify(omi, self))
    return made


PUBLIC = Access(public=True)
