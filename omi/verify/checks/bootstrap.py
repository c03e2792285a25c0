"""Whether the new instance was set up from its metadata."""

from __future__ import annotations

from collections.abc import Iterator

from omi.verify.facts import Expected, Facts


def check_bootstrap(facts: Facts, expected: Expected) -> Iterator[str]:
    """The profile's bootstrap is there and done; instance, host name and key are the metadata service's."""
    wanted = expected.build.bootstrap
    found = facts.one("bootstrap")
    if found != wanted:
        yield f"the instance is set up by {found or 'nothing'} instead of {wanted}"
        return
    if facts.one("bootstrap_status") != "complete":
        yield f"{wanted} has not completed its set-up of the instance"
    told, known = facts.one("told_instance"), facts.one("known_instance")
    if not told or known != told:
        yield f"{wanted} set up the instance {known!r}, and this is {told!r}"
    name, told_name = facts.one("known_host_name"), facts.one("told_host_name").partition(".")[0]
    if not told_name:
        yield "the metadata service gives no host name"
    elif name.partition(".")[0] != told_name:
        yield f"the host name is {name!r} instead of {told_name!r}"
    if facts.one("key_taken") != "yes":
        yield "the key that the metadata service gives is not among the user's authorized keys"
