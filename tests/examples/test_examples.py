"""The examples find the latest image, each run by the tool it is for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from omi.publish import record
from omi.publish.outputs import output_of
from tests.omi.publish.test_releases import image

TOP = Path(__file__).resolve().parents[2]
EXAMPLES = TOP / "examples"
TOFU = shutil.which("tofu") or shutil.which("terraform")
Done = subprocess.CompletedProcess[str]
LIMIT = 120
"""Seconds that one command may take on a busy machine."""


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """A releases folder with two images; the older one was built last."""
    folder = tmp_path / "releases"
    for release in ("3.23.6", "3.22.2"):
        record(*image(folder, build=f"v{release[:4].replace('.', '_')}-x86_64", release=release))
    return folder


@pytest.fixture
def address(releases: Path) -> Iterator[str]:
    """The same, served by HTTP on this machine."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=releases))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def omi(release: str) -> str:
    """The id that `releases` gave the image of this release."""
    return image(Path(), build=f"v{release[:4].replace('.', '_')}-x86_64", release=release)[1].omi


def run(*command: str | Path, cwd: Path | None = None, changed: Mapping[str, str] | None = None) -> Done:
    environment = {**os.environ, **(changed or {})}
    return subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip


def test_curl_and_jq_find_the_latest_of_all_and_of_a_version(address: str) -> None:
    script, feed = EXAMPLES / "curl-jq" / "latest-omi.sh", f"{address}/alpine.json"
    assert run(script, feed, "eu-west-2").stdout.strip() == omi("3.23.6")
    assert run(script, feed, "eu-west-2", "3.22").stdout.strip() == omi("3.22.2")


def test_curl_and_jq_say_what_there_is_not(address: str) -> None:
    script = EXAMPLES / "curl-jq" / "latest-omi.sh"
    for arguments in (("us-east-2",), ("eu-west-2", "3.9"), ("eu-west-2", "3.23", "aarch64")):
        done = run(script, f"{address}/alpine.json", *arguments)
        assert (done.returncode, done.stdout) != (0, "")
        assert "no image of" in done.stderr
        assert done.stdout == ""
    assert run(script, f"{address}/none.json", "eu-west-2").returncode != 0
    assert run(script).returncode == 2


def test_the_lines_of_the_readme_find_it_too(address: str) -> None:
    blocks = re.findall(r"```sh\n(curl .*)\n```", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    latest, any_image = (block.replace("FEED", f"{address}/alpine.json") for block in blocks)
    assert run("sh", "-c", latest).stdout.strip() == omi("3.23.6")
    assert run("sh", "-c", any_image.replace("hybrid", "bios")).stdout.strip() == omi("3.23.6")


@pytest.mark.slow
@pytest.mark.skipif(not TOFU, reason="neither tofu nor terraform is on PATH")
def test_opentofu_or_terraform_finds_it(releases: Path, tmp_path: Path) -> None:
    assert TOFU
    shutil.copytree(EXAMPLES / "opentofu", tmp_path / "tofu")
    options = {"TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
    for key, value in {"feed": str(releases / "alpine.json"), "region": "eu-west-2", "alpine": "3.22"}.items():
        options[f"TF_VAR_{key}"] = value
    for arguments in (("init", "-input=false"), ("apply", "-input=false", "-auto-approve")):
        done = run(TOFU, *arguments, "-no-color", cwd=tmp_path / "tofu", changed=options)
        assert done.returncode == 0, done.stdout + done.stderr
    assert run(TOFU, "output", "-raw", "omi", cwd=tmp_path / "tofu", changed=options).stdout == omi("3.22.2")
    blocks = re.findall(r"```hcl\n(.*?)```", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    for block in (*blocks, (EXAMPLES / "opentofu" / "main.tf").read_text(encoding="utf-8")):
        (tmp_path / "block.tf").write_text(block, encoding="utf-8")
        assert run(TOFU, "fmt", "-check", tmp_path / "block.tf", changed=options).returncode == 0


@pytest.mark.slow
def test_a_stack_reference_finds_it(tmp_path: Path) -> None:
    """The producing stack's outputs are put into its state; the consumer is run by the engine."""
    (tmp_path / "backend").mkdir()
    options = {"PULUMI_BACKEND_URL": (tmp_path / "backend").as_uri(), "PULUMI_CONFIG_PASSPHRASE": ""}
    pulumi = partial(run, "pulumi", "--non-interactive", "--color", "never", changed=options)

    producer = tmp_path / "producer"
    producer.mkdir()
    shutil.copy(TOP / "Pulumi.yaml", producer)
    spec, made = image(Path())
    latest = {spec.build: output_of(spec, made)}
    stack = {
        "urn": "urn:pulumi:prod::alpine-omi::pulumi:pulumi:Stack::alpine-omi-prod",
        "custom": False, "type": "pulumi:pulumi:Stack", "outputs": {"latest": latest},
    }  # fmt: skip
    state = {"version": 3, "deployment": {"manifest": {"time": "2026-11-24T00:00:00Z"}, "resources": [stack]}}
    (producer / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for command in ("stack init prod", "stack import --file state.json --stack prod"):
        done = pulumi(*command.split(), cwd=producer)
        assert done.returncode == 0, done.stdout + done.stderr

    consumer = tmp_path / "consumer"
    shutil.copytree(EXAMPLES / "pulumi", consumer)
    for command in (
        "stack init test",
        "config set images organization/alpine-omi/prod",
        f"config set build {spec.build}",
        "up --yes --skip-preview",
    ):
        done = pulumi(*command.split(), cwd=consumer)
        assert done.returncode == 0, done.stdout + done.stderr
    assert pulumi("stack", "output", "omi", cwd=consumer).stdout.strip() == made.omi
