"""Settings of the profile beyond packages and services."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from omi.profile.model import profile_keys
from omi.verify.facts import Expected, Facts


def check_settings(facts: Facts, expected: Expected) -> Iterator[str]:
    """The message at login, the local time, kernel parameters, and other keys of the profile that a probe sees."""
    build = expected.build
    seen = dict(line.partition(" ")[::2] for line in facts.values.get("setting", ()))
    for name, key, _ in profile_keys():
        wanted = getattr(build, name)
        if key.seen and wanted is not None and seen.get(name) != str(wanted):
            yield f"{name} is {seen.get(name, '')!r} instead of {str(wanted)!r}"
    if build.motd is not None and facts.one("motd_digest") != motd_digest(build.motd):
        yield "/etc/motd is not the profile's"
    if build.timezone is not None:
        yield from _check_zone(facts, build.timezone)
    now = dict(line.partition(" ")[::2] for line in facts.values.get("sysctl", ()))
    for name, value in build.sysctl.items():
        if " ".join(now.get(name, "").split()) != " ".join(value.split()):
            yield f"sysctl {name} is {now.get(name, '')!r} instead of {value!r}"


def motd_digest(text: str) -> str:
    """SHA-256 of /etc/motd, which ends in one newline."""
    return hashlib.sha256((text.rstrip("\n") + "\n").encode()).hexdigest()


def _check_zone(facts: Facts, zone: str) -> Iterator[str]:
    seconds, _, offset = facts.one("local_clock").partition(" ")
    if not seconds.isdecimal():
        yield f"the clock {facts.one('local_clock')!r} is not understood"
        return
    try:
        there = datetime.fromtimestamp(int(seconds), UTC).astimezone(ZoneInfo(zone))
    except ZoneInfoNotFoundError:
        return  # this machine has no time zones, so only the link can be checked
    wanted = f"{there:%z}"
    if offset != wanted:
        yield f"the local time is {offset} from UTC instead of {wanted} ({zone})"
