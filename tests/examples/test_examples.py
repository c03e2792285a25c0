"""The examples find the latest image, each run by the tool it is for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from omi.publish.outputs import output_of
from omi.publish.site.launch import launch_lines
from tests.examples.tools import pulumi_outscale
from tests.omi.publish.signing import Publisher, publisher
from tests.omi.publish.test_releases import image

__all__ = ["publisher"]

TOP = Path(__file__).resolve().parents[2]
EXAMPLES = TOP / "examples"
Done = subprocess.CompletedProcess[str]
LIMIT = 120
"""Seconds that one command may take on a busy machine."""
TOFU = {"TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
each_tofu = pytest.mark.parametrize("tool", ["tofu", "terraform"])


@pytest.fixture
def releases(publisher: Publisher) -> Path:
    """A signed releases folder with two images, which a consumer trusts; the older one was built last."""
    shutil.rmtree(publisher.releases)
    builds = [(f"v{release[:4].replace('.', '_')}-x86_64", release) for release in ("3.23.6", "3.22.2")]
    publisher.hold(image(publisher.releases, build=build, release=release) for build, release in builds)
    assert publisher.publish()[0] == 0
    publisher.trust()
    return publisher.releases


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


def blocks(language: str) -> list[str]:
    """The code blocks of the examples' README."""
    return re.findall(rf"```{language}\n(.*?)```", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def require_tofu(tool: str) -> None:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not on PATH; to compile it takes longer than a test may")


def latest(publisher: Publisher, *arguments: str) -> Done:
    return run(EXAMPLES / "curl-jq" / "latest-omi.sh", publisher.signers, *arguments)


def test_curl_and_jq_find_the_latest_of_all_and_of_a_version(publisher: Publisher, address: str) -> None:
    feed = f"{address}/alpine.json"
    assert latest(publisher, feed, "eu-west-2").stdout.strip() == omi("3.23.6")
    assert latest(publisher, feed, "eu-west-2", "3.22").stdout.strip() == omi("3.22.2")


def test_curl_and_jq_say_what_there_is_not(publisher: Publisher, address: str) -> None:
    for arguments in (("us-east-2",), ("eu-west-2", "3.9"), ("eu-west-2", "3.23", "aarch64")):
        done = latest(publisher, f"{address}/alpine.json", *arguments)
        assert (done.returncode, done.stdout) != (0, "")
        assert "no image of" in done.stderr
        assert done.stdout == ""
    assert latest(publisher, f"{address}/none.json", "eu-west-2").returncode != 0
    assert run(EXAMPLES / "curl-jq" / "latest-omi.sh").returncode == 2


def test_curl_and_jq_print_no_id_of_a_feed_that_was_changed(publisher: Publisher, address: str) -> None:
    feed = publisher.releases / "alpine.json"
    feed.write_text(feed.read_text(encoding="utf-8").replace(omi("3.23.6"), "ami-0badbad0"), encoding="utf-8")
    done = latest(publisher, f"{address}/alpine.json", "eu-west-2")
    assert (done.returncode, done.stdout) == (1, "")
    assert "alpine.json: is not what was signed" in done.stderr


def test_the_lines_of_the_readme_find_it_too(address: str) -> None:
    lines = (block for block in blocks("sh") if block.startswith("curl "))
    latest, any_image = (line.replace("FEED", f"{address}/alpine.json") for line in lines)
    assert run("sh", "-c", latest).stdout.strip() == omi("3.23.6")
    assert run("sh", "-c", any_image.replace("hybrid", "bios")).stdout.strip() == omi("3.23.6")


def test_the_lines_of_the_page_about_signing_find_it_once_it_is_checked(publisher: Publisher, address: str) -> None:
    page = (TOP / "docs" / "signing.md").read_text(encoding="utf-8")
    lines = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[-1].replace("https://example.com/releases", address)
    path = {"PATH": f"{EXAMPLES / 'verify'}{os.pathsep}{os.environ['PATH']}"}
    for shell in ("sh", "bash"):
        done = run(shell, "-c", lines, cwd=publisher.top, changed=path)
        assert done.stdout.splitlines()[1:] == [omi("3.23.6")], done.stderr
    (publisher.releases / "manifest.txt").write_text("", encoding="utf-8")
    assert "ami-" not in run("sh", "-c", lines, cwd=publisher.top, changed=path).stdout


@pytest.mark.slow
@each_tofu
def test_opentofu_and_terraform_find_it(tool: str, publisher: Publisher, releases: Path, tmp_path: Path) -> None:
    require_tofu(tool)
    for name in ("opentofu", "verify"):
        shutil.copytree(EXAMPLES / name, tmp_path / "examples" / name)
    place, feed = tmp_path / "examples" / "opentofu", releases / "alpine.json"
    variables = {"feed": feed, "signers": publisher.signers, "region": "eu-west-2", "alpine": "3.22"}
    options = TOFU | {f"TF_VAR_{key}": str(value) for key, value in variables.items()}
    for arguments in (("init", "-input=false"), ("apply", "-input=false", "-auto-approve")):
        done = run(tool, *arguments, "-no-color", cwd=place, changed=options)
        assert done.returncode == 0, done.stdout + done.stderr
    assert run(tool, "output", "-raw", "omi", cwd=place, changed=options).stdout == omi("3.22.2")
    feed.write_text(feed.read_text(encoding="utf-8").replace(omi("3.22.2"), "ami-0badbad0"), encoding="utf-8")
    assert run(tool, "apply", "-input=false", "-auto-approve", cwd=place, changed=options).returncode != 0
    lines = launch_lines("ami-1a2b3c4d", None)["OpenTofu"] + "\n"
    for block in (*blocks("hcl"), lines, (EXAMPLES / "opentofu" / "main.tf").read_text(encoding="utf-8")):
        (tmp_path / "block.tf").write_text(block, encoding="utf-8")
        assert run(tool, "fmt", "-check", tmp_path / "block.tf", changed=options).returncode == 0


@pytest.mark.slow
@each_tofu
@pytest.mark.parametrize("place", ["README", "site"])
def test_the_vm_is_what_outscale_s_provider_wants(tool: str, place: str, tmp_path: Path) -> None:
    require_tofu(tool)
    if place == "README":
        shutil.copy(EXAMPLES / "opentofu" / "main.tf", tmp_path)
        (block,) = blocks("hcl")
    else:
        block = launch_lines("ami-1a2b3c4d", None)["OpenTofu"]
    (tmp_path / "vm.tf").write_text(block, encoding="utf-8")
    done = run(tool, "init", "-input=false", "-no-color", cwd=tmp_path, changed=TOFU)
    why = " ".join(done.stderr.split())
    if re.search(r"could not (connect to|query provider registry)", why):
        pytest.skip(f"outscale/outscale: provider can't be had: {why}")
    assert done.returncode == 0, why
    done = run(tool, "validate", "-no-color", cwd=tmp_path, changed=TOFU)
    assert done.returncode == 0, done.stdout + done.stderr


MOCKED = """\
import json, sys, pulumi

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        print(json.dumps([args.typ, args.name, args.inputs]))
        return "i-1a2b3c4d", args.inputs

    def call(self, args):
        raise AssertionError(args.token)

pulumi.runtime.set_mocks(Mocks())
pulumi.runtime.test(lambda: exec(sys.argv[1], {}))()
"""


def test_the_site_s_line_for_pulumi_makes_the_vm() -> None:
    line = launch_lines("ami-1a2b3c4d", None)["Pulumi"]
    done = run(sys.executable, "-c", MOCKED, line, changed={"PYTHONPATH": str(pulumi_outscale())})
    assert done.returncode == 0, done.stderr
    inputs = {"imageId": "ami-1a2b3c4d", "vmType": "tinav6.c1r1p2", "keypairName": "KEYPAIR"}
    assert json.loads(done.stdout) == ["outscale:index/vm:Vm", "alpine", inputs]


def test_opentofu_is_given_the_id_by_what_runs_the_check_alone() -> None:
    """Read as text, since OpenTofu isn't everywhere."""
    text = (EXAMPLES / "opentofu" / "main.tf").read_text(encoding="utf-8")
    (command,) = re.findall(r'command = "(.*)"$', text, re.MULTILINE)
    check = command.replace('\\"', '"').replace("${path.module}", str(EXAMPLES / "opentofu"))
    assert run("sh", "-c", check).returncode == 2
    assert text.rstrip().endswith('output "omi" {\n  value = terraform_data.verified.output\n}')


CHANGED = "ami-0badbad0"


def consumer(folder: Path) -> Path:
    """The example for Pulumi, with the check that it runs."""
    for name in ("pulumi", "verify"):
        shutil.copytree(EXAMPLES / name, folder / name)
    return folder / "pulumi"


def change_omi(feed: Path, release: str) -> None:
    feed.write_text(feed.read_text(encoding="utf-8").replace(omi(release), CHANGED), encoding="utf-8")


RUN = """\
import json, runpy, sys, pulumi

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args): return args.name, args.inputs
    def call(self, args): raise AssertionError(args.token)

pulumi.runtime.set_mocks(Mocks(), project="consumer")
pulumi.runtime.set_all_config({f"consumer:{key}": value for key, value in json.loads(sys.argv[2]).items()})
pulumi.export = lambda name, value: print(name, value)
runpy.run_path(sys.argv[1])
"""


def test_pulumi_finds_it_once_it_is_checked(publisher: Publisher, releases: Path, tmp_path: Path) -> None:
    program, feed = consumer(tmp_path) / "latest.py", releases / "alpine.json"
    config = {"feed": feed, "signers": publisher.signers, "region": "eu-west-2", "build": "v3_22-x86_64"}
    program_of = partial(run, sys.executable, "-c", RUN, program, json.dumps(config, default=str))
    done = program_of()
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"omi {omi('3.22.2')}"), done.stderr
    before = feed.read_text(encoding="utf-8")
    change_omi(feed, "3.22.2")
    done = program_of()
    assert (done.returncode != 0, CHANGED in done.stdout) == (True, False)
    assert f"RunError: {feed}: isn't what its publisher signed, so nothing is launched" in done.stderr
    feed.write_text(before, encoding="utf-8")
    (releases / "manifest.txt.sig").unlink()
    assert program_of().returncode != 0


@pytest.mark.slow
def test_pulumis_engine_runs_it_and_shows_one_line_of_a_changed_feed(
    publisher: Publisher, releases: Path, tmp_path: Path
) -> None:
    (tmp_path / "backend").mkdir()
    options = {"PULUMI_BACKEND_URL": (tmp_path / "backend").as_uri(), "PULUMI_CONFIG_PASSPHRASE": ""}
    place, feed = consumer(tmp_path / "examples"), releases / "alpine.json"
    pulumi = partial(run, "pulumi", "--non-interactive", "--color", "never", cwd=place, changed=options)
    config = {"feed": feed, "signers": publisher.signers, "region": "eu-west-2", "build": "v3_22-x86_64"}
    assert pulumi("stack", "init", "test").returncode == 0
    for key, value in config.items():
        assert pulumi("config", "set", key, str(value)).returncode == 0
    done = pulumi("up", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    assert pulumi("stack", "output", "omi").stdout.strip() == omi("3.22.2")
    change_omi(feed, "3.22.2")
    done = pulumi("up", "--yes", "--skip-preview")
    assert (done.returncode != 0, "isn't what its publisher signed" in done.stdout) == (True, True), done.stdout
    assert "Traceback" not in done.stdout
    assert pulumi("stack", "output", "omi").stdout.strip() == omi("3.22.2")


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

    place = tmp_path / "consumer"
    place.mkdir()
    (place / "Pulumi.yaml").write_text("name: consumer\nruntime: python\n", encoding="utf-8")
    (block,) = blocks("python")
    (place / "__main__.py").write_text(block.replace("alpine-omi/alpine", "alpine-omi/prod"), encoding="utf-8")
    for command in ("stack init test", "up --yes --skip-preview"):
        done = pulumi(*command.split(), cwd=place)
        assert done.returncode == 0, done.stdout + done.stderr
    assert pulumi("stack", "output", "omi", cwd=place).stdout.strip() == made.omi
