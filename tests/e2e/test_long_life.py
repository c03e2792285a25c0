"""A stack that lives long: imported state, a checkout that moved, a virtual environment made anew.

Real pulumi, no VM runs. The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from omi.config.settings import Settings
from omi.config.stack import stack_config
from omi.profile.model import Target
from omi.state.identity import Identity
from omi.state.ledger import StoredCommand
from tests.e2e.held import HOME, PROFILES, STACK, HeldProject
from tests.omi.specs import make_record, make_spec
from tests.omi.upstream.site import branch, listing

pytestmark = pytest.mark.slow

FURTHER = "us-east-2"
ADOPTED = "adopted"
"""The build whose image wasn't made by the stack."""
REGIONS = {"one": HOME, "two": HOME, "further": FURTHER, ADOPTED: HOME}
"""Of each build's image."""
PAST = "2025-01-01"
"""The last day of support of all images, long ago: nothing is built."""
URN = f"urn:pulumi:{STACK}::alpine-omi::"


@pytest.fixture(scope="module")
def omis(held: HeldProject) -> dict[str, str]:
    """A stack as `pulumi stack import` takes it, with one image of each build: OMI by build."""
    cloud = held.project.configured("cloud")
    held.project.configure("regions", {FURTHER: {"cloud": {"api": cloud["api"], "osc_profile": PROFILES[FURTHER]}}})
    settings = Settings.load(stack_config(STACK, held.project.folder / "stacks"))
    exported = json.loads(held.pulumi("stack", "export"))
    made: dict[str, str] = {}
    resources: list[dict[str, Any]] = []
    for build, region in REGIONS.items():
        name, adopted = f"{build}-3.23.6-x86_64-r0", build == ADOPTED
        spec = make_spec(
            name=name, stack=STACK, end_of_life=PAST, cloud=settings.cloud_access(region), vm=settings.vm_in(region),
            build=Target(profile="alpine", name=build, version="3.23", prefix=f"{build}-"),
            releases_dir=settings.releases_dir,
            resource=None if region == HOME else f"{name}@{region}",
        )  # fmt: skip
        made[build] = held.register(name, {} if adopted else dict(Identity(spec).tags), region)
        image = held.image(made[build], region)
        assert image is not None
        record = make_record(
            name=name, omi=made[build], account=held.sandbox.account_id(PROFILES[region]), region=region,
            snapshots=[each["Bsu"]["SnapshotId"] for each in image["BlockDeviceMappings"]],
            verified=not adopted, adopted=adopted,
        )  # fmt: skip
        command = StoredCommand.of("adopt" if adopted else "build", spec)
        resources += _resources(build, spec.run, asdict(command), record.to_json())
    stack = {"urn": f"{URN}pulumi:pulumi:Stack::alpine-omi-{STACK}", "custom": False, "type": "pulumi:pulumi:Stack"}
    provider = {
        "urn": _PROVIDER, "custom": True, "id": _ID, "type": "pulumi:providers:command",
        "inputs": {"version": "1.2.1"}, "outputs": {"version": "1.2.1"},
    }  # fmt: skip
    exported["deployment"]["resources"] = [stack, provider, *resources]
    file = held.project.folder / "state.json"
    file.write_text(json.dumps(exported), encoding="utf-8")
    held.pulumi("stack", "import", "--file", str(file))
    return made


_PROVIDER = f"{URN}pulumi:providers:command::default_1_2_1"
_ID = "00000000-0000-4000-8000-000000000000"


def _resources(build: str, name: str, inputs: dict[str, Any], record: str) -> list[dict[str, Any]]:
    """A build's component and its image's command, as the engine stores them."""
    parent = f"{URN}alpine:omi:ProfileBuild::{build}"
    return [
        {
            "urn": parent, "custom": False, "type": "alpine:omi:ProfileBuild",
            "parent": f"{URN}pulumi:pulumi:Stack::alpine-omi-{STACK}",
        },
        {
            "urn": f"{URN}alpine:omi:ProfileBuild$command:local:Command::{name}", "custom": True, "id": name,
            "type": "command:local:Command", "parent": parent, "provider": f"{_PROVIDER}::{_ID}",
            "inputs": inputs, "outputs": {**inputs, "stdout": record, "stderr": ""},
        },
    ]  # fmt: skip


def commands(held: HeldProject) -> dict[str, dict[str, Any]]:
    """The commands that state holds, by build."""
    resources = json.loads(held.pulumi("stack", "export"))["deployment"]["resources"]
    found = [each for each in resources if each["type"] == "command:local:Command"]
    return {json.loads(each["inputs"]["stdin"])["build"]: each for each in found}


def keep(held: HeldProject, *builds: str, **rest: Any) -> None:
    """A profile of these builds, whose version is past its end: what is there stays, nothing is built."""
    core = held.project.folder / "profiles" / "version" / "3.23.yaml"
    core.write_text(f"base: base/1\nrelease: 3.23.6\nend_of_life: {PAST}\n", encoding="utf-8")
    held.site.releases(branch("3.23", "3.23.6", eol_date=PAST))
    held.site.latest("3.23", listing("3.23.6"))
    held.write_profile(*builds, **rest)


def there(held: HeldProject, omi: str) -> dict[str, Any] | None:
    """The image of this id, in whichever account it is."""
    return held.image(omi) or held.image(omi, FURTHER)


def is_public(held: HeldProject, omi: str) -> bool:
    image = there(held, omi)
    assert image is not None
    return bool(image["PermissionsToLaunch"]["GlobalPermission"])


def test_state_that_was_imported_stays_as_it_is(held: HeldProject, omis: dict[str, str]) -> None:
    before = {name: each["inputs"] for name, each in commands(held).items()}
    keep(held, *omis)
    shown = held.pulumi("up", "--yes", "--skip-preview")
    assert "deleted" not in shown
    assert "updated" not in shown
    assert {name: each["inputs"] for name, each in commands(held).items()} == before
    assert all(there(held, omi) is not None for omi in omis.values())


def test_it_is_updated_by_its_own_words(held: HeldProject, omis: dict[str, str]) -> None:
    before = {name: each["outputs"]["stdout"] for name, each in commands(held).items()}
    keep(held, *omis, access={"public": True})
    held.pulumi("up", "--yes", "--skip-preview")
    assert {name for name, omi in omis.items() if not is_public(held, omi)} == {ADOPTED}
    after = {name: each["outputs"]["stdout"] for name, each in commands(held).items()}
    assert {name: json.loads(line) for name, line in after.items()} == {
        name: json.loads(line) for name, line in before.items()
    }


def test_it_is_pruned_after_the_checkout_moved_and_its_environment_was_made_anew(
    held: HeldProject, omis: dict[str, str]
) -> None:
    moved = held.project.folder.rename(held.project.folder.with_name("elsewhere"))
    held.project.folder = moved
    _new_environment(moved)
    left, *going = sorted(set(omis) - {ADOPTED})
    keep(held, left)
    at_once = {"shared": {"deprecated_days": 0, "private_days": 0}}
    held.project.configure("retention", {"allow_mass_prune": ["all"], "stages": at_once})
    snapshots = {name: json.loads(commands(held)[name]["outputs"]["stdout"])["snapshots"] for name in going}
    held.pulumi("up", "--yes", "--skip-preview")
    assert set(commands(held)) == {left}
    assert {name for name, omi in omis.items() if there(held, omi) is not None} == {left, ADOPTED}
    wanted = [each for name in going for each in snapshots[name]]
    for profile in PROFILES.values():
        found = held.sandbox.oapi(profile).call("ReadSnapshots", Filters={"SnapshotIds": wanted})
        assert found["Snapshots"] == []


def _new_environment(folder: Path) -> None:
    """A virtual environment at another path that finds what the old one has, as one that was installed anew would."""
    old = (folder / ".venv").resolve()
    (folder / ".venv").unlink()
    new = folder.with_name("venv-2")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", new], check=True, timeout=60)
    (library,) = new.glob("lib/python3*/site-packages")
    (packages,) = old.glob("lib/python3*/site-packages")
    (library / "old.pth").write_text(f"{packages}\n", encoding="utf-8")
    (new / "toolchain").symlink_to((old / "toolchain").resolve())
    (folder / ".venv").symlink_to(new)


def test_a_build_that_is_renamed_does_not_keep_its_images_from_being_pruned(
    held: HeldProject, omis: dict[str, str]
) -> None:
    (left,) = commands(held)
    held.write_profile()
    profile = {"builds": {"renamed": {"version": "3.23", "arch": "x86_64", "prefix": f"{left}-"}}}
    (held.project.folder / "profiles" / "alpine.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    held.pulumi("up", "--yes", "--skip-preview")
    assert commands(held) == {}
    assert there(held, omis[left]) is None
    assert there(held, omis[ADOPTED]) is not None
