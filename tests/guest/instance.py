"""An instance without a VM: an image's root in a chroot, its metadata service, and what OpenRC runs of tiny-cloud."""

from __future__ import annotations

import shlex
import subprocess
import threading
from pathlib import Path

from sandbox.machines.metadata import MetadataService
from sandbox.machines.protocol import Metadata
from tests.guest.shell import run_functions

KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbcdefghijklmnopqrstuvwxyz0123456789ABCDEF me@home\n"
NAME = b"ip-10-0-0-5.eu-west-2.compute.internal"
SECTION = b"-----BEGIN OUTSCALE SECTION-----\nfilter_private_section=true\n-----END OUTSCALE SECTION-----\n\n"
# as OpenRC does it, in the order of the services' dependencies
BOOT = """
set -u
ebegin() { :; }
eend() { [ "$1" -eq 0 ] || { echo "$2"; return 1; }; }
tiny-cloud boot
( . /etc/init.d/outscale-instance && start )
tiny-cloud early
tiny-cloud main
( set +u && . /etc/conf.d/sshd && . /etc/init.d/sshd && make_host_keys )
tiny-cloud final
"""


class Instance:
    """An image's root, the metadata that its next boot finds, and that boot."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.metadata = {
            "meta-data/instance-id": b"i-00000001",
            "meta-data/local-hostname": NAME,
            "meta-data/public-keys/0/openssh-key": KEY,
        }

    def set_up(self, **values: str) -> None:
        """What the guest's step does, and the user and SSH as the step before it does."""
        for level in ("boot", "default"):
            (self.root / "etc/runlevels" / level).mkdir(parents=True, exist_ok=True)
        settings = {"ROOT": str(self.root), "USER_NAME": "alpine", "BOOTSTRAP": "tiny-cloud", **values}
        settings = {"METADATA_URL": "http://127.0.0.1:9/latest", **settings}
        add_user = "run in_root adduser -D alpine; run in_root addgroup alpine wheel"
        done = run_functions(f"{add_user}; harden_sshd; set_up_bootstrap", self.folder, **settings)
        assert done.returncode == 0, done.stdout + done.stderr

    def boot(self, silent_s: float = 0.0, patience: int = 20, first: dict[str, bytes] | None = None) -> str:
        """Run what OpenRC would; returns what was said. For the first two seconds the service says what `first` has."""
        service = MetadataService(Metadata(dict(self.metadata)), silent_s)
        if first is not None:
            service.set(Metadata(first))
        change = threading.Timer(2, service.set, [Metadata(dict(self.metadata))])
        change.start()
        conf = self.root / "etc/tiny-cloud.conf"
        lines = [line for line in conf.read_text().splitlines() if not line.startswith("OUTSCALE_")]
        address = f"http://127.0.0.1:{service.port}/latest"
        conf.write_text("\n".join([*lines, f"OUTSCALE_METADATA={address}", f"OUTSCALE_SECONDS={patience}", ""]))
        try:
            return self.run(BOOT)
        finally:
            change.cancel()
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


def script(text: str) -> bytes:
    return f"#!/bin/sh\n{text}\n".encode()
