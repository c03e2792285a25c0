"""A real stack that holds images without a VM ever having run: they are adopted, then called its own in its state."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from omi.plan.held import MEMORY, STASH_TYPE
from omi.state.identity import Identity
from omi.state.image import ImageSpec
from omi.state.owner import STACK_ID
from tests.e2e.project import Project
from tests.omi.upstream.site import Site, branch, listing, serving
from tests.sandbox.client import Oapi, Sandbox, empty_volume, register, settings_for, snapshot
from tests.sandbox.ports import free_base_port

STACK = "e2e"
HOME = "eu-west-2"
PROFILES = {HOME: "main", "us-east-2": "main-us"}
"""Whose account is used in a Region."""


def offer(site: Site, release: str) -> None:
    """Make Alpine's newest release of 3.23 be this one."""
    site.releases(branch("3.23", release))
    site.latest("3.23", listing(release))


@dataclass
class HeldProject:
    """A project, the account it works on (no machines behind it), and the Alpine that it sees."""

    project: Project
    sandbox: Sandbox
    site: Site
    volume: str
    """What the images' snapshots are taken of."""

    @property
    def oapi(self) -> Oapi:
        """The account."""
        return self.sandbox.oapi("main")

    @property
    def stack_id(self) -> str:
        """The id that the stack's state keeps."""
        resources = json.loads(self.pulumi("stack", "export"))["deployment"]["resources"]
        return next(
            str(each["outputs"]["output"]) for each in resources if each["urn"].endswith(f"{STASH_TYPE}::{STACK_ID}")
        )

    def pulumi(self, *arguments: str) -> str:
        """What a pulumi command on the stack prints; it must succeed."""
        done = self.project.pulumi(*arguments, "-s", STACK)
        assert done.code == 0, done.end
        return done.text

    def omi(self, *arguments: str) -> str:
        """What one of the project's own commands prints; it must succeed."""
        done = self.project.run("python3", "-m", "omi", *arguments)
        assert done.code == 0, done.end
        return done.text

    def plan(self) -> dict[str, dict[str, Any]]:
        """The steps that are planned, by image."""
        return self.project.plan()

    def register(self, name: str, tags: dict[str, str] | None = None, region: str = HOME) -> str:
        """An OMI in the Region's account."""
        oapi = self.sandbox.oapi(PROFILES[region])
        volume = self.volume if region == HOME else empty_volume(oapi)
        made = register(oapi, name, snapshot(oapi, volume))
        self.tag(made, tags or {}, region)
        return made

    def tag(self, resource: str, tags: dict[str, str], region: str = HOME) -> None:
        """Put tags on it."""
        if tags:
            pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
            self.sandbox.oapi(PROFILES[region]).call("CreateTags", ResourceIds=[resource], Tags=pairs)

    def image(self, omi: str, region: str = HOME) -> dict[str, Any] | None:
        """What the Region's account holds under this id."""
        found = self.sandbox.oapi(PROFILES[region]).call("ReadImages", Filters={"ImageIds": [omi]})["Images"]
        return found[0] if found else None

    def write_profile(self, *builds: str, **rest: Any) -> None:
        """A target profile with builds of 3.23, each with a prefix of its own."""
        entries = {name: {"version": "3.23", "arch": "x86_64", "prefix": f"{name}-"} for name in builds}
        content = {"builds": entries, **rest}
        (self.project.folder / "profiles" / "alpine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    def offer(self, release: str) -> None:
        """Make Alpine's newest release of 3.23 be this one."""
        offer(self.site, release)

    def hold(self, *builds: str, releases: tuple[str, ...] = ("3.23.6",)) -> dict[str, str]:
        """Make the stack hold a verified image of its own for each build and release: OMI ids by build, of the last."""
        self.write_profile(*builds)
        made: dict[str, str] = {}
        for release in releases:
            self.offer(release)
            made |= {name: self.register(f"{name}-{release}-x86_64-r0") for name in builds}
            self.pulumi("up", "--yes", "--skip-preview")
        self.call_own()
        return made

    def call_own(self, **record: Any) -> None:
        """Make the stack's images its own: verified, built and tagged by it; `record` is what else it knows of them."""

        def call(resource: dict[str, Any]) -> None:
            if resource["type"] == "command:local:Command":
                known = json.loads(resource["outputs"]["stdout"])
                own = {"adopted": False, "digest": None, "made_by": None, "verified": True}
                resource["outputs"]["stdout"] = json.dumps({**known, **own, **record})
                spec = ImageSpec.from_json(resource["inputs"]["stdin"], "state")
                self.tag(known["omi"], dict(Identity(spec).tags))

        self.edit_state(call)

    def remember(self, memory: dict[str, Any]) -> None:
        """Put into the stack's state what earlier updates would have left for the plan."""

        def put(resource: dict[str, Any]) -> None:
            if resource["type"] == STASH_TYPE and resource["urn"].endswith(f"::{MEMORY}"):
                resource["inputs"]["input"] = resource["outputs"]["input"] = memory

        self.edit_state(put)

    def edit_state(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """Change resources of the stack's state in place."""
        exported = json.loads(self.pulumi("stack", "export"))
        for resource in exported["deployment"]["resources"]:
            edit(resource)
        file = self.project.folder / "state.json"
        file.write_text(json.dumps(exported), encoding="utf-8")
        self.pulumi("stack", "import", "--file", str(file))


@contextmanager
def held_project() -> Iterator[HeldProject]:
    """One for all tests of a module."""
    with (
        tempfile.TemporaryDirectory(prefix="omi-held-") as folder,
        serving() as site,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("ALPINE_OMI_CACHE", f"{folder}/project/cache")
        base_port = free_base_port()
        sandbox = Sandbox(settings_for(Path(folder) / "cloud", base_port=base_port))
        try:
            project = Project(Path(folder) / "project", Path(folder) / "cloud", base_port)
            project.configure("upstream", site.settings.model_dump())
            vm = project.configured("vm")
            del vm["trusted_keys"]  # of a mirror that isn't there
            project.configure("vm", vm)
            made = HeldProject(project, sandbox, site, empty_volume(sandbox.oapi("main")))
            made.offer("3.23.6")
            assert project.pulumi("stack", "init", STACK).code == 0
            yield made
            print(project.log_tail())
        finally:
            sandbox.close()
