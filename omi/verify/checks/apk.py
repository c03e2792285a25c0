"""The sources of packages, and the profile's packages."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from omi.profile.content import package_lines, repository_lines
from omi.verify.facts import Expected, Facts


def check_apk(facts: Facts, expected: Expected) -> Iterator[str]:
    """apk has the profile's repositories and keys, line by line, and the packages are installed."""
    build = expected.build
    repositories = list(facts.values.get("apk_repository", ()))
    if repositories != repository_lines(build):
        yield f"/etc/apk/repositories says {repositories} instead of {repository_lines(build)}"
    yield from _check_keys(facts, build.keys)
    installed = {line.partition("=")[0] for line in facts.installed}
    for name in sorted({re.split("[@<>=~]", line)[0] for line in package_lines(build)} - installed):
        yield f"the package {name} is not installed"


def _check_keys(facts: Facts, keys: dict[str, str]) -> Iterator[str]:
    trusted = dict(line.partition(" ")[::2] for line in facts.values.get("apk_key", ()))
    for name, text in keys.items():
        if trusted.get(name) != hashlib.sha256(text.encode()).hexdigest():
            yield f"the key {name} in /etc/apk/keys is {'another' if name in trusted else 'missing'}"
    for name in sorted(set(trusted) - set(keys)):
        yield f"the key {name} is in /etc/apk/keys, but not in the profile"
