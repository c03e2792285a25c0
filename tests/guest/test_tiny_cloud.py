"""tiny-cloud with our provider, set up by the guest's own step and run in a root of the fixture mirror."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.guest.instance import KEY, Instance, script
from tests.guest.shell import GUEST

pytestmark = pytest.mark.slow

NO_INSTANCE = ("meta-data/instance-id", "meta-data/public-keys/0/openssh-key", "user-data")
PAGE = b"<!DOCTYPE html>\n<html>please log in</html>\n"


def test_the_step_leaves_an_image_that_sets_up_its_instance(instance: Instance) -> None:
    links = sorted(
        path.name for path in instance.root.glob("etc/runlevels/*/*") if re.match("outscale|tiny", path.name)
    )
    assert links == ["outscale-instance", "tiny-cloud-boot", "tiny-cloud-early", "tiny-cloud-final", "tiny-cloud-main"]
    assert not instance.complete()
    assert not list((instance.root / "etc/ssh").glob("ssh_host_*"))
    assert "CLOUD=outscale\nCLOUD_USER=alpine\n" in instance.text("etc/tiny-cloud.conf")


def test_a_new_instance_gets_key_name_user_data_size_and_host_key(instance: Instance) -> None:
    instance.metadata["user-data"] = script("echo said; echo ran >> /ran; hostname > /name")
    said = instance.boot()
    assert instance.complete(), said
    assert "expand_root: done" in said
    assert "enable_sshd: skipped" in said, "the profile says which services run"
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
    (instance.root / "etc/ssh/ssh_host_rsa_key").write_text("another of the first instance\n")
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
    assert instance.text("etc/ssh/ssh_host_rsa_key") == ""
    assert instance.text("resized") == resized * 2
    assert instance.text("var/lib/cloud/instance-id") == "i-00000002\n"


def test_a_host_key_that_a_power_cut_left_empty_is_made_anew(instance: Instance) -> None:
    (instance.root / "etc/ssh/ssh_host_ed25519_key").touch()
    instance.boot()
    assert "PRIVATE KEY" in instance.text("etc/ssh/ssh_host_ed25519_key")


def test_a_late_service_is_waited_for(instance: Instance) -> None:
    instance.boot(silent_s=3)
    assert instance.complete()
    assert instance.text("home/alpine/.ssh/authorized_keys") == KEY.decode()


@pytest.mark.parametrize("first", [{}, dict.fromkeys(NO_INSTANCE, PAGE)], ids=["404 for everything", "a page"])
def test_whoever_does_not_know_the_instance_is_asked_again(instance: Instance, first: dict[str, bytes]) -> None:
    said = instance.boot(first=first)
    assert instance.complete(), said
    assert instance.text("home/alpine/.ssh/authorized_keys") == KEY.decode()


def test_a_silent_service_leaves_it_for_the_next_boot(instance: Instance) -> None:
    instance.metadata["user-data"] = script("echo ran >> /ran")
    said = instance.boot(silent_s=60, patience=1)
    assert "the metadata service did not give meta-data/instance-id" in said
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
    [{"meta-data/public-keys/0/openssh-key": PAGE}, dict.fromkeys(NO_INSTANCE), dict.fromkeys(NO_INSTANCE, PAGE)],
    ids=["a page instead of the key", "nothing there yet, or a proxy's 404", "a proxy's page for everything"],
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


def test_an_instance_id_that_is_none_is_not_remembered(instance: Instance) -> None:
    instance.metadata["meta-data/instance-id"] = b"../../x\ni-1"
    instance.boot()
    assert instance.text("var/lib/cloud/instance-id") == ""
    assert "PRIVATE KEY" in instance.text("etc/ssh/ssh_host_ed25519_key")


@pytest.mark.parametrize(("vendor", "found"), [("3DS Outscale", "5 outscale\n"), ("QEMU", ""), (None, "")])
def test_the_machine_is_known_by_its_vendor(tmp_path: Path, vendor: str | None, found: str) -> None:
    if vendor is not None:
        (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
        (tmp_path / "sys/class/dmi/id/sys_vendor").write_text(f"{vendor}\n")
    detector = GUEST / "files/tiny-cloud/outscale/autodetect"
    done = subprocess.run([detector], env={"ROOT": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert done.stdout == found
