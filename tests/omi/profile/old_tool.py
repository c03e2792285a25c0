"""A checkout of the old tool, as small as one can be that has all its profiles may have."""

from __future__ import annotations

from pathlib import Path

BASE = """
revision = "r0"
release = null
build_region = "us-west-2"
omi_name_prefix = "alpine-omi-"
omi_name_suffix = ""
omi_desc_prefix = "Alpine Linux "
omi_volume_size = "4"
omi_encrypt = "false"
omi_user = "alpine"
omi_name = "{var.omi_name_prefix}{var.release}-{var.arch}-{var.revision}{var.omi_name_suffix}"
repos {}
pkgs { linux-virt = true, chrony = true, sudo = true, tiny-ec2-bootstrap = true, tzdata = true, curl = true }
svcs {
  sysinit { hwdrivers = true, mdev = true }
  boot { hwclock = true, swap = true }
  default { chronyd = true, networking = true, sshd = true, tiny-ec2-bootstrap = true }
}
kernel_modules { ext4 = true, usb-storage = true, ena = true }
kernel_options { "console=ttyS0,115200n8" = true, "nvme_core.io_timeout=4294967295" = true, "panic=10" = true }
initfs_features { nvme = true }
setup_script = null
"""
VERSION = """
include required("../base/1")
version = "{version}"
release = "{release}"
end_of_life = "2027-11-01"
repos {{
  "http://dl-cdn.alpinelinux.org/alpine/v{version}/main" = true
  "http://dl-cdn.alpinelinux.org/alpine/edge/testing" = "edge-testing"
}}
"""
WEB = """
version-3_23 { include required("version/3.23") }
version-3_13 { include required("version/3.13") }
arch-x86_64  { include required("arch/x86_64") }
arch-aarch64 { include required("arch/aarch64") }
web {
  omi_name_suffix = -web
  pkgs { nginx = true, foot = edge-testing, curl = false, tzdata = null }
  svcs { default { nginx = true } }
  setup_script = scripts/web.sh
  setup_copy { page = pages, conf = profiles/nginx.conf }
}
BUILDS {
  v3_23-x86_64  = ${version-3_23} ${arch-x86_64} ${web} { revision = "r2" }
  v3_13-x86_64  = ${version-3_13} ${arch-x86_64} ${web} { release = "3.13.5", pkgs = null }
  v3_23-aarch64 = ${version-3_23} ${arch-aarch64} ${web} { omi_encrypt = "true" }
}
"""


def write(path: Path, text: str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lay_checkout(folder: Path) -> None:
    """Lay the checkout in `folder`: one target profile, `web`."""
    for name, text in {
        "base/1": BASE,
        "version/3.23": VERSION.format(version="3.23", release="3.23.0"),
        "version/3.13": VERSION.format(version="3.13", release="3.13.0"),
        "arch/x86_64": 'arch = "x86_64"\nbootloader = "syslinux"\nbuild_instance_type = "tinav4.c2r4p1"\n',
        "arch/aarch64": 'arch = "aarch64"\n',
        "web.conf": WEB,
        "nginx.conf": "worker_processes 1;\n",
    }.items():
        write(folder / "profiles" / name, text)
    write(folder / "scripts" / "web.sh", "cp -r /tmp/setup-ami.d/page $TARGET/srv\n")
    write(folder / "pages" / "index.html", "hello\n")
    write(folder / "pages" / "css" / "main.css", "p {}\n")
