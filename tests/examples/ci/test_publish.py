"""publish.sh alone, against remotes that moved on, refuse, or ask for a token."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.project import TOP
from tests.examples.ci.team import NOBODY

PUBLISH = TOP / "examples" / "ci" / "steps" / "publish.sh"
Done = subprocess.CompletedProcess[str]


def git(folder: Path, *arguments: str) -> str:
    """What git prints; it must succeed."""
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    )  # fmt: skip
    return done.stdout.strip()


def publish(folder: Path, **changed: str) -> Done:
    """Run the step in a checkout."""
    return subprocess.run(
        [PUBLISH, "main"], cwd=folder, env={**os.environ, **NOBODY, "GIT_TERMINAL_PROMPT": "0", **changed},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """With the two folders that an update writes to."""
    remote, first = tmp_path / "remote.git", tmp_path / "first"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch", "main", str(remote))
    git(tmp_path, "clone", "--quiet", str(remote), str(first))
    git(first, "checkout", "--quiet", "-B", "main")
    for place in ("releases/a.json", "profiles/version/3.23.yaml", "notes"):
        (first / place).parent.mkdir(parents=True, exist_ok=True)
        (first / place).write_text("old\n", encoding="utf-8")
    git(first, "add", "--all")
    git(first, "commit", "--quiet", "--message", "Begin")
    git(first, "push", "--quiet", "origin", "main")
    return remote


@pytest.fixture
def checkout(remote: Path, tmp_path: Path) -> Path:
    """A runner's: shallow, of one commit, after an update that wrote and removed files."""
    git(tmp_path, "clone", "--quiet", "--depth", "1", remote.as_uri(), str(tmp_path / "checkout"))
    checkout = tmp_path / "checkout"
    git(checkout, "checkout", "--quiet", "--detach")
    (checkout / "releases" / "a.json").unlink()
    (checkout / "releases" / "b.json").write_text("new\n", encoding="utf-8")
    (checkout / "notes").write_text("of the runner's own\n", encoding="utf-8")
    return checkout


def test_what_was_written_and_removed_is_published_and_nothing_else(remote: Path, checkout: Path) -> None:
    done = publish(checkout)
    assert done.returncode == 0, done.stderr
    assert git(remote, "ls-tree", "-r", "--name-only", "main", "releases") == "releases/b.json"
    assert git(remote, "show", "main:notes") == "old"
    assert publish(checkout).stdout == "ci: nothing new to publish\n"


def test_a_branch_that_moved_on_meanwhile_keeps_what_it_got(remote: Path, checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "first"
    (other / "notes").write_text("newer\n", encoding="utf-8")
    git(other, "commit", "--quiet", "--all", "--message", "Take a note")
    git(other, "push", "--quiet", "origin", "main")
    (checkout / "notes").write_text("old\n", encoding="utf-8")
    done = publish(checkout)
    assert done.returncode == 0, done.stderr
    assert git(remote, "show", "main:notes") == "newer"
    assert git(remote, "show", "main:releases/b.json") == "new"


def test_a_branch_that_may_not_be_pushed_is_one_clear_line(remote: Path, checkout: Path) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    done = publish(checkout)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ci: main can't be pushed: may the CI push to it?")


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """The address of a git server that lets nobody in, and what it was told."""
    told: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.append(self.headers.get("Authorization", ""))
            self.send_response(403 if told[-1] else 401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/team/images.git", told
    server.shutdown()
    server.server_close()


def test_the_token_goes_to_the_server_and_into_no_file(checkout: Path, asked: tuple[str, list[str]]) -> None:
    address, told = asked
    git(checkout, "remote", "set-url", "origin", address)
    done = publish(checkout, GIT_TOKEN="secret-token")
    assert done.returncode == 1
    assert f"Basic {base64.b64encode(b'x-access-token:secret-token').decode()}" in told
    assert "secret-token" not in done.stdout + done.stderr
    held = [path for path in checkout.rglob("*") if path.is_file() and b"secret-token" in path.read_bytes()]
    assert held == []
