"""Two builds that fail, side by side: what each says, and what is left of them. All parts are real.

One ends in the build VM, one in the verify. What the guest's scripts say of other faults is in tests/guest.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.e2e.project import Project, Result, own
from tests.sandbox.ports import free_base_port

pytestmark = pytest.mark.slow

HOST = "169.254.0.2"
"""This machine's loopback as a VM of the sandbox sees it."""

SINS = """\
set -eu
cd "$TARGET"
mkdir -p etc/dropbear home/alpine/.ssh srv/box
echo made > etc/dropbear/dropbear_ed25519_host_key
echo "ssh-ed25519 AAAA builder" > home/alpine/.ssh/authorized_keys
echo made > srv/core.712
chmod 777 srv/box
chmod 4755 bin/busybox
sed -i 's|^daemon:[^:]*|daemon:$6$salt$hash|' etc/shadow
sed -i /^dhcpcd/d etc/apk/world
ln -s /etc/init.d/crond etc/runlevels/default/crond
sed -i -e '/^PermitRootLogin/s/no/yes/' -e '/^PasswordAuthentication/s/no/yes/' etc/ssh/sshd_config.d/00-omi.conf
"""
NAMED = (
    "SSH host keys: every instance would have the same: /etc/dropbear/dropbear_ed25519_host_key",
    "SSH keys that let somebody in: /home/alpine/.ssh/authorized_keys",
    "a program that crashed: /srv/core.712",
    "anyone may write to: /srv/box",
    "setuid or setgid, but not by a package: /bin/busybox",
    "daemon has a password",
    "the package dhcpcd is installed, but neither asked for nor needed",
    "service crond (default) is not the profile's",
    "sshd offers publickey,password besides keys",
    "a login as root was not refused",
    "the profile's test web failed with exit code 4: looking for the page | no page for alpine",
)
SCRIPTS = {
    "sins": SINS,
    "web-test": "echo 'looking for the page'\necho \"no page for $(id -un)\" >&2\nexit 4\n",
}


@dataclass(frozen=True)
class Failure:
    """A build that fails, and the reason that must be told."""

    build: dict[str, Any]
    said: str
    """A regular expression of the whole reason."""


@dataclass(frozen=True)
class Failed:
    """What came of an update of both, and what the account held before it."""

    done: Result
    failures: dict[str, Failure]
    before: dict[str, list[str]]


def failures() -> dict[str, Failure]:
    """By the suffix of their images."""
    nowhere = f"https://{HOST}:{free_base_port()}/own"
    return {
        "sins": Failure(
            {"setup_script": "setup/sins.sh", "tests": {"web": "setup/web-test.sh"}},
            re.escape(f"it carries {NAMED[0]}"),
        ),
        "unreachable": Failure(
            {"repos": {nowhere: True}},
            re.escape(f"{nowhere}/x86_64/APKINDEX.tar.gz can't be fetched: curl: (7) Failed to connect to {HOST} port ")
            + r"\d+ after \d+ ms: Couldn't connect to server "
            + re.escape("(check the stack's mirror and the build VM's way to it)"),
        ),
    }


@pytest.fixture(scope="module")
def failed(project: Project) -> Failed:
    """Both by one update of an empty account."""
    wanted = failures()
    scripts = project.folder / "profiles" / "setup"
    scripts.mkdir(exist_ok=True)
    for name, text in SCRIPTS.items():
        (scripts / f"{name}.sh").write_text(text, encoding="utf-8")
    builds = {name: {"version": "3.23", "suffix": f"-{name}", **each.build} for name, each in wanted.items()}
    profile = {"prefix": "bad-", "arch": "x86_64", "builds": builds}
    (project.folder / "profiles" / "alpine.yaml").write_text(yaml.safe_dump(profile, sort_keys=False), encoding="utf-8")
    assert project.pulumi("stack", "init", "e2e").code == 0
    before = own(project.inventory())
    done = project.up()
    return Failed(done, wanted, before)


def test_each_says_in_one_line_what_stopped_it(failed: Failed) -> None:
    assert failed.done.code != 0
    assert "Traceback" not in failed.done.text
    for name, failure in failed.failures.items():
        image = f"bad-3.23.6-x86_64-r0-{name}"
        line = rf"^ *error: {image}: {failure.said}; see build/e2e/{image}/packer\.log$"
        if name == "sins":
            line = rf"^ *error: ami-[0-9a-f]+ \({image}\) failed its check: {failure.said}"
        assert re.search(line, failed.done.text, re.MULTILINE), f"{name}: {failed.done.text}"


def test_what_an_image_carries_that_none_may_is_named_whole(failed: Failed) -> None:
    assert not [words for words in NAMED if words not in failed.done.text], failed.done.text


def test_nothing_is_left_of_either(project: Project, failed: Failed) -> None:
    assert own(project.inventory()) == failed.before
    assert not any(project.outputs()["images"].values()), "no build has an image"
    assert not any(project.outputs()["latest"].values())
    state = json.loads(project.pulumi("stack", "export", "-s", "e2e").text)
    urns = [each["urn"] for each in state["deployment"].get("resources", [])]
    assert not [urn for urn in urns if "bad-" in urn], "a failed build is none of the state's resources"
    assert not state["deployment"].get("pending_operations")
    assert not list(project.folder.glob("releases/**/bad-*"))
