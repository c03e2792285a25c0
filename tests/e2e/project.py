"""A copy of the project with a sandbox, a backend and a cache of its own, driven as a person drives it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from sandbox.config import Addresses
from tests.sandbox.client import JSON_BODY, Oapi

TOP = Path(__file__).resolve().parents[2]
COPIED = ("__main__.py", "Pulumi.yaml", "components", "omi", "guest", "profiles", "sandbox", "toolchain")
BUILDS = {f"v3_{minor}-x86_64": {"version": f"3.{minor}", "arch": "x86_64"} for minor in (22, 23)}
"""What its profile `alpine` builds; the project's own discovers branches, edge among them."""
CLOCK = "omi/support/clock.py"
STEP_LIMIT = 900
"""Seconds that one pulumi command may take: two builds under software emulation need 200, on a slow machine 800."""


@dataclass(frozen=True)
class Result:
    """How a command ended, its two streams joined as a person sees them."""

    code: int
    text: str

    @property
    def end(self) -> str:
        """The last 6,000 characters: Pulumi prints a minute of progress before it says what failed."""
        return self.text[-6000:]


def own(inventory: dict[str, Any]) -> dict[str, list[str]]:
    """Ids by kind of all that the project's account holds."""
    return {kind: sorted(entry["id"] for entry in entries) for kind, entries in inventory["main"]["resources"].items()}


class Project:
    """One project folder on its own sandbox; `up`, `preview` and friends return what was printed.

    With `stubs` its stack takes the sandbox's stub VMs (`start_cloud` starts these): for tests that are not about
    images, since none of those that they build is a real one.
    """

    def __init__(self, folder: Path, home: Path, base_port: int, *, stubs: bool = False) -> None:
        self.folder, self.home, self.base_port, self.stubs = folder, home, base_port, stubs
        folder.mkdir()
        for name in COPIED:
            source = TOP / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, folder / name)
        (folder / "profiles" / "alpine.yaml").write_text(yaml.safe_dump({"builds": BUILDS}), encoding="utf-8")
        (folder / ".venv").symlink_to(TOP / ".venv")
        (folder / "stacks").mkdir()
        (folder / "stacks" / "Pulumi.e2e.yaml").write_text(yaml.safe_dump(self._stack()), encoding="utf-8")
        (folder / "backend").mkdir()

    def _stack(self) -> dict[str, Any]:
        stack: dict[str, Any] = yaml.safe_load((TOP / "stacks" / "Pulumi.sandbox.yaml").read_text(encoding="utf-8"))
        text = json.dumps(stack)
        for offset in range(4):
            text = text.replace(f":{7440 + offset}", f":{self.base_port + offset}")
        text = text.replace("$ALPINE_OMI_STATE/sandbox", str(self.home))
        changed: dict[str, Any] = json.loads(text)
        if self.stubs:
            changed["config"]["alpine-omi:vm"]["accept_stubs"] = True
        return changed

    def environment(self) -> dict[str, str]:
        """The environment that `toolchain/env.sh` gives, with this project's own backend."""
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("OSC_", "AWS_", "PULUMI_"))}
        keep["PULUMI_BACKEND_URL"] = (self.folder / "backend").as_uri()
        shown = subprocess.run(
            ["sh", "-c", ". toolchain/env.sh >/dev/null && env -0"],
            cwd=self.folder, env=keep, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        pairs = (line.partition("=") for line in shown.stdout.decode().split("\0") if line)
        return {name: value for name, _, value in pairs}

    def run(
        self,
        *command: str,
        timeout: int = STEP_LIMIT,
        changed: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> Result:
        """Run a command in the project, with some variables `changed`; its output is also kept in the project's log."""
        environment = {**self.environment(), **(changed or {})}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        with (self.folder / "e2e.log").open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}\n[exit {done.returncode}]\n")
        return Result(done.returncode, done.stdout)

    def begin(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command and come back at once; its output goes to the project's log."""
        with (self.folder / "e2e.log").open("ab") as log:
            log.write(f"$ {' '.join(command)} &\n".encode())
            log.flush()
            return subprocess.Popen(
                command, cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def pulumi(self, *arguments: str, timeout: int = STEP_LIMIT) -> Result:
        return self.run("pulumi", "--color", "never", "--non-interactive", *arguments, timeout=timeout)

    def sandbox(self, *arguments: str) -> Result:
        port = str(self.base_port)
        return self.run("python3", "-m", "sandbox", "--home", str(self.home), "--base-port", port, *arguments)

    def start_cloud(self, *arguments: str) -> Result:
        """Start its sandbox, with the kind of VMs that its stack takes."""
        machines = ("--machines", "stub") if self.stubs else ()
        return self.sandbox("start", "--mirror", "fixture", *machines, *arguments)

    def up(self, *arguments: str) -> Result:
        """`pulumi up` without a question and without the preview before it."""
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, "-s", "e2e")

    def plan(self, code: int = 0) -> dict[str, dict[str, Any]]:
        """The planned steps by image."""
        shown = self.run("python3", "-m", "omi", "plan", "-s", "e2e", "--json")
        assert shown.code == code, shown.end
        return {step["image"]: step for step in json.loads(shown.text)["steps"]}

    def outputs(self) -> dict[str, Any]:
        shown = self.pulumi("stack", "output", "-s", "e2e", "--json")
        outputs: dict[str, Any] = json.loads(shown.text)
        return outputs

    def control(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """Ask the sandbox's control face; what has a body is a POST."""
        url = f"http://127.0.0.1:{self.base_port + 1}/_sandbox/{path}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data, JSON_BODY, method=method), timeout=60) as answer:
            return json.load(answer)

    def inventory(self) -> dict[str, Any]:
        """Every resource of every account of the sandbox, by kind."""
        inventory: dict[str, Any] = self.control("inventory")
        return inventory

    def images(self, profile: str = "main") -> list[dict[str, Any]]:
        """The images of one of the sandbox's accounts."""
        found: list[dict[str, Any]] = self.inventory()[profile]["resources"]["image"]
        return found

    def left(self) -> dict[str, Any]:
        """Ids of what only a run in the making has, by account and kind, and the buckets of the object store."""
        kinds = ("vm", "volume", "keypair", "security-group")
        found = {
            f"{name} {kind}": [each["id"] for each in account["resources"][kind]]
            for name, account in self.inventory().items()
            for kind in kinds
        }
        return {what: ids for what, ids in {**found, "buckets": self.control("buckets")}.items() if ids}

    def publish(self, branch: str, release: str) -> None:
        """Make the sandbox's mirror and releases.json offer this release as the branch's newest."""
        self.control("mirror", {"publish": {"branch": branch, "release": release}})

    def oapi(self, profile: str = "main") -> Oapi:
        """A client of one of the sandbox's accounts."""
        profiles = json.loads((self.home / "osc.json").read_text(encoding="utf-8"))
        return Oapi(profiles[profile], Addresses(self.base_port), self.home / "ca.pem")

    def log_tail(self, lines: int = 60) -> str:
        """The end of what the commands printed, for a failed test's report."""
        log = self.folder / "e2e.log"
        return "\n".join(log.read_text(encoding="utf-8").splitlines()[-lines:]) if log.exists() else ""

    def set_today(self, day: date) -> None:
        """Put another clock in the place of the project's, whose one day this is."""
        given = f"datetime({day.year}, {day.month}, {day.day}, 6, tzinfo=UTC)"
        clock = (TOP / CLOCK).read_text(encoding="utf-8").replace("datetime.now(UTC)", given)
        assert given in clock
        (self.folder / CLOCK).write_text(clock, encoding="utf-8")

    def configured(self, key: str) -> Any:
        """What a key of the stack's config is set to."""
        path = self.folder / "stacks" / "Pulumi.e2e.yaml"
        return yaml.safe_load(path.read_text(encoding="utf-8"))["config"].get(f"alpine-omi:{key}")

    def configure(self, key: str, value: Any) -> None:
        """Set a key of the stack's config, or take it out by None."""
        path = self.folder / "stacks" / "Pulumi.e2e.yaml"
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        content["config"].pop(f"alpine-omi:{key}", None)
        if value is not None:
            content["config"][f"alpine-omi:{key}"] = value
        path.write_text(yaml.safe_dump(content), encoding="utf-8")

    def edit_profile(self, name: str, change: dict[str, Any] | None) -> None:
        """Change a build of `profiles/alpine.yaml`, or take it out."""
        path = self.folder / "profiles" / "alpine.yaml"
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        if change is None:
            del content["builds"][name]
        else:
            content["builds"][name] = change
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
