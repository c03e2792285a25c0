"""Images of Alpine's own mirror in real VMs: with the real tiny-cloud, with cloud-init, upgraded to the next branch.

Skipped where Alpine's CDN can't be reached; the fixture mirror with its stand-ins serves then (sandbox/README.md).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from omi.build.guest_data import guest_values
from omi.build.origin import Origin
from omi.profile.load import load_profile
from omi.state.image import BuildVm
from sandbox.config import default_cache
from sandbox.mirror.upstream import CDN, CachedCdn
from tests.guest.boots import IMAGE, WAIT, machines_with_image, start
from tests.guest.test_upgrade import STATE, finish_upgrade
from tests.omi.specs import make_spec
from tests.sandbox.machines.guest import Guest, address, new_key

pytestmark = pytest.mark.slow

PROFILES = Path(__file__).parents[2] / "profiles"
SCRIPT = b"#!/bin/sh\necho ran >> /var/lib/ran\n"
NAME = "ip-10-0-0-5"
RAN = "for i in $(seq 110); do [ ! -e /var/lib/ran ] || exec cat /var/lib/ran; sleep 1; done; exit 1"


@pytest.fixture(scope="module")
def cdn() -> CachedCdn:
    """Alpine's CDN."""
    upstream = CachedCdn(default_cache() / "mirror/cdn")
    if not upstream.reachable(3):
        pytest.skip("Alpine's CDN can't be reached from here: not seen with the real packages")
    return upstream


def newest_release(cdn: CachedCdn, version: str) -> str:
    """The newest release of a branch, by the CDN's list."""
    served = cdn.get(f"/alpine/v{version}/releases/x86_64/latest-releases.yaml")
    assert served is not None
    return str(yaml.safe_load(served.path.read_bytes())[0]["version"])


@contextmanager
def booted(cdn: CachedCdn, folder: Path, version: str, bootstrap: str) -> Iterator[Guest]:
    """An instance of what the base profile makes of a branch."""
    profiles = folder / "profiles"
    shutil.copytree(PROFILES, profiles)
    text = {"builds": {"a": {"version": version, "arch": "x86_64", "bootstrap": bootstrap}}}
    (profiles / "cdn.yaml").write_text(yaml.safe_dump(text))
    (build,) = load_profile("cdn", profiles).builds
    release = newest_release(cdn, version)
    vm = BuildVm(ssh_port=22, mirror=f"{CDN}/alpine")
    spec = make_spec(build=build, release=release, name=build.image_name(release, 0), vm=vm)
    values = guest_values(spec, Origin("unknown", {"tests": "none"}))
    (folder / "image").mkdir()
    with machines_with_image(folder / "image", profiles, values) as machines:
        guest = Guest(machines, "i-00000001", address(50), new_key(folder), build.user)
        machines.create_volume("vol-root", 2, IMAGE)
        try:
            start(guest, "vol-root", NAME, SCRIPT)
            yield guest
        finally:
            machines.delete_vm(guest.vm_id)


@pytest.mark.parametrize("bootstrap", ["tiny-cloud", "cloud-init"])
def test_an_instance_gets_key_name_user_data_and_size(cdn: CachedCdn, tmp_path: Path, bootstrap: str) -> None:
    with booted(cdn, tmp_path, "3.23", bootstrap) as guest:
        assert guest.run(RAN) == "ran\n"
        assert guest.run("hostname; doas -n id -un").split() == [NAME, "root"]
        assert int(guest.run("df -Pk / | awk 'NR == 2 { print $2 }'")) > 1.7 * 1024**2
        assert guest.run("ls /etc/ssh/ssh_host_*_key").split() == ["/etc/ssh/ssh_host_ed25519_key"]
        assert "fixture" not in guest.run(f"/sbin/apk info --description {bootstrap}")
        guest.machines.stop_vm(guest.vm_id, force=False)
        start(guest, "vol-root", NAME, SCRIPT)
        assert guest.run(RAN) == "ran\n"


def test_an_image_is_upgraded_to_the_next_branch(cdn: CachedCdn, tmp_path: Path) -> None:
    with booted(cdn, tmp_path, "3.22", "tiny-cloud") as guest:
        guest.run(WAIT)
        before = guest.run(STATE)
        guest.run("doas -n sed -i s/v3.22/v3.23/ /etc/apk/repositories")
        finish_upgrade(guest, "/sbin/apk upgrade --available")
        guest.machines.stop_vm(guest.vm_id, force=False)
        start(guest, "vol-root", NAME)
        assert guest.run("cat /etc/alpine-release").strip() == newest_release(cdn, "3.23")
        kept = re.sub(r"^[UA] .*\n", "", guest.run(STATE), flags=re.MULTILINE)
        assert kept == re.sub(r"^[UA] .*\n", "", before, flags=re.MULTILINE)
