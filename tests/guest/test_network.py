"""The image's network without a VM: its ifupdown and dhcpcd in a network namespace, against a DHCP server."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guest.conftest import make_root
from tests.guest.shell import run_functions

pytestmark = pytest.mark.slow

SERVER = Path(__file__).with_name("dhcp_server.py")
SETTINGS = {"HOSTNAME": "alpine", "SETUP_SCRIPT": "setup.sh"}
SCRIPT = """
ip link set lo up
ip link add eth0 mtu 1500 type veth peer name cloud mtu 9001
ip addr add 10.0.0.1/24 dev cloud
ip link set cloud up
mount -t proc proc $root/proc && mount -t sysfs sysfs $root/sys
mount -t tmpfs tmpfs $root/run && mount --bind /dev $root/dev
$server > ready & id=$!
for i in $(seq 100); do [ ! -s ready ] || break; sleep 0.1; done
chroot $root /bin/sh -c 'ifup eth0' >&2
ip -o link show eth0; ip route
kill $id $(cat $root/run/dhcpcd/*.pid)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root whose network the guest's own step set up."""
    root = make_root(tmp_path, "alpine-base", "dhcpcd")
    done = run_functions("set_up_system", tmp_path, ROOT=str(root), **SETTINGS)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def after_dhcp(root: Path, mtu: int) -> str:
    """The link and the routes of eth0 once it is up, with an MTU that DHCP names (0: it names none)."""
    server = shlex.join([sys.executable, str(SERVER), "cloud", str(mtu)])
    script = f"root={shlex.quote(str(root))}; server={shlex.quote(server)}; {SCRIPT}"
    # the namespace of processes ends dhcpcd, whatever becomes of the script
    command = ["unshare", "--net", "--mount", "--pid", "--kill-child", "--propagation", "private", "sh", "-c", script]
    done = subprocess.run(command, cwd=root.parent, capture_output=True, text=True, timeout=60, check=False)
    assert "default via 10.0.0.1 dev eth0" in done.stdout, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("told", "used"), [(9001, 9001), (1450, 1450), (0, 1500)])
def test_the_interface_has_the_mtu_that_dhcp_names(root: Path, told: int, used: int) -> None:
    assert f" mtu {used} " in after_dhcp(root, told).splitlines()[0]
