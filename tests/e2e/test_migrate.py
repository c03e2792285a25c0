"""An old tool's build, set to 3.23, becomes a profile of ours that is built and boots."""

from __future__ import annotations

from pathlib import Path

import pytest

from omi.verify.facts import Facts
from tests.e2e.project import Project
from tests.omi.profile.old_tool import lay_checkout, write

pytestmark = pytest.mark.slow

BUILD = """
version-3_23 { include required("version/3.23") }
arch-x86_64  { include required("arch/x86_64") }
BUILDS {
  v3_23-x86_64 = ${version-3_23} ${arch-x86_64} {
    omi_name_suffix = -old
    pkgs { curl = false }
    repos { "http://dl-cdn.alpinelinux.org/alpine/edge/testing" = false }
    setup_script = scripts/page.sh
    setup_copy { page = pages }
  }
}
"""
"""Without what the local mirror lacks."""
SCRIPT = 'cp -r page "$TARGET/srv/page"\n'


def test_a_migrated_build_is_built_and_verified(project: Project, tmp_path: Path) -> None:
    lay_checkout(tmp_path)
    write(tmp_path / "profiles" / "web.conf", BUILD)
    write(tmp_path / "scripts" / "page.sh", SCRIPT)
    migrated = project.run("python", "-m", "omi", "migrate", str(tmp_path))
    assert migrated.code == 0, migrated.end
    project.configure("profile", "web")
    assert project.pulumi("stack", "init", "e2e").code == 0
    done = project.up()
    assert done.code == 0, done.end
    assert project.outputs()["latest"]["v3_23-x86_64"]["name"] == "alpine-omi-3.23.6-x86_64-r0-old"
    (log,) = project.folder.glob("build/**/build.log")
    facts = Facts.parse(log.read_text(encoding="utf-8")).values
    services = {tuple(line.split()[1:3]) for line in facts["service"]}
    assert {("chronyd", "started"), ("sshd", "started"), ("swap", "started")} <= services
