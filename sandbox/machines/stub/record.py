"""Makes the recording of stub VMs from a real build's folder.

    python -m sandbox.machines.stub.record build/<stack>/<image>

Run it whenever the guest's scripts or the verify's probes change, on a build of the profile `alpine` by real VMs.
Values that differ between images or VMs become expressions of a template; the rest is kept word for word.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sandbox.machines.stub.answers import RECORDED, settings_of

_PACKER = re.compile(r"^(?:==> |    )outscale-bsusurrogate\.alpine: ?")
_FILES = 20
"""Lines of the list of files that are kept: it is long, and no test reads more."""
_LISTS = {"world": "PACKAGES", "apk_repository": "REPOSITORIES"}
_REPLACED = (
    (r"^(release=).*", r"\1{{ image.RELEASE }}"),
    (r"^(user=).*", r"\1{{ image.USER_NAME }}"),
    (r"^((?:metadata|known)_instance=).*", r"\1{{ metadata['instance-id'] }}"),
    (r"^((?:metadata|known)_host_name=).*", r"\1{{ metadata['local-hostname'] }}"),
    (
        r"^(authorized_key=/home/)[^/]+([^:]*:).*",
        r"\1{{ image.USER_NAME }}\2{{ metadata['public-keys/0/openssh-key'] }}",
    ),
    (r'^((?:omi_release=)?NAME=").*"', r'\1{{ image.IMAGE_NAME }}"'),
    (r'^((?:omi_release=)?(PROFILE|BUILD|RELEASE|REVISION|DIGEST|COMMIT)=").*"', r'\1{{ image.\2 }}"'),
)


def main(build: Path, target: Path = RECORDED) -> None:
    """Write the templates; what they are for is in `rules.yaml`, which is kept by hand."""
    said = settings_of((build / "output" / "alpine-omi-release").read_text(encoding="utf-8"))
    image = {
        said["MIRROR"]: "MIRROR",
        said["TOOLS"].rpartition(", apk-tools")[0]: "TOOLS",
        f"/v{said['RELEASE'].rpartition('.')[0]}/": "BRANCH",
    }
    packer = (build / "packer.log").read_text(encoding="utf-8").splitlines()
    narrated = (build / "build.log").read_text(encoding="utf-8").splitlines()
    _write(image, target / "build.txt", _between(packer, "Provisioning with shell script", "Downloading "))
    _write(image, target / "probe.txt", _probes(narrated))
    for name in ("alpine-omi-release", "packages", "files"):
        lines = (build / "output" / name).read_text(encoding="utf-8").splitlines()
        _write(image, target / name, lines[:_FILES] if name == "files" else lines)


def _between(lines: Iterable[str], first: str, last: str) -> Iterator[str]:
    inside = False
    for line in (_PACKER.sub("", line) for line in lines):
        if line.startswith(last):
            return
        if inside:
            yield line
        inside = inside or line.startswith(first)


def _probes(lines: list[str]) -> Iterator[str]:
    """The last of those in the log."""
    start = max(number for number, line in enumerate(lines) if line.startswith("become="))
    for line in lines[start:]:
        if re.match(r"^[a-z_]+=", line):
            yield line


def _write(image: Mapping[str, str], path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in _templates(image, lines)), encoding="utf-8")


def _templates(image: Mapping[str, str], lines: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for line in lines:
        if re.search(r"\{[{%#]", line):
            raise SystemExit(f"this line would be read as a template: {line}")
        fact = re.match(r"^((?:guest: FACT )?)([a-z_]+)=", line)
        values = _LISTS.get(fact[2]) if fact else None
        if fact is None or values is None:
            start, rest = re.fullmatch(r"((?:guest: FACT )?)(.*)", line).groups()  # type: ignore[union-attr] # it always matches
            for pattern, replacement in _REPLACED:
                rest = re.sub(pattern, replacement, rest)
            for value, name in image.items():
                slash = "/" if value.startswith("/") else ""
                rest = rest.replace(value, f"{slash}{{{{ image.{name} }}}}{slash}")
            yield start + rest
        elif fact[2] not in seen:
            seen.add(fact[2])
            yield f"{{% for line in image.{values}.splitlines() %}}{fact[0]}{{{{ line }}}}"
            yield "{% endfor -%}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m sandbox.machines.stub.record BUILD_FOLDER")
    main(Path(sys.argv[1]))
