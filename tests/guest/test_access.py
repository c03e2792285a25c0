"""Who gets into an image by SSH: its own sshd in its own root, tried as the verify tries it from outside."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from omi.verify.ssh import Door, wait_for_banner
from sandbox.config import default_cache
from sandbox.mirror import ensure
from tests.guest.test_build import build, loop_device
from tests.guest.test_firmware import entered, run
from tests.sandbox.ports import free_base_port

pytestmark = pytest.mark.slow

LIMIT = 30


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A built image's root with a host key, and a private key that both root and the user have been given."""
    folder = tmp_path_factory.mktemp("access")
    key = folder / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    with loop_device(folder / "disk") as device:
        done = build(folder, device, ensure(default_cache()))
        assert done.returncode == 0, done.stdout + done.stderr
        with entered(device, folder / "root") as root:
            run("chroot", root, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/ssh_host_ed25519_key")
            for user, home in (("root", "/root"), ("alpine", "/home/alpine")):
                run("chroot", root, "install", "-d", "-m", "700", "-o", user, f"{home}/.ssh")
                (root / f"{home[1:]}/.ssh/authorized_keys").write_text(Path(f"{key}.pub").read_text())
                run("chroot", root, "chown", user, f"{home}/.ssh/authorized_keys")
            (root / "run/sshd").mkdir(mode=0o755)
            yield root, key


@contextmanager
def door(image: tuple[Path, Path], user: str, *options: str) -> Iterator[Door]:
    """The image's sshd with its own settings, but for the options; ended at the end."""
    root, key = image
    port = free_base_port()
    command: list[str] = ["chroot", str(root), "/usr/sbin/sshd", "-D", "-o", "ListenAddress=127.0.0.1", "-p", str(port)]
    for option in options:
        command += ["-o", option]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_for_banner("127.0.0.1", port, LIMIT)
        yield Door("127.0.0.1", port, user, key)
    finally:
        server.terminate()
        server.wait(LIMIT)


def test_only_the_user_gets_in_and_by_the_key_alone(image: tuple[Path, Path]) -> None:
    with door(image, "alpine") as alpine:
        assert alpine.run("id -un", LIMIT).output == "alpine\n"
        assert alpine.refusal("alpine", LIMIT, "-o", "PubkeyAuthentication=no") == "publickey"
        assert alpine.refusal("root", LIMIT) == "publickey", "though root has the key, too"


def test_an_image_that_lets_root_in_is_noticed(image: tuple[Path, Path]) -> None:
    with door(image, "alpine", "PermitRootLogin=yes") as alpine:
        assert alpine.refusal("root", LIMIT) is None


def test_an_image_that_asks_for_passwords_is_noticed(image: tuple[Path, Path]) -> None:
    with door(image, "alpine", "PasswordAuthentication=yes") as alpine:
        assert alpine.refusal("alpine", LIMIT, "-o", "PubkeyAuthentication=no") == "publickey,password"


def test_an_image_with_an_empty_password_is_noticed(image: tuple[Path, Path]) -> None:
    shadow = image[0] / "etc/shadow"
    before = shadow.read_text()
    shadow.write_text(before.replace("alpine:*:", "alpine::"))
    try:
        with door(image, "alpine", "PasswordAuthentication=yes", "PermitEmptyPasswords=yes") as alpine:
            assert alpine.refusal("alpine", LIMIT, "-o", "PubkeyAuthentication=no") is None
    finally:
        shadow.write_text(before)
