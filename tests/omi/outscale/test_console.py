"""A VM that never begins to boot ends the wait for it early, in the build and in the verify; one that boots doesn't."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from omi.build.job import Job
from omi.build.lifecycle import Lifecycle
from omi.build.packer.inputs import RunFolder
from omi.build.packer.maker import PackerMaker
from omi.outscale.client import Cloud
from omi.outscale.console import EmptyConsole
from omi.outscale.entry import open_group
from omi.outscale.images import find_own
from omi.outscale.shapes import Omi
from omi.state.identity import Identity
from omi.state.image import BuildVm, ImageSpec, Limits
from omi.support.errors import BuildError, VerifyError
from omi.support.narration import Narrator
from omi.verify.boot import Verification
from tests.omi.conftest import Account, FakePacker
from tests.sandbox.client import launch, wait_for

SAID = (
    r"nothing came to the console of i-[0-9a-f]{8} within 1 s \(cloud\.limits\.console\), so it does not boot; "
    r".*start --accelerator tcg"
)


@pytest.fixture
def hasty(account: Account) -> Account:
    """The account with a limit that passes within the test."""
    access = account.access.model_copy(update={"limits": Limits(console=1)})
    return replace(account, access=access, cloud=Cloud.connect(access))


def build(account: Account, packer: FakePacker, folder: Path, timeout: int) -> None:
    spec = account.spec(vm=BuildVm(ssh_port=2222, timeout=timeout))
    run = RunFolder(folder / "run")
    run.path.mkdir()
    with (folder / "said").open("w") as said:
        narrator = Narrator(said, run.build_log)
        job = Job(Identity(spec), account.cloud, run, narrator, threading.Event(), packer.environ)
        Lifecycle(job, PackerMaker(job, grace=1)).run()


def test_a_build_vm_whose_console_stays_empty_ends_the_build(
    hasty: Account, packer: FakePacker, tmp_path: Path
) -> None:
    hasty.sandbox.machines.boot_text = b""
    packer.behave("hang")
    with pytest.raises(BuildError, match=SAID):
        build(hasty, packer, tmp_path, timeout=60)
    assert hasty.left() == {}


def test_one_that_is_only_slow_is_waited_for(hasty: Account, packer: FakePacker, tmp_path: Path) -> None:
    packer.behave("hang")
    with pytest.raises(BuildError, match=r"Packer took longer than 4 s \(vm\.timeout\)"):
        build(hasty, packer, tmp_path, timeout=4)


def test_a_build_vm_that_powers_itself_off_is_not_waited_for(
    account: Account, packer: FakePacker, tmp_path: Path
) -> None:
    packer.behave("hang")
    machines = account.sandbox.machines

    def end_it() -> None:
        (vm,) = wait_for(lambda: list(machines.vms), bool)
        machines.power_off(vm)

    threading.Thread(target=end_it, daemon=True).start()
    with pytest.raises(BuildError, match=r"the build VM i-[0-9a-f]{8} is stopped"):
        build(account, packer, tmp_path, timeout=60)


def verify(account: Account, spec: ImageSpec, folder: Path) -> None:
    account.register(spec.name)
    identity = Identity(spec)
    omi = find_own(account.cloud, spec.name)
    assert isinstance(omi, Omi)
    group = open_group(account.cloud, identity.group, spec.vm.ssh_port, "127.0.0.1/32")
    Verification(
        cloud=account.cloud, identity=identity, group_id=group, finished=None, folder=folder,
        narrator=Narrator(io.StringIO(), folder / "build.log"), stop=threading.Event(), tests={},
    ).run(omi)  # fmt: skip


def test_a_verify_vm_whose_console_stays_empty_ends_the_verify(hasty: Account, tmp_path: Path) -> None:
    hasty.sandbox.machines.boot_text = b""
    hasty.sandbox.control("POST", "faults", [{"resource": "ssh", "state": "closed"}])
    with pytest.raises(VerifyError, match=SAID):
        verify(hasty, hasty.spec(), tmp_path)
    assert "vm" not in hasty.left()


def test_one_with_a_console_has_its_whole_limit(hasty: Account, tmp_path: Path) -> None:
    hasty.sandbox.control("POST", "faults", [{"resource": "ssh", "state": "closed"}])
    with pytest.raises(VerifyError, match=r"no SSH at .* within 4 s \(vm\.verify_timeout\)"):
        verify(hasty, hasty.spec(vm=BuildVm(ssh_port=2222, verify_timeout=4)), tmp_path)


def test_a_console_that_cannot_be_read_proves_nothing(account: Account) -> None:
    access = account.access.model_copy(update={"limits": Limits.model_construct(console=0, connect=10, answer=60)})
    account.sandbox.machines.boot_text = b""
    vm = launch(account.sandbox.oapi())
    cloud = Cloud.connect(access)
    assert EmptyConsole(cloud, vm).reason()
    assert EmptyConsole(cloud, "i-00000000").reason() is None
