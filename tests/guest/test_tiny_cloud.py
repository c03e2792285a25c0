"""tiny-cloud with our provider, set up by the guest's own step and run in a root of the fixture mirror."""

from __future__ import annotations

import gzip
import os
import re
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.config import default_cache
from sandbox.machines.metadata import MetadataService, Trouble
from sandbox.machines.protocol import Metadata
from sandbox.mirror import ensure
from tests.guest.shell import GUEST, run_functions

pytestmark = pytest.mark.slow

KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbcdefghijklmnopqrstuvwxyz0123456789ABCDEF me@home\n"
NAME = b"ip-10-0-0-5.eu-west-2.compute.internal"
PACKAGES = ("alpine-base", "openssh-server", "tiny-cloud")
NO_INSTANCE = ("meta-data/instance-id", "meta-data/public-keys/0/openssh-key", "user-data")
# as OpenRC does it, in the order of the services' dependencies
BOOT = """
set -u
eerror() { echo "$@"; }
tiny-cloud boot
( . /etc/conf.d/tiny-cloud-early && start_pre ) && tiny-cloud early
tiny-cloud main
tiny-cloud final
"""


@pytest.fixture(scope="module")
def alpine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with tiny-cloud, and in the place of what changes disks something that only notes what it was told."""
    if os.geteuid() != 0:
        pytest.skip("a chroot needs root")
    mirror, folder = ensure(default_cache()), tmp_path_factory.mktemp("alpine")
    (package,) = (mirror / "alpine/v3.23/main/x86_64").glob("apk-tools-static-*.apk")
    with tarfile.open(package) as archive:
        archive.extract("sbin/apk.static", folder, filter="data")
    root = folder / "root"
    root.mkdir()
    command = [str(folder / "sbin/apk.static"), "add", "--root", str(root), "--initdb", "--keys-dir"]
    command += [str(mirror / "keys"), "--arch", "x86_64", "--no-cache", "--no-progress", "--repositories-file"]
    command += ["/dev/null", "--repository", str(mirror / "alpine/v3.23/main"), *PACKAGES]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    for program in ("usr/sbin/resize2fs", "sbin/sfdisk", "usr/sbin/sfdisk", "usr/sbin/partx", "sbin/resize2fs"):
        (root / program).unlink(missing_ok=True)
    (root / "usr/sbin/resize2fs").write_text('#!/bin/sh\necho "$@" >> /resized\n')
    (root / "usr/sbin/resize2fs").chmod(0o755)
    return root


class Instance:
    """An image's root, the metadata that its next boot is told, and that boot."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.metadata = {
            "meta-data/instance-id": b"i-00000001",
            "meta-data/local-hostname": NAME,
            "meta-data/public-keys/0/openssh-key": KEY,
        }

    def set_up(self, **values: str) -> None:
        """What the guest's step does, and the user as the step before it does."""
        for level in ("boot", "default"):
            (self.root / "etc/runlevels" / level).mkdir(parents=True, exist_ok=True)
        settings = {"ROOT": str(self.root), "USER_NAME": "alpine", "BOOTSTRAP": "tiny-cloud", **values}
        settings = {"METADATA_URL": "http://127.0.0.1:9/latest", **settings}
        add_user = "run in_root adduser -D alpine; run in_root addgroup alpine wheel"
        done = run_functions(f"{add_user}; set_up_bootstrap", self.folder, **settings)
        assert done.returncode == 0, done.stdout + done.stderr

    def boot(self, trouble: Trouble | None = None, patience: int = 20) -> str:
        """Run what OpenRC would; returns what was said."""
        service = MetadataService(Metadata(dict(self.metadata)), trouble)
        conf = self.root / "etc/tiny-cloud.conf"
        lines = [line for line in conf.read_text().splitlines() if not line.startswith("OUTSCALE_")]
        address = f"http://127.0.0.1:{service.port}/latest"
        conf.write_text("\n".join([*lines, f"OUTSCALE_METADATA={address}", f"OUTSCALE_SECONDS={patience}", ""]))
        try:
            return self.run(BOOT)
        finally:
            service.close()

    def run(self, script: str) -> str:
        """Run a script in the root, with namespaces of its own and an empty /run."""
        root = shlex.quote(str(self.root))
        outer = f"""
            mount --bind {root} {root} && mount -t tmpfs tmpfs {root}/run && mount -t proc proc {root}/proc &&
            mount --bind /dev {root}/dev && exec chroot {root} /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
                sh -c {shlex.quote(script)}
        """
        done = subprocess.run(
            ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", outer],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    def text(self, path: str) -> str:
        """A file's text, empty if it is absent."""
        place = self.root / path
        return place.read_text() if place.exists() else ""

    def complete(self) -> bool:
        """Whether tiny-cloud says that it is done."""
        return self.run("tiny-cloud --bootstrap status").strip() == "complete"


@pytest.fixture
def instance(alpine: Path, tmp_path: Path) -> Iterator[Instance]:
    root = tmp_path / "root"
    subprocess.run(["cp", "-a", str(alpine), str(root)], check=True, timeout=60)
    instance = Instance(root, tmp_path)
    instance.set_up()
    yield instance
    shutil.rmtree(root)


def script(text: str) -> bytes:
    return f"#!/bin/sh\n{text}\n".encode()


def test_the_step_leaves_an_image_that_sets_up_its_instance(instance: Instance) -> None:
    links = sorted(path.name for path in (instance.root / "etc/runlevels").glob("*/*") if "tiny" in path.name)
    assert links == ["tiny-cloud-boot", "tiny-cloud-early", "tiny-cloud-final", "tiny-cloud-main"]
    assert not instance.complete()
    assert not list((instance.root / "etc/ssh").glob("ssh_host_*"))
    assert "CLOUD=outscale\nCLOUD_USER=alpine\n" in instance.text("etc/tiny-cloud.conf")


def test_a_new_instance_gets_key_name_user_data_size_and_host_key(instance: Instance) -> None:
    instance.metadata["user-data"] = script("echo said; echo ran >> /ran; hostname > /name")
    said = instance.boot()
    assert instance.complete(), said
    assert "expand_root: done" in said
    assert "skipped" not in said, "tiny-cloud would start five processes to say so"
    home = instance.root / "home/alpine"
    assert (home / ".ssh/authorized_keys").read_bytes() == KEY
    assert {path.stat().st_uid for path in (home / ".ssh", home / ".ssh/authorized_keys")} == {home.stat().st_uid}
    assert [path.stat().st_mode & 0o777 for path in (home / ".ssh", home / ".ssh/authorized_keys")] == [0o700, 0o600]
    assert instance.text("etc/hostname") == instance.text("name") == "ip-10-0-0-5\n"
    assert [path.name for path in (instance.root / "etc/ssh").glob("ssh_host_*_key")] == ["ssh_host_ed25519_key"], said
    assert (instance.root / "etc/ssh/ssh_host_ed25519_key").stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"/dev/\S+\n|", instance.text("resized"))
    assert (instance.text("ran"), instance.text("var/log/user-data.log")) == ("ran\n", "said\n")
    assert instance.text("var/lib/cloud/instance-id") == "i-00000001\n"


def test_it_is_set_up_once(instance: Instance) -> None:
    instance.metadata["user-data"] = script("echo ran >> /ran")
    instance.boot()
    host_key = instance.text("etc/ssh/ssh_host_ed25519_key")
    (instance.root / "etc/hostname").write_text("mine\n")
    (instance.root / "home/alpine/.ssh/authorized_keys").write_text("my own\n")
    instance.boot()
    assert instance.text("ran") == "ran\n"
    assert instance.text("etc/hostname") == "mine\n"
    assert instance.text("home/alpine/.ssh/authorized_keys") == "my own\n"
    assert instance.text("etc/ssh/ssh_host_ed25519_key") == host_key


def test_an_image_of_an_instance_becomes_another(instance: Instance) -> None:
    instance.metadata["user-data"] = script("echo first >> /ran")
    instance.boot()
    host_key, resized = instance.text("etc/ssh/ssh_host_ed25519_key.pub"), instance.text("resized")
    other = KEY.replace(b"me@home", b"you@work")
    instance.metadata |= {
        "meta-data/instance-id": b"i-00000002",
        "meta-data/local-hostname": b"ip-10-0-0-6",
        "meta-data/public-keys/0/openssh-key": other,
        "user-data": script("echo second >> /ran"),
    }
    said = instance.boot()
    assert instance.complete(), said
    assert instance.text("ran") == "first\nsecond\n"
    assert instance.text("etc/hostname") == "ip-10-0-0-6\n"
    assert instance.text("home/alpine/.ssh/authorized_keys") == other.decode()
    assert instance.text("etc/ssh/ssh_host_ed25519_key.pub") not in ("", host_key)
    assert instance.text("resized") == resized * 2
    assert instance.text("var/lib/cloud/instance-id") == "i-00000002\n"


def test_a_late_service_is_waited_for(instance: Instance) -> None:
    instance.boot(Trouble(silent_s=3))
    assert instance.complete()
    assert instance.text("home/alpine/.ssh/authorized_keys") == KEY.decode()


def test_a_silent_service_leaves_it_for_the_next_boot(instance: Instance) -> None:
    instance.metadata["user-data"] = script("echo ran >> /ran")
    said = instance.boot(Trouble(silent_s=60), patience=1)
    assert "the metadata service did not tell meta-data/instance-id" in said
    assert not instance.complete()
    assert instance.text("ran") == ""
    assert "PRIVATE KEY" in instance.text("etc/ssh/ssh_host_ed25519_key")
    instance.boot()
    assert instance.complete()
    assert (instance.text("ran"), instance.text("etc/hostname")) == ("ran\n", "ip-10-0-0-5\n")


def test_a_boot_without_network_leaves_it_for_the_next(instance: Instance) -> None:
    """OpenRC starts neither of the services that need the network, but the last one all the same."""
    instance.metadata["user-data"] = script("echo ran >> /ran")
    instance.run("tiny-cloud boot; tiny-cloud final")
    assert not instance.complete()
    instance.boot()
    assert instance.complete()
    assert (instance.text("ran"), instance.text("home/alpine/.ssh/authorized_keys")) == ("ran\n", KEY.decode())


@pytest.mark.parametrize(
    "trouble",
    [{"meta-data/public-keys/0/openssh-key": b"<html>please log in</html>"}, dict.fromkeys(NO_INSTANCE)],
    ids=["a page instead of the key", "nothing there yet"],
)
def test_an_answer_that_is_none_leaves_it_for_the_next_boot(
    instance: Instance, trouble: dict[str, bytes | None]
) -> None:
    instance.metadata["user-data"] = script("echo ran >> /ran")
    right = dict(instance.metadata)
    instance.metadata = {name: value for name, value in (right | trouble).items() if value is not None}
    said = instance.boot(patience=1)
    assert not instance.complete(), said
    instance.metadata = right
    instance.boot()
    assert instance.complete()
    assert (instance.text("ran"), instance.text("home/alpine/.ssh/authorized_keys")) == ("ran\n", KEY.decode())


def test_a_set_up_that_is_cut_off_is_completed_and_its_user_data_not_repeated(instance: Instance) -> None:
    # as at a power cut: tiny-cloud itself, which runs the script by a shell between
    instance.metadata["user-data"] = script("echo ran >> /ran; kill -9 $(cut -d' ' -f4 /proc/$PPID/stat) $PPID")
    instance.boot()
    assert not instance.complete()
    said = instance.boot()
    assert "user data began at an earlier boot, which ended before it; it is not run again" in said
    assert instance.complete()
    assert instance.text("ran") == "ran\n"
    assert instance.text("home/alpine/.ssh/authorized_keys") == KEY.decode()


def test_a_set_up_that_is_asked_for_anew_runs_user_data_anew(instance: Instance) -> None:
    instance.metadata["user-data"] = script("echo ran >> /ran")
    instance.boot()
    instance.run("tiny-cloud --bootstrap incomplete")
    instance.boot()
    assert instance.complete()
    assert instance.text("ran") == "ran\nran\n"


def test_user_data_may_name_the_user(instance: Instance) -> None:
    instance.metadata["user-data"] = b"#alpine-config\nuser:\n  name: bob\n"
    instance.boot()
    assert instance.complete()
    assert instance.text("home/bob/.ssh/authorized_keys") == KEY.decode()


def test_what_is_not_there_is_done_without(instance: Instance) -> None:
    for name in ("local-hostname", "public-keys/0/openssh-key"):
        del instance.metadata[f"meta-data/{name}"]
    before = instance.text("etc/hostname")
    said = instance.boot()
    assert instance.complete(), said
    assert instance.text("etc/hostname") == before
    assert instance.text("home/alpine/.ssh/authorized_keys") == ""


@pytest.mark.parametrize(
    "name", [b"../../etc/x", b"-F", b"a b", b"$(touch /owned)", b".x", b"a\nb", b"x" * 64, b"<html>", b""], ids=str
)
def test_a_host_name_that_is_none_is_not_taken(instance: Instance, name: bytes) -> None:
    instance.metadata["meta-data/local-hostname"] = name
    before = instance.text("etc/hostname"), instance.text("etc/hosts")
    instance.boot()
    assert instance.complete()
    assert (instance.text("etc/hostname"), instance.text("etc/hosts")) == before
    assert not (instance.root / "owned").exists()


def test_only_keys_go_into_authorized_keys(instance: Instance) -> None:
    hostile = (
        b'<html>\ncommand="reboot" ' + KEY + b"# note\nssh-ed25519 not/base64!\n\r\n" + KEY.replace(b"\n", b"\r\n")
    )
    instance.metadata["meta-data/public-keys/0/openssh-key"] = hostile
    instance.boot()
    assert instance.text("home/alpine/.ssh/authorized_keys") == KEY.decode()


def test_an_instance_id_that_is_none_is_not_remembered(instance: Instance) -> None:
    instance.metadata["meta-data/instance-id"] = b"../../x\ni-1"
    instance.boot()
    assert instance.text("var/lib/cloud/instance-id") == ""
    assert "PRIVATE KEY" in instance.text("etc/ssh/ssh_host_ed25519_key")


SECTION = b"-----BEGIN OUTSCALE SECTION-----\nfilter_private_section=true\n-----END OUTSCALE SECTION-----\n\n"
CONFIG = b"""#alpine-config
write_files:
  - path: /etc/written
    permissions: '0600'
    content: |
      by user data
runcmd:
  - echo ran >> /ran
"""


@pytest.mark.parametrize(
    "user_data",
    [
        pytest.param(SECTION + script("echo ran >> /ran"), id="script after OUTSCALE's own section"),
        pytest.param(gzip.compress(script("echo ran >> /ran")), id="compressed script"),
        pytest.param(CONFIG, id="alpine-config"),
        pytest.param(SECTION + CONFIG, id="alpine-config after OUTSCALE's own section"),
    ],
)
def test_user_data_is_done(instance: Instance, user_data: bytes) -> None:
    instance.metadata["user-data"] = user_data
    said = instance.boot()
    assert instance.complete(), said
    assert instance.text("ran") == "ran\n"
    if b"written" in user_data:
        assert instance.text("etc/written") == "by user data\n"
        assert (instance.root / "etc/written").stat().st_mode & 0o777 == 0o600


FAILING = {
    "a package that can't be installed": "packages:\n  - no-such-package\nruncmd:\n  - echo ran >> /ran",
    "a failing bootcmd": "bootcmd:\n  - echo ran >> /ran\n  - exit 3",
    "a user that can't be made": "user:\n  name: no:such/user\nruncmd:\n  - echo ran >> /ran",
    "a failing runcmd": "runcmd:\n  - echo ran >> /ran\n  - exit 3",
    "a failing script": "",
}


@pytest.mark.parametrize("user_data", FAILING.values(), ids=FAILING.keys())
def test_failing_user_data_is_reported_and_not_repeated_and_locks_nobody_out(
    instance: Instance, user_data: str
) -> None:
    config = f"#alpine-config\n{user_data}\n".encode()
    instance.metadata["user-data"] = config if user_data else script("echo ran >> /ran; exit 3")
    said = instance.boot()
    assert "user data failed at " in said
    assert instance.text("home/alpine/.ssh/authorized_keys") == KEY.decode(), said
    assert instance.text("etc/hostname") == "ip-10-0-0-5\n"
    assert instance.text("ran") == "ran\n"
    assert instance.complete()
    again = instance.boot()
    assert instance.text("ran") == "ran\n", again
    assert instance.text("home/alpine/.ssh/authorized_keys") == KEY.decode()
    assert instance.text("etc/hosts").count("127.0.1.1") == 1


def test_other_user_data_harms_nothing(instance: Instance) -> None:
    instance.metadata["user-data"] = SECTION + b"\0\1\2 nothing that anyone reads"
    instance.boot()
    assert instance.complete()


@pytest.mark.parametrize(("vendor", "found"), [("3DS Outscale", "5 outscale\n"), ("QEMU", ""), (None, "")])
def test_the_machine_is_known_by_its_vendor(tmp_path: Path, vendor: str | None, found: str) -> None:
    if vendor is not None:
        (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
        (tmp_path / "sys/class/dmi/id/sys_vendor").write_text(f"{vendor}\n")
    detector = GUEST / "files/tiny-cloud/outscale/autodetect"
    done = subprocess.run([detector], env={"ROOT": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert done.stdout == found
