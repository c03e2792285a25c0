"""Fake makers: a local HTTP server with releases, and tools that are small shell scripts."""

import gzip
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from toolchain.gobuild import architecture

ARCH = architecture()

# Like the real one in what the installer asks of it: `version`, and placing a plugin.
PACKER = """\
#!/bin/sh
case "$1 $2" in
"version ") echo "Packer v1.16.0" ;;
"plugins install")
	to=$PACKER_PLUGIN_PATH/github.com/outscale/outscale
	mkdir -p "$to"
	case $3 in
	--path) version=1.0.2 from=$4 ;;
	*) version=${4#v} from=$0 ;;
	esac
	file=$to/packer-plugin-outscale_v${version}_x5.0_linux_%(arch)s
	cp "$from" "$file" && chmod +x "$file" && echo sum >"${file}_SHA256SUM" ;;
esac
"""
PULUMI = """\
#!/bin/sh
case "$1 $2" in
"version ") echo v3.259.0 ;;
"plugin install")
	to=$PULUMI_HOME/plugins/resource-command-$5
	mkdir -p "$to"
	echo "$*" >"$to/arguments"
	echo '#!/bin/sh' >"$to/pulumi-resource-command"
	chmod +x "$to/pulumi-resource-command" ;;
esac
"""
# Writes what it was asked to a file beside itself, and a program where `go build -o` should put one.
GO = """\
#!/bin/sh
[ "$1" = version ] && { echo "go version go%(version)s linux/amd64"; exit; }
echo "$GOFLAGS $CGO_ENABLED $GOTOOLCHAIN $*" >>"%(log)s"
case "$1 $2" in
"list -m") echo "%(sdk)s" ;;
build*)
	case "$*" in
	*/packer) program='%(packer)s' ;;
	*) program='#!/bin/sh' ;;
	esac
	printf '%%s\\n' "$program" >"$4" && chmod +x "$4" ;;
esac
"""


def packer_script() -> str:
    """A Packer that places plugins."""
    return PACKER % {"arch": ARCH}


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
    text = GO % {"version": version, "log": log, "sdk": sdk, "packer": packer_script().replace("'", "'\\''")}
    write_program(folder / "go", text)
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
    """File name on the maker's server, and content."""
    pulumi = tar_gz({"pulumi": PULUMI, "pulumi-language-python": "#!/bin/sh\n", "pulumi-language-python-exec": "x\n"})
    digest = "c" * 64
    return {
        "pulumi.tar.gz": pulumi,
        "packer.zip": zipped({"packer": packer_script()}),
        "command_checksums.txt": f"{digest}  command.tar.gz\n".encode(),
        "outscale_checksums.txt": b"",
    }


def write_pins(folder: Path, url: str, digests: Mapping[str, str] | None = None) -> Path:
    """A pins.toml whose makers are at `url`, with go.mod files beside it."""
    wanted = {name: hashlib.sha256(data).hexdigest() for name, data in releases().items()} | dict(digests or {})
    one_arch = f"{{ {ARCH} = {json.dumps(ARCH)} }}"

    def release(file: str, checksums: str = "") -> str:
        tail = f'checksums = "{url}/{checksums}"' if checksums else f'sha256 = {{ {ARCH} = "{wanted[file]}" }}'
        return f'url = "{url}/{file}"\narch = {one_arch}\n{tail}\n'

    def go(name: str, package: str, version: str) -> str:
        module = folder / "go" / name
        module.mkdir(parents=True, exist_ok=True)
        (module / "go.mod").write_text(f"module m\n\ngo 1.26.3\n\nrequire {package} v{version}\n")
        (module / "go.sum").write_text("")
        return f'folder = "{name}"\npackage = "{package}"\nversion = "{version}"\nstamp = {{}}\ntags = []\n'

    text = f"""
[pulumi]
version = "3.259.0"
[pulumi.release]
{release("pulumi.tar.gz")}
[pulumi.go]
{go("pulumi", "example.org/pulumi", "3.259.0")}
[pulumi-language-python]
version = "3.259.0"
[pulumi-language-python.go]
{go("pulumi-language-python", "example.org/host", "3.75.0")}
[pulumi-resource-command]
version = "1.2.1"
[pulumi-resource-command.release]
{release("command.tar.gz", "command_checksums.txt")}
[packer]
version = "1.16.0"
[packer.release]
{release("packer.zip")}
[packer.go]
{go("packer", "example.org/packer", "1.16.0")}
[packer-plugin-outscale]
version = "1.6.1"
[packer-plugin-outscale.release]
{release("outscale.zip", "outscale_checksums.txt")}
[packer-plugin-outscale.go]
{go("packer-plugin-outscale", "example.org/outscale", "1.0.2")}
[go-compiler]
version = "1.27.3"
"""
    path = folder / "pins.toml"
    path.write_text(text)
    return path


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
