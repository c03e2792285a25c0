"""The servers that set the clock."""

from __future__ import annotations

from collections.abc import Iterator

from omi.profile.forms import AWS_TIME
from omi.profile.resolve import TIME_SERVICES
from omi.verify.facts import Expected, Facts


def check_time(facts: Facts, expected: Expected) -> Iterator[str]:
    """The clock is set by the profile's servers if it names any, and never by AWS's."""
    build = expected.build
    services = {name for names in build.services.values() for name in names}
    for line in facts.values.get("time_server", ()):
        name, _, file = line.partition(" ")
        service = "chronyd" if "chrony" in file else "ntpd"
        if name == AWS_TIME:
            yield f"{file} sets the clock by {AWS_TIME}, which only AWS has"
        elif build.ntp_servers and service in services and name not in build.ntp_servers:
            yield f"{file} sets the clock by {name}, which is not among the profile's ntp_servers"
    if services.intersection(TIME_SERVICES):
        used = {line.partition(" ")[0] for line in facts.values.get("time_server", ())}
        for name in build.ntp_servers:
            if name not in used:
                yield f"the clock is not set by {name}, which is among the profile's ntp_servers"
        if not used:
            yield "the clock is set by no server"
