"""The stand-in for tiny-cloud: what it holds, and that it serves only where the real one can't be had."""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from sandbox.config import default_cache
from sandbox.mirror import MirrorSettings, MirrorSource, serve
from sandbox.mirror.tinycloud import FILES, NOTE, core_files, service_files, yx_files
from sandbox.mirror.upstream import CachedCdn
from tests.sandbox.mirror.test_server import INDEX, get

REAL = {
    "bin/imds",
    "sbin/tiny-cloud",
    "lib/tiny-cloud/common",
    "lib/tiny-cloud/init",
    "lib/tiny-cloud/user-data/alpine-config",
    "lib/tiny-cloud/user-data/cloud-config",
    "lib/tiny-cloud/user-data/missing",
    "lib/tiny-cloud/user-data/script",
    "lib/tiny-cloud/user-data/unknown",
    "etc/tiny-cloud.conf",
}
"""What tiny-cloud's own Makefile installs as its core."""


def test_it_has_the_files_of_the_real_one_and_no_provider() -> None:
    assert {file.path for file in core_files()} == REAL
    phases = {f"etc/init.d/tiny-cloud-{phase}" for phase in ("boot", "early", "main", "final")}
    assert {file.path for file in service_files()} == phases


@pytest.mark.slow
def test_it_is_not_used_where_alpines_own_is_reached() -> None:
    if not CachedCdn(default_cache() / "mirror/cdn").reachable(3):
        pytest.skip("Alpine's CDN can't be reached here, so the stand-in for tiny-cloud serves")
    running = serve(("127.0.0.1", 0), default_cache(), MirrorSettings(MirrorSource.AUTO))
    try:
        with tarfile.open(fileobj=BytesIO(get(running, INDEX)[2])) as index:
            member = index.extractfile("APKINDEX")
            assert member is not None
            text = member.read().decode()
        records = [record for record in text.split("\n\n") if "\nP:tiny-cloud\n" in f"\n{record}"]
        assert len(records) == 1
        assert NOTE not in records[0]
        version = next(line[2:] for line in records[0].splitlines() if line.startswith("V:"))
        package = get(running, f"/alpine/v3.23/main/x86_64/tiny-cloud-{version}.apk")[2]
        with tarfile.open(fileobj=BytesIO(package)) as archive:
            assert {name.removeprefix("usr/") for name in REAL} <= {
                name.removeprefix("usr/") for name in archive.getnames()
            }, "our provider and its stand-in must follow the real one"
    finally:
        running.close()


YAML = """\
#alpine-config
user: {a: b}
name: plain # a remark
list:
  - one
  - "two # no remark"
files:
- path: /a
  content: |
    first
      second

- path: /b
"""


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ((), "user\nname\nlist\nfiles\n"),
        (("name",), "plain\n"),
        (("list",), "1\n2\n"),
        (("list", "2"), "two # no remark\n"),
        (("files", "1"), "path\ncontent\n"),
        (("files", "1", "content"), "first\n  second\n"),
        (("files", "2", "path"), "/b\n"),
        (("none",), ""),
    ],
)
def test_its_yx_reads_plain_yaml(tmp_path: Path, keys: tuple[str, ...], said: str) -> None:
    (tmp_path / "user-data").write_text(YAML)
    (yx,) = yx_files()
    assert yx.data == (FILES / "yx.sh").read_bytes()
    command = ["sh", str(FILES / "yx.sh"), "-f", str(tmp_path / "user-data"), *keys]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout, done.returncode) == (said, 0 if said else 1)
