"""Finds, in this machine's own apt configuration, the package sources that offer Debian 12."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

RELEASE = "bookworm"
SUITES = (RELEASE, f"{RELEASE}-updates", f"{RELEASE}-security")
OTHER_RELEASES = ("trixie", "forky", "sid", "bullseye", "stable", "testing", "unstable", "oldstable")
"""Debian's, whose servers have Debian 12, too."""
COMPONENT = "main"
DEBIAN_KEYRING = "debian-archive"

_SUITES_TAKEN = {f"{release}{kind}" for release in (RELEASE, *OTHER_RELEASES) for kind in ("", "-updates", "-security")}
_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$")


def debian_sources(apt: Path = Path("/etc/apt")) -> tuple[str, ...]:
    """The one-line form (`deb [options] URI SUITE main`) of each source of Debian 12's component main.

    A source counts when it is enabled, its suite is Debian 12's and its key, where one is named, is Debian's own; who
    serves it does not matter. Where none has the suite `bookworm` itself, another release's servers (Debian 13's, say)
    are asked for Debian 12. Empty when there is none of these either.
    """
    lines = tuple(dict.fromkeys(line for path in _files(apt) for line in _entries(path)))
    own = tuple(line for line in lines if _suite(line) in SUITES)
    if any(_suite(line) == RELEASE for line in own):
        return own
    derived = tuple(dict.fromkeys(_as_debian_12(line) for line in lines))
    return derived if any(_suite(line) == RELEASE for line in derived) else ()


def _suite(line: str) -> str:
    return line.split()[-2]


def _as_debian_12(line: str) -> str:
    suite = _suite(line)
    other = suite.partition("-")[0]
    return line if other == RELEASE else line.replace(f" {suite} ", f" {suite.replace(other, RELEASE, 1)} ")


def _files(apt: Path) -> list[Path]:
    parts = apt / "sources.list.d"
    listed = sorted(parts.iterdir()) if parts.is_dir() else []
    files = [apt / "sources.list", *(path for path in listed if path.suffix in {".list", ".sources"})]
    return [path for path in files if path.is_file()]


def _entries(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    return _deb822(text) if path.suffix == ".sources" else _one_line(text)


def _one_line(text: str) -> Iterator[str]:
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#", 1)[0].strip())
        if match is None:
            continue
        options = dict(item.partition("=")[::2] for item in (match["options"] or "").split())
        yield from _accepted(
            [match["uri"]], [match["suite"]], match["components"].split(), options.get("signed-by", "")
        )


def _deb822(text: str) -> Iterator[str]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in {"no", "false"}:
            continue
        yield from _accepted(
            fields.get("uris", "").split(),
            fields.get("suites", "").split(),
            fields.get("components", "").split(),
            fields.get("signed-by", ""),
        )


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')} {line.strip()}".strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _accepted(uris: list[str], suites: list[str], components: list[str], signed_by: str) -> Iterator[str]:
    if COMPONENT not in components or (signed_by and DEBIAN_KEYRING not in Path(signed_by).name):
        return
    options = f"[signed-by={signed_by}] " if signed_by else ""
    for suite in suites:
        if suite.rstrip("/") in _SUITES_TAKEN:
            for uri in uris:
                yield f"deb {options}{uri} {suite} {COMPONENT}"
