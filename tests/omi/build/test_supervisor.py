"""The front is what Pulumi starts and, on cancel, kills by SIGKILL."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from omi.build.job import PROJECT
from omi.build.packer.inputs import RunFolder
from omi.state.identity import Identity
from omi.state.image import ImageRecord, ImageSpec
from omi.state.owner import VERIFIED
from tests.omi.conftest import Account, FakePacker

pytestmark = pytest.mark.slow

LIMIT = 90.0


def start_front(account: Account, packer: FakePacker) -> subprocess.Popen[str]:
    return start(account, packer, [sys.executable, "-m", "omi.commands", "build"])


def start(
    account: Account, packer: FakePacker, command: list[str], spec: ImageSpec | None = None
) -> subprocess.Popen[str]:
    spec = spec or account.spec(name="alpine-0.0.0-x86_64-r0")
    process = subprocess.Popen(
        command,
        cwd=PROJECT,
        env=packer.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    process.stdin.write(spec.to_json())
    process.stdin.close()
    process.stdin = None
    return process


def wait_for(done: Callable[[], bool]) -> bool:
    end = time.monotonic() + LIMIT
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def test_the_record_is_printed_once_and_the_releases_files_have_it(
    account: Account, packer: FakePacker, tmp_path: Path
) -> None:
    spec = account.spec(name="alpine-0.0.0-x86_64-r0", releases_dir=str(tmp_path))
    omi = account.register(spec.name, Identity(spec).description, {**Identity(spec).tags, VERIFIED: "yes"})
    front = start(account, packer, [sys.executable, "-m", "omi.commands", "build"], spec)
    output, _ = front.communicate(timeout=LIMIT)
    assert front.returncode == 0
    (line,) = output.splitlines()
    record = ImageRecord.from_json(line, "output")
    assert (record.omi, record.verified) == (omi, True)
    assert omi in (tmp_path / f"{spec.profile}.yaml").read_text()
    shutil.rmtree(RunFolder(PROJECT / "build" / "test" / spec.name).path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_the_front_ends_everything_cleanly(
    account: Account, packer: FakePacker, number: signal.Signals
) -> None:
    packer.behave("hang")
    front = start_front(account, packer)
    assert wait_for(lambda: "vm" in account.left()), "Packer did not start"
    assert {"vm", "volume", "keypair", "security-group"} == set(account.left())
    front.send_signal(number)
    # standard error is shared with the supervisor: it ends when the supervisor has ended
    output, errors = front.communicate(timeout=LIMIT)
    assert account.left() == {}
    assert output == ""
    assert "error: alpine-0.0.0-x86_64-r0: interrupted; what it had made is removed" in errors
    assert "Traceback" not in errors
    assert front.returncode in {-signal.SIGKILL, 6}
    folder = RunFolder(PROJECT / "build" / "test" / "alpine-0.0.0-x86_64-r0").path
    assert not list(folder.glob("alpine-omi-*")), "a private key was left"
    shutil.rmtree(folder)


def test_the_end_of_whoever_started_the_front_ends_everything_too(account: Account, packer: FakePacker) -> None:
    packer.behave("hang")
    # a shell that stays, as the plugin does; the front is its child and gets the shell's standard input
    plugin = start(account, packer, ["/bin/sh", "-c", '"$0" -m omi.commands build; :', sys.executable])
    assert wait_for(lambda: "vm" in account.left()), "Packer did not start"
    plugin.kill()
    _, errors = plugin.communicate(timeout=LIMIT)
    assert account.left() == {}
    assert "interrupted; what it had made is removed" in errors
    shutil.rmtree(RunFolder(PROJECT / "build" / "test" / "alpine-0.0.0-x86_64-r0").path)


def test_what_a_killed_supervisor_made_is_removed_by_the_front(account: Account, packer: FakePacker) -> None:
    packer.behave("hang")
    front = start_front(account, packer)
    assert wait_for(lambda: "vm" in account.left()), "Packer did not start"
    (supervisor,) = Path(f"/proc/{front.pid}/task/{front.pid}/children").read_text(encoding="ascii").split()
    os.kill(int(supervisor), signal.SIGKILL)
    output, errors = front.communicate(timeout=LIMIT)
    assert account.left() == {}
    assert output == ""
    assert "supervisor was ended by SIGKILL; what it left was swept; run again" in errors
    assert "Traceback" not in errors
    folder = RunFolder(PROJECT / "build" / "test" / "alpine-0.0.0-x86_64-r0").path
    assert not list(folder.glob("alpine-omi-*")), "a private key was left"
    shutil.rmtree(folder)
