"""Builds that fail, each in another way, side by side: what each says, and what is left of them. All parts are real.

They begin at the same time, and each ends where its fault shows, so that all of them take little longer than one build
does.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.e2e.project import STEP_LIMIT, Project, Result, own
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
    "fails": "echo 'looking for the licence'\necho 'no licence for web' >&2\nexit 3\n",
    # all but a little at once, the rest as a program would
    "fills": 'free=$(df -k --output=avail "$TARGET" | tail -n 1)\n'
    'fallocate -l "$((free - 512))K" "$TARGET/srv/big"\ncat /dev/zero > "$TARGET/srv/more"\n',
}


@dataclass(frozen=True)
class Failure:
    """A build that fails, and the reason that must be told."""

    build: dict[str, Any]
    said: str
    """A regular expression of the whole reason."""


@dataclass(frozen=True)
class Failed:
    """What came of an update of all of them, and what the account held before it."""

    done: Result
    failures: dict[str, Failure]
    before: dict[str, list[str]]


class _Mirror(BaseHTTPRequestHandler):
    """The sandbox's mirror, to which it leads, and beside it a repository that nobody has signed."""

    to: str

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/alpine/unsigned/x86_64/APKINDEX.tar.gz":
            body = unsigned_index()
            self.send_response(HTTPStatus.OK)
        else:
            body = b""
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", f"{self.to}{self.path}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        return


def unsigned_index() -> bytes:
    index = io.BytesIO()
    with tarfile.open(fileobj=index, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("APKINDEX"), io.BytesIO())
    return index.getvalue()


@pytest.fixture(scope="module")
def mirror(project: Project) -> Iterator[str]:
    """Its URL as a VM sees it."""
    handler = type("Mirror", (_Mirror,), {"to": f"http://{HOST}:{project.base_port + 2}"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://{HOST}:{server.server_address[1]}/alpine"
        server.shutdown()


def failures(mirror: str) -> dict[str, Failure]:
    """By the suffix of their images."""
    nowhere = f"https://{HOST}:{free_base_port()}/own"
    return {
        "sins": Failure(
            {"setup_script": "setup/sins.sh", "tests": {"web": "setup/web-test.sh"}},
            re.escape(f"it carries {NAMED[0]}"),
        ),
        "service": Failure(
            {"services": {"default": {"nginx": True}}},
            re.escape(
                "the service nginx (default) is in none of the installed packages "
                "(add its package to the profile, have the setup script bring it, or take the service out)"
            ),
        ),
        "script": Failure(
            {"setup_script": "setup/fails.sh"},
            re.escape(
                "the setup script setup/fails.sh ended with exit code 3: no licence for web "
                "(put it right, or the settings that it relies on)"
            ),
        ),
        "unreachable": Failure(
            {"repos": {nowhere: True}},
            re.escape(f"{nowhere}/x86_64/APKINDEX.tar.gz can't be fetched: curl: (7) Failed to connect to {HOST} port ")
            + r"\d+ after \d+ ms: Couldn't connect to server "
            + re.escape("(check the stack's mirror and the build VM's way to it)"),
        ),
        "unsigned": Failure(
            {"repos": {f"{mirror}/unsigned": True}},  # a plan can't ask there, so it can't refuse the build
            re.escape(
                f"{mirror}/unsigned/x86_64/APKINDEX.tar.gz is not a signed index or package of apk's v2 format "
                "(check that Alpine, or whoever made it, signs it)"
            ),
        ),
        "full": Failure(
            {"setup_script": "setup/fills.sh"},
            r"the root volume of \d+ MiB is full: the setup script setup/fills\.sh ended with exit code 1: "
            r"cat: write error: No space left on device \(raise volume_size in the profile\)",
        ),
    }


@pytest.fixture(scope="module")
def failed(project: Project, mirror: str) -> Failed:
    """All of them by one update of an empty account."""
    wanted = failures(mirror)
    scripts = project.folder / "profiles" / "setup"
    scripts.mkdir(exist_ok=True)
    for name, text in SCRIPTS.items():
        (scripts / f"{name}.sh").write_text(text, encoding="utf-8")
    builds = {name: {"version": "3.23", "suffix": f"-{name}", **each.build} for name, each in wanted.items()}
    profile = {"prefix": "bad-", "arch": "x86_64", "builds": builds}
    (project.folder / "profiles" / "alpine.yaml").write_text(yaml.safe_dump(profile, sort_keys=False), encoding="utf-8")
    project.configure("vm", project.configured("vm") | {"mirror": mirror})
    assert project.pulumi("stack", "init", "e2e").code == 0
    before = own(project.inventory())
    parallel = ("--parallel", str(2 * len(wanted)))
    done = project.pulumi("up", "--yes", "--skip-preview", *parallel, "-s", "e2e", timeout=2 * STEP_LIMIT)
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


def test_nothing_is_left_of_any(project: Project, failed: Failed) -> None:
    assert own(project.inventory()) == failed.before
    assert not any(project.outputs()["images"].values()), "no build has an image"
    assert not any(project.outputs()["latest"].values())
    state = json.loads(project.pulumi("stack", "export", "-s", "e2e").text)
    urns = [each["urn"] for each in state["deployment"].get("resources", [])]
    assert not [urn for urn in urns if "bad-" in urn], "a failed build is none of the state's resources"
    assert not state["deployment"].get("pending_operations")
    assert not list(project.folder.glob("releases/**/bad-*"))
