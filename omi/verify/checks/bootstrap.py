"""The set-up of the new instance from its metadata."""

from __future__ import annotations

from collections.abc import Iterator

from omi.verify.facts import Expected, Facts


def check_bootstrap(facts: Facts, expected: Expected) -> Iterator[str]:
    """The profile's bootstrap is there and done; instance, host name and key are the metadata service's.

    omi.verify.checks.files checks whether the host key came with the image.
    """
    if not facts.values.get("host_key"):
        yield "there is no SSH host key"
    wanted = expected.build.bootstrap
    found = facts.one("bootstrap")
    if found != wanted:
        yield f"the instance is set up by {found or 'nothing'} instead of {wanted}"
        return
    if facts.one("bootstrap_status") != "complete":
        yield f"{wanted} has not completed its set-up of the instance"
    given, known = facts.one("metadata_instance"), facts.one("known_instance")
    if not given or known != given:
        yield f"{wanted} set up the instance {known!r}, and this is {given!r}"
    name, given_name = facts.one("known_host_name"), facts.one("metadata_host_name").partition(".")[0]
    if not given_name:
        yield "the metadata service gives no host name"
    elif name.partition(".")[0] != given_name:
        yield f"the host name is {name!r} instead of {given_name!r}"
    if facts.one("key_taken") != "yes":
        yield "the key that the metadata service gives is not among the user's authorized keys"
