"""A team's repository with a remote, its account in the local cloud, its state in a bucket, and its chat."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.e2e.project import TOP, Project, Result
from tests.reliability.processes import descendants, kill_all, left_to_subprocess, wait_until
from tests.sandbox.ports import free_base_port

STACK = "e2e"
BUILD = "v3_23-x86_64"
OTHER = "v3_22-x86_64"
BUCKET = "state"
STEPS = "examples/ci/steps"
LIMIT = 900.0
"""Seconds that one step may take."""
_COPIED = ("Makefile", "requirements.txt", ".gitignore", "examples", "releases")
_OF_CI = ("OSC_", "AWS_", "PULUMI_", "GITHUB_", "CI_", "GIT_")
NOBODY = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "user.useConfigOnly",
    "GIT_CONFIG_VALUE_0": "true",
}
"""As on a runner, git knows neither name nor address of who commits."""


@dataclass
class Team:
    """`project.folder` is the checkout of the CI's runner; `remote` is what everyone pushes to."""

    project: Project
    remote: Path
    chat: str
    """Address of its webhook."""
    said: list[str] = field(default_factory=list)
    """What was posted there."""

    @property
    def folder(self) -> Path:
        return self.project.folder

    @property
    def secrets(self) -> dict[str, str]:
        """The keys that the CI's store holds."""
        key = json.loads((self.project.home / "osc.json").read_text(encoding="utf-8"))["main"]
        return {"OSC_ACCESS_KEY": key["access_key"], "OSC_SECRET_KEY": key["secret_key"], "NOTIFY_URL": self.chat}

    @property
    def backend(self) -> str:
        """Where the state is."""
        store = f"https://127.0.0.1:{self.project.base_port + 3}"
        return f"s3://{BUCKET}?endpoint={store}&s3ForcePathStyle=true&region=eu-west-2"

    def environment(self) -> dict[str, str]:
        """A bare runner's, but for what the local cloud needs: its authority, and the tools that are cached."""
        keep = {name: value for name, value in os.environ.items() if not name.startswith(_OF_CI)}
        shims = f"{self.folder.parent / 'bin'}{os.pathsep}{keep['PATH']}"
        return {**keep, **NOBODY, "PATH": shims, "AWS_CA_BUNDLE": str(self.project.home / "ca.pem")}

    @cached_property
    def store(self) -> Any:
        """The object store, as a client of S3."""
        quiet = Config(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        )
        return boto3.client(
            "s3", endpoint_url=f"https://127.0.0.1:{self.project.base_port + 3}", region_name="eu-west-2",
            aws_access_key_id=self.secrets["OSC_ACCESS_KEY"], aws_secret_access_key=self.secrets["OSC_SECRET_KEY"],
            verify=str(self.project.home / "ca.pem"), config=quiet,
        )  # fmt: skip

    def keys(self, part: str) -> list[str]:
        """Names of the objects of the state that have `part` in them."""
        listed = self.store.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [each["Key"] for each in listed if part in each["Key"]]

    def lock(self, since: str) -> None:
        """Lock the stack as a run that was killed leaves it."""
        held = {"pid": 7, "username": "runner", "hostname": "box", "timestamp": since}
        place = f".pulumi/locks/organization/alpine-omi/{STACK}/one.json"
        self.store.put_object(Bucket=BUCKET, Key=place, Body=json.dumps(held).encode())

    def git(self, *arguments: str, folder: Path | None = None) -> str:
        """What git prints; it must succeed."""
        done = subprocess.run(
            ["git", "-c", "user.name=Ada", "-c", "user.email=ada@localhost", *arguments],
            cwd=folder or self.folder, check=True, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, message: str) -> None:
        """Commit all that changed in the checkout, and push it."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        self.git("push", "--quiet", "origin", "HEAD:main")

    def published(self, path: str) -> str:
        """The content of a file on the remote's main branch."""
        return self.git("show", f"main:{path}", folder=self.remote)

    def runner(self, **changed: str) -> dict[str, str]:
        """The environment of a step: a bare runner's, and what the CI's files and store give."""
        given = {**self.secrets, "STACK": STACK, "PULUMI_BACKEND_URL": self.backend}
        return {**self.environment(), **given, **changed}

    def step(self, name: str, *arguments: str, **changed: str) -> Result:
        """Run one of the steps as a runner does."""
        done = subprocess.run(
            [f"{STEPS}/{name}.sh", *arguments], cwd=self.folder, env=self.runner(**changed), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert self.secrets["OSC_SECRET_KEY"] not in done.stdout
        return Result(done.returncode, done.stdout)

    def documented(self, part: str, folder: Path) -> Result:
        """Run the shell lines of docs/ci.md that have `part` in them, in a checkout, with the variables set before."""
        page = (TOP / "docs" / "ci.md").read_text(encoding="utf-8")
        blocks = [
            textwrap.dedent(found) for found in re.findall(r"^ *```sh\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
        ]
        (text,) = (block for block in blocks if part in block)
        (first,) = (block for block in blocks if "export " in block)
        if text != first:
            text = "".join(line for line in first.splitlines(keepends=True) if line.startswith("export ")) + text
        text = re.sub(r"(OSC_\w+)=\.\.\.", lambda key: f"{key[1]}=${{GIVEN_{key[1]}}}", text)
        text = re.sub(r"'s3://.*?'", f"'{self.backend}'", text).replace("alpine", STACK)
        given = {f"GIVEN_{name}": value for name, value in self.secrets.items()}
        person = {f"GIT_{who}_{what}": "ada@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        done = subprocess.run(
            ["bash", "-ec", text], cwd=folder, env={**self.environment(), **given, **person}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT, check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout)

    def lose_the_runner(self) -> None:
        """Begin an update, and kill all of it once it has a VM."""
        with (self.folder / "e2e.log").open("ab") as log:
            begun = subprocess.Popen(
                [f"{STEPS}/update.sh"], cwd=self.folder, env=self.runner(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        with left_to_subprocess(begun.pid):
            assert wait_until(lambda: bool(self.vms()) or begun.poll() is not None, LIMIT), f"no VM within {LIMIT} s"
            assert begun.poll() is None, "the update ended before it had a VM"
            cloud = self.project.control("status")["pid"]
            kill_all(lambda: descendants(os.getpid(), {cloud}))
            begun.wait(30)

    def vms(self) -> list[Any]:
        """Those of the account."""
        found: list[Any] = self.project.inventory()["main"]["resources"]["vm"]
        return found

    def change_the_content(self) -> None:
        """Change a file that goes into every image, so that each build has a next revision."""
        script = self.folder / "guest" / "build.sh"
        script.write_text(f"{script.read_text(encoding='utf-8')}# changed\n", encoding="utf-8")


@contextmanager
def a_team() -> Iterator[Team]:
    """A team before its first run: everything is pushed, the bucket is made, and the stack has its first state."""
    with tempfile.TemporaryDirectory(prefix="omi-ci-") as top, _webhook() as (address, said):
        project = Project(Path(top) / "checkout", Path(top) / "cloud", free_base_port(), stubs=True)
        team = Team(project, Path(top) / "remote.git", address, said)
        for name in _COPIED:
            copy = shutil.copytree if (TOP / name).is_dir() else shutil.copy2
            copy(TOP / name, team.folder / name)
        lend_tools(team.folder)
        (Path(top) / "bin").mkdir()
        started = project.start_cloud()
        assert started.code == 0, started.end
        try:
            _begin(team)
            yield team
        finally:
            project.sandbox("stop")
            print(project.log_tail())


def lend_tools(folder: Path) -> None:
    """Give the checkout what the CI's cache brings: an environment and tools that `make tools` finds in place."""
    own, ours = folder / ".venv", TOP / ".venv"
    own.unlink(missing_ok=True)
    own.mkdir()
    for entry in ours.iterdir():
        if entry.name != "requirements.stamp":
            (own / entry.name).symlink_to(entry.resolve() if entry.name == "toolchain" else entry)
    shutil.copy2(folder / "requirements.txt", own / "requirements.stamp")


def _begin(team: Team) -> None:
    """Do what docs/ci.md has the first person do."""
    team.git("init", "--quiet", "--bare", "--initial-branch", "main", str(team.remote))
    team.git("init", "--quiet", "--initial-branch", "main")
    team.git("remote", "add", "origin", str(team.remote))
    with (team.folder / ".gitignore").open("a", encoding="utf-8") as ignored:
        ignored.write("/backend/\n/e2e.log\n.venv\n.gitlab-ci-local*\n/public/\n")
    team.project.configure("releases_dir", "releases")
    stack = team.folder / "stacks" / f"Pulumi.{STACK}.yaml"
    lines = stack.read_text(encoding="utf-8").splitlines(keepends=True)
    stack.write_text("".join(line for line in lines if not line.startswith("encryptionsalt")), encoding="utf-8")
    team.store.create_bucket(Bucket=BUCKET)
    team.commit("Begin")
    team.git("push", "--quiet", "--set-upstream", "origin", "main")
    team.git("remote", "set-head", "origin", "main")
    made = team.documented("pulumi stack init", team.folder)
    assert made.code == 0, made.end


@contextmanager
def _webhook() -> Iterator[tuple[str, list[str]]]:
    """Its address, and the texts that are posted to it."""
    said: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            said.append(json.loads(body)["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", said
    finally:
        server.shutdown()
        server.server_close()
