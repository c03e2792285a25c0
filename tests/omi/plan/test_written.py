"""A refusal of a build names the line of the profile to correct."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from omi.config.regions import regions_of
from omi.config.settings import Settings
from omi.plan.planning import plan_stack
from omi.plan.survey import Survey
from omi.profile.load import load_profile
from omi.state.ledger import Ledger
from omi.support.places import PROFILES
from omi.upstream.index import Index, Packaged
from omi.upstream.offer import Offer
from tests.omi.plan.make import TODAY, account, digest, upstream
from tests.omi.specs import OWNER

HOME = "eu-west-2"
REPO = "https://dl-cdn.alpinelinux.org/alpine/{branch}/tseting"
WEB = f"""\
keys:
  alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub: true
builds:
  web:
    version: "3.23"
    repos:
      {REPO}: testing
    packages:
      ngnix: true
    services:
      default:
        nginx: true
"""


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Survey:
    """The one build of a profile, of which nothing is wrong."""
    shutil.copytree(PROFILES, tmp_path / "profiles")
    (tmp_path / "profiles" / "web.yaml").write_text(WEB, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("omi.plan.planning.image_digest", digest)
    monkeypatch.setattr("omi.plan.planning.common_files", lambda *_: {})
    profile, regions = load_profile("web", tmp_path / "profiles"), regions_of(Settings(region=HOME), Ledger())
    return Survey(profile, upstream("3.23.6"), regions, {HOME: account()}, TODAY, OWNER)


def refused(seen: Survey) -> str:
    (line, *_) = plan_stack(Settings(region=HOME), seen).refused
    return line


def test_a_package_or_service(seen: Survey) -> None:
    packages = (Packaged("nginx", "1-r0", "nginx"), Packaged("nginx-openrc", "1-r0", "n", install_if="openrc nginx"))
    index = Index({each.name: (each.version,) for each in packages}, packages=packages)
    seen = replace(seen, stocks={"web": Offer([(None, index)])})
    plan = plan_stack(Settings(region=HOME), seen)
    assert any(line.startswith("profiles/web.yaml:9: web: packages.ngnix: there is no") for line in plan.refused)
    assert any(line.startswith("profiles/base/1.yaml:") and "packages.dhcpcd: " in line for line in plan.refused)
    assert any(line.startswith("web: packages.alpine-base: ") for line in plan.refused), "no file has it"
    assert any(line.startswith("profiles/web.yaml:12: web: services.default.nginx: ") for line in plan.warnings)


def test_a_repository_or_the_version_that_those_of_all_profiles_follow(seen: Survey) -> None:
    for url, line in ((REPO, 7), (REPO.replace("tseting", "main"), 5)):
        absent = {"web": {url.replace("{branch}", "v3.23"): "web: it is not there"}}
        assert refused(replace(seen, absent=absent)) == f"profiles/web.yaml:{line}: web: it is not there"


def test_the_keys(seen: Survey) -> None:
    assert refused(replace(seen, untrusted={"web": "is signed by x"})) == "profiles/web.yaml:1: web: is signed by x"
    (build,) = seen.profile.builds
    without = build.model_copy(update={"keys": {}, "dropped_keys": dict.fromkeys(build.keys, TODAY)})
    seen = replace(seen, profile=replace(seen.profile, builds=(without,)))
    assert refused(seen).startswith("profiles/web.yaml:1: web: Alpine has deprecated every key")
