"""`try` says what is doubtful before it builds."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from omi.cli.main import main
from omi.profile.content import package_lines
from omi.profile.load import Profile
from omi.profile.model import Target
from omi.support.dependency import read_dependency
from omi.support.errors import InputError
from omi.upstream.index import Index, Packaged
from omi.upstream.model import Upstream
from omi.upstream.offer import Offer
from omi.upstream.packages import Offered
from tests.omi.conftest import TOP
from tests.omi.plan.make import upstream


def test_a_service_that_nothing_brings_is_warned_of_before_anything_is_built(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offered(builds: Sequence[Target], *_: object) -> Offered:
        (build,) = builds
        names = {read_dependency(line).name for line in package_lines(build)} | {"nginx-openrc"}
        packages = tuple(Packaged(name, "1-r0", name) for name in names)
        return Offered({build.name: Offer([(None, Index(dict.fromkeys(names, ("1-r0",)), packages=packages))])})

    def discovered(profile: Profile, *_: object) -> tuple[Profile, Upstream]:
        return profile, upstream("3.23.6")

    def stop(*_: object, **__: object) -> None:
        message = "no further"
        raise InputError(message)

    shutil.copytree(TOP / "stacks", "stacks")
    (root / "web.yaml").write_text("services: {default: {ngnix: true}}\nbuilds: {a: {version: '3.23'}}\n")
    monkeypatch.setattr("omi.cli.trial.discover_builds", discovered)
    monkeypatch.setattr("omi.cli.trial.read_offered", offered)
    monkeypatch.setattr("omi.cli.trial.common_files", lambda *_: {})
    monkeypatch.setattr("omi.cli.trial.check_before_building", stop)
    assert main(["try", "--profile", "web", "a", "--", "true"]) == 2
    *warnings, error = capsys.readouterr().err.splitlines()
    assert error == "error: no further"
    assert any(
        "services.default.ngnix: no package is known to bring it; did you mean nginx?" in line for line in warnings
    )
