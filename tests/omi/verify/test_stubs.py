"""The real verify against the sandbox's stub VMs: good enough to be let through, and never taken for real ones.

Where these fail because the guest's scripts or the probes have changed, record the stubs' answers anew: build the
profile `alpine` with real VMs, then `python -m sandbox.machines.stub.record build/<stack>/<image>`.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from omi.build.guest_data import env_text, guest_values
from omi.build.job import Job
from omi.build.origin import Origin
from omi.build.packer.inputs import RunFolder
from omi.build.taking_over import TakingOver
from omi.outscale.client import Cloud
from omi.outscale.entry import open_group
from omi.outscale.images import find_own
from omi.outscale.shapes import Omi
from omi.profile.discover import expand_discovered
from omi.profile.load import load_profile
from omi.state.identity import Identity
from omi.state.image import BuildVm, ImageSpec, TakeOver
from omi.support.errors import VerifyError
from omi.support.narration import Narrator
from omi.verify.adopted import AdoptionCheck
from omi.verify.boot import Guest, Verification
from omi.verify.facts import Facts
from sandbox.config import STUB_MACHINES, STUB_SOURCE, SandboxTiming
from tests.omi.outscale.conftest import access_of
from tests.omi.specs import make_spec
from tests.sandbox.client import Sandbox, empty_volume, register, settings_for, snapshot

TOP = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    settings = settings_for(tmp_path_factory.mktemp("stubs"))
    stubs = replace(settings, machines=STUB_MACHINES, source=STUB_SOURCE, timing=SandboxTiming.uniform(0.0))
    made = Sandbox(stubs)
    yield made
    made.close()


def spec_for(sandbox: Sandbox, name: str, *, accept_stubs: bool) -> ImageSpec:
    """An image of the profile that the answers were recorded of."""
    build = expand_discovered(load_profile("alpine", TOP / "profiles"), ["3.23"]).builds[-1]
    return make_spec(
        name=name,
        build=build,
        cloud=access_of(sandbox, "main"),
        vm=BuildVm(ssh_port=2222, verify_timeout=60, accept_stubs=accept_stubs),
    )


def stub_omi(sandbox: Sandbox, spec: ImageSpec) -> str:
    """An OMI as a stub build VM would leave it."""
    oapi = sandbox.oapi()
    volume = empty_volume(oapi)
    written = env_text(guest_values(spec, Origin(commit="unknown", tools={})))
    (sandbox.settings.home / "volumes" / f"{volume}.json").write_text(json.dumps({"settings": written}))
    return register(oapi, spec.name, snapshot(oapi, volume))


def verify(spec: ImageSpec, folder: Path, said: io.StringIO) -> None:
    """The check that ends every build."""
    cloud, identity = Cloud.connect(spec.cloud), Identity(spec)
    group = open_group(cloud, f"{identity.group}-{spec.name}", spec.vm.ssh_port, "127.0.0.1/32")
    omi = find_own(cloud, spec.name)
    assert isinstance(omi, Omi)
    Verification(
        cloud=cloud, identity=identity, group_id=group, finished=None, folder=folder,
        narrator=Narrator(said, folder / "build.log"), stop=threading.Event(), tests={},
    ).run(omi)  # fmt: skip


def test_a_stub_passes_every_check_where_the_stack_takes_stubs(sandbox: Sandbox, tmp_path: Path) -> None:
    spec = spec_for(sandbox, "taken", accept_stubs=True)
    stub_omi(sandbox, spec)
    said = io.StringIO()
    verify(spec, tmp_path, said)
    assert "a stub VM: nothing of the image itself is checked (vm.accept_stubs)" in said.getvalue()


def test_a_folder_whose_name_ssh_would_change_does_no_harm(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "my images" / "100%20"
    folder.mkdir(parents=True)
    spec = spec_for(sandbox, "odd", accept_stubs=True)
    stub_omi(sandbox, spec)
    verify(spec, folder, io.StringIO())
    assert (folder / "known_hosts").exists()


def test_a_stub_is_never_taken_for_a_real_vm(sandbox: Sandbox, tmp_path: Path) -> None:
    spec = spec_for(sandbox, "refused", accept_stubs=False)
    stub_omi(sandbox, spec)
    with pytest.raises(VerifyError, match="the VM is one of the sandbox's stubs, which run no image"):
        verify(spec, tmp_path, io.StringIO())


def test_no_stack_of_the_project_takes_stubs() -> None:
    stacks = {path.name: yaml.safe_load(path.read_text())["config"] for path in (TOP / "stacks").glob("*.yaml")}
    assert {"Pulumi.alpine.yaml", "Pulumi.sandbox.yaml"} <= set(stacks)
    assert not [name for name, config in stacks.items() if config.get("alpine-omi:vm", {}).get("accept_stubs")]


@pytest.mark.parametrize("login", ["alpine", "nobody-here"])
def test_an_old_image_is_taken_over_once_it_has_booted_and_let_its_user_in(
    sandbox: Sandbox, tmp_path: Path, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omi.verify.boot._LOGIN_PAUSE", 0.5)
    spec = spec_for(sandbox, f"old-{login}", accept_stubs=True)
    omi, oapi, said = stub_omi(sandbox, spec), sandbox.oapi(), io.StringIO()
    (was,) = oapi.call("ReadImages", Filters={"ImageIds": [omi]})["Images"]
    wanted = TakeOver(omi=omi, login=login, vm=spec.vm)
    spec = spec.model_copy(update={"recipe": None, "take_over": wanted})
    access = spec.cloud.model_copy(update={"limits": spec.cloud.limits.model_copy(update={"settle": 1})})
    folder, cloud = RunFolder(tmp_path), Cloud.connect(access)
    job = Job(Identity(spec), cloud, folder, Narrator(said, folder.build_log), threading.Event(), {})
    if login == "alpine":
        record = TakingOver(job, wanted).run()
        assert (record.verified, record.adopted, bool(record.installed)) == (True, False, True)
        assert "a stub VM: nothing of the image itself is checked (vm.accept_stubs)" in said.getvalue()
    else:
        told = "failed its check: nobody-here cannot log in by the key .*; it is left as it is, and not taken over"
        with pytest.raises(VerifyError, match=told):
            TakingOver(job, wanted).run()
        assert oapi.call("ReadImages", Filters={"ImageIds": [omi]})["Images"] == [was]
    left = sandbox.control("GET", "inventory")["main"]["resources"]
    assert not [each for each in left["vm"] if each["state"] not in ("shutting-down", "terminated")]
    names = [each["name"] for kind in ("keypair", "security-group") for each in left[kind]]
    assert not [name for name in names if job.identity.build_id in name]


@pytest.mark.parametrize(
    ("release", "said", "failed"),
    [
        ("3.12.3", "3.12.3", []),
        ("3.12.3", "3.12.1", ["/etc/alpine-release says '3.12.1' instead of '3.12.3'"]),
        ("3.12.3", "", ["/etc/alpine-release says '' instead of '3.12.3'"]),
        ("edge-20210901", "3.15.0_alpha20210804", []),
        ("edge-20210901", "", ["/etc/alpine-release says '' instead of 'edge-20210901'"]),
    ],
)
def test_the_check_of_an_adoption_knows_the_release(
    release: str, said: str, failed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is expected of it, since how it was made isn't known."""
    facts = Facts.parse(f"release={said}\nuser=ec2-user\n")
    monkeypatch.setattr(AdoptionCheck, "probe", lambda self, door, script: facts)
    nothing: Any = None
    check = AdoptionCheck(
        cloud=nothing, identity=Identity(make_spec(release=release)), group_id="", folder=Path(), narrator=nothing,
        stop=nothing, login="alpine",
    )  # fmt: skip
    guest = Guest(nothing, nothing, 1.0, is_stub=False, boot_mode=None)
    assert check.examine(guest) == (facts, failed)
