"""Fake makers: a local HTTP server with releases, and tools that are small shell scripts."""

import gzip
import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from toolchain.tools import OUTSCALE_PLUGIN, TOOLS, Tool, architecture

ARCH = architecture()

PACKER = """\
#!/bin/sh
[ "$1" = version ] && echo "Packer v1.16.0"
"""
PULUMI = """\
#!/bin/sh
[ "$1" = version ] && echo v3.260.0
"""
# Writes what it was asked to a file beside itself, and a program where `go build -o` should put one.
GO = """\
#!/bin/sh
[ "$1" = version ] && { echo "go version go%(version)s linux/amd64"; exit; }
echo "$GOFLAGS $CGO_ENABLED $GOTOOLCHAIN $*" >>"%(log)s"
env >>"%(log)s.env"
case "$1 $2" in
"list -m") echo "%(sdk)s" ;;
build*) echo '#!/bin/sh' >"$4" && chmod +x "$4" ;;
esac
"""


def write_program(path: Path, text: str) -> Path:
    """An executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def write_go(folder: Path, version: str = "1.26.8", data: Path | None = None) -> Path:
    """A `go` in `folder`; what it is asked goes to the file returned, in `data` (the same folder by default)."""
    log, sdk = (data or folder) / "go.log", (data or folder) / "sdk"
    write_program(sdk / "python" / "cmd" / "pulumi-language-python-exec", "# the shim\n")
    write_program(folder / "go", GO % {"version": version, "log": log, "sdk": sdk})
    return log


def tar_gz(files: Mapping[str, str]) -> bytes:
    """A release as Pulumi makes it; like the next, without the time, so that its digest stays the same."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"pulumi/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(data.getvalue(), mtime=0)


def zipped(files: Mapping[str, str]) -> bytes:
    """A release as HashiCorp makes it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return data.getvalue()


def releases() -> dict[str, bytes]:
    """What each tool's maker offers: the archive, by the tool's name."""
    plugin = OUTSCALE_PLUGIN.files[0].format(version=OUTSCALE_PLUGIN.version, arch=ARCH)
    return {
        "pulumi": tar_gz(
            {"pulumi": PULUMI, "pulumi-language-python": "#!/bin/sh\n", "pulumi-language-python-exec": "x\n"}
        ),
        "pulumi-resource-command": tar_gz({"pulumi-resource-command": "#!/bin/sh\n"}),
        "packer": zipped({"packer": PACKER, "LICENSE.txt": "free"}),
        "packer-plugin-outscale": zipped({plugin: "#!/bin/sh\n"}),
    }


def offer(folder: Path) -> None:
    """Put the makers' files into a folder that is served."""
    for name, data in releases().items():
        (folder / f"{name}.archive").write_bytes(data)
        (folder / f"{name}.sums").write_text(f"{hashlib.sha256(data).hexdigest()} *{name}.archive\n")


def tools_of(url: str) -> tuple[Tool, ...]:
    """The table with makers at `url` that stand in for the real ones."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in releases().items()}
    return tuple(
        replace(
            tool,
            url=f"{url}/{tool.name}.archive",
            sha256=tool.sha256 and {ARCH: digests[tool.name]},
            checksums=f"{url}/{tool.name}.sums",
        )
        for tool in TOOLS
    )


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
        del format, args


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the folder on loopback; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
