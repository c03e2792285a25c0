"""Finds the part of a build that decides its images' content; a change of it makes a new revision."""

from __future__ import annotations

import re
from typing import Any

from omi.profile.model import Target, profile_keys
from omi.profile.resolve import essential_packages

ALPINE_CDN = "https://dl-cdn.alpinelinux.org/alpine"
"""Matches repositories that a stack's own mirror replaces, by https or http."""
_CDN = re.compile(rf"\A{re.escape(ALPINE_CDN).replace('https', 'https?')}(?=/)")
ROOT_LABEL = "alpine-root"
"""Label of the root filesystem."""
HOSTNAME = "alpine"
"""Used until the metadata service gives another."""


def content(build: Target) -> dict[str, Any]:
    """The content of the image as JSON-able values; the order of keys in the profile doesn't matter.

    Keys that only name the image, or concern its surroundings, are left out (`decides` in omi.profile.model).
    """
    decided = {key: _plain(getattr(build, key)) for key, declared, _ in profile_keys() if declared.decides}
    return {
        **decided,
        "root_label": ROOT_LABEL,
        "hostname": HOSTNAME,
        "again": build.again,
        "repos": repository_lines(build),
        "packages": package_lines(build),
        "setup_script": _file(build, build.setup_script),
        "setup_copy": {name: _file(build, path) for name, path in build.setup_copy.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return sorted(value) if isinstance(value, tuple) else value


def _file(build: Target, path: str | None) -> dict[str, Any] | None:
    """A setup file as it was; None if there is none, or if it is unknown."""
    found = build.setup_files.get(path) if path else None
    return found.model_dump() if found else None


def package_lines(build: Target) -> list[str]:
    """The packages that apk installs, sorted: `nginx`, `openssl~3.5`, `foot@testing`."""
    wanted: dict[str, bool | str] = {**dict.fromkeys(essential_packages(build), True), **build.packages}
    return sorted(_tagged(name, value) if isinstance(value, str) else name for name, value in wanted.items())


def _tagged(name: str, tag: str) -> str:
    """apk wants the tag between the name and the version."""
    bare, *version = re.split("(?=[<>=~])", name, maxsplit=1)
    return f"{bare}@{tag}{''.join(version)}"


def repository_lines(build: Target) -> list[str]:
    """The image's /etc/apk/repositories, sorted by URL: plain, `@tag URL`, or a comment."""
    return [repository_line(url, value) for url, value in sorted(build.repos.items())]


def repository_line(url: str, value: bool | str) -> str:
    """One line of /etc/apk/repositories."""
    if isinstance(value, str):
        return f"@{value} {url}"
    return url if value else f"#{url}"


def install_repositories(build: Target, mirror: str) -> dict[str, bool | str]:
    """The repositories during the build, sorted: URL to true or to the repository's tag.

    `mirror` replaces Alpine's CDN. Repositories that the image has only as a comment are left out.
    """
    return {on_mirror(url, mirror): value for url, value in sorted(build.repos.items()) if value is not False}


def on_mirror(url: str, mirror: str) -> str:
    """A repository's URL with `mirror` in place of Alpine's CDN."""
    return _CDN.sub(lambda _: mirror.rstrip("/"), url)
