"""Records each version's release and end of life in its core profile, for times when Alpine can't be reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from omi.profile.load import Profile
from omi.support.atomic import write_atomically
from omi.support.safe_yaml import YamlError, compose, read_values
from omi.support.version import EDGE, release_key
from omi.upstream.model import Upstream

_NEW_FILE = "# release and end_of_life are as last detected.\nbase: {base}\n"


def record_releases(profile: Profile, upstream: Upstream, root: Path) -> list[str]:
    """Update `release` and `end_of_life` of the core profiles in `root`; returns a line about each file.

    Only versions that the profile builds count. An older release or an earlier end never replaces the recorded one. A
    version without a core profile gets one, on the base that its builds were made with, so that a later base doesn't
    change them. A file that can't be written is named and stops nothing.
    """
    lines = []
    for version, release, end_of_life in detected_in(profile, upstream):
        path = root / "version" / f"{version}.yaml"
        base = profile.layers.branch(version).base if release and profile.layers else None
        try:
            changes = _record(path, {"release": release, "end_of_life": end_of_life}, base)
        except OSError as error:
            changes = [f"not recorded: {error.strerror}"]
        if changes:
            lines.append(f"{path}: {', '.join(changes)}")
    return lines


def detected_in(profile: Profile, upstream: Upstream) -> Iterator[tuple[str, str | None, date | None]]:
    """Versions with the release and end of life that this run itself read, oldest first.

    A release counts once every arch's mirror has it.
    """
    arches: dict[str, set[str]] = {}
    for build in profile.builds:
        if build.version != EDGE:
            arches.setdefault(build.version, set()).add(build.arch)
    for version in sorted(arches, key=release_key):
        mirrors = [upstream.mirror.get((version, arch)) for arch in arches[version]]
        releases = [mirror.release for mirror in mirrors if mirror and not mirror.stale and mirror.release]
        release = min(releases, key=release_key) if len(releases) == len(mirrors) else None
        branch = upstream.branch(version) if not upstream.stale else None
        end_of_life = branch.end_of_life if branch else None
        if release or end_of_life:
            yield version, release, end_of_life


def _record(path: Path, detected: Mapping[str, str | date | None], base: str | None) -> list[str]:
    """Write the later values and report them. A new file is on `base`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if base is None:
            return []
        text = _NEW_FILE.format(base=base)
    changes: list[str] = []
    try:
        recorded = read_values(text)
        new = {key: value for key, value in detected.items() if _is_later(value, recorded.get(key))}
        changes = [f"{key.replace('_', ' ')} {new[key]} (was {recorded.get(key) or 'not recorded'})" for key in new]
        written = text
        for key, value in new.items():
            written = _put(written, key, str(value), after="base" if key == "release" else "release")
        exact = read_values(written) == {**recorded, **new}
    except YamlError as error:
        if not changes:
            return [f"not recorded: it {error}"]
        exact = False
    if not exact:
        return [f"not recorded: its layout is unusual; write by hand: {', '.join(changes)}"]
    if changes:
        write_atomically(path, written)
    return changes


def _is_later(new: str | date | None, old: Any) -> bool:
    if new is None or old is None:
        return new is not None
    return new > date.fromisoformat(str(old)) if isinstance(new, date) else release_key(new) > release_key(str(old))


def _put(text: str, key: str, value: str, after: str) -> str:
    """The text with one value of its top map replaced, or with a new line for it after another key's.

    This uses no YAML writer: even one that keeps comments writes `null` as an empty value, which a profile may not
    have.
    """
    top = compose(text)
    places = {name.value: node for name, node in top.value} if isinstance(top, yaml.MappingNode) else {}
    if key in places:
        start, end = (mark.index for mark in (places[key].start_mark, places[key].end_mark))
        return f"{text[:start]}{value}{text[end:]}"
    place = places.get(after)
    start = text.find("\n", place.end_mark.index) + 1 if place else len(text)
    return f"{text[:start]}{key}: {value}\n{text[start:]}"
