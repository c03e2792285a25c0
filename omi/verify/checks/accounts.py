"""Accounts and their ways to log in."""

from __future__ import annotations

from collections.abc import Iterator

from omi.verify.facts import Expected, Facts


def check_accounts(facts: Facts, expected: Expected) -> Iterator[str]:
    """No account has a password, and the only key is the metadata service's."""
    passwords = facts.values.get("password", ())
    if not passwords and facts.one("become") != "nobody":
        yield "the accounts' passwords could not be read"
    for line in passwords:
        name, _, kind = line.rpartition(" ")
        if kind == "empty":
            yield f"the password of {name} is empty: anyone may log in"
        elif kind != "none":
            yield f"{name} has a password"
    if not facts.number("homes"):
        yield "the accounts' SSH keys could not be read"
    for line in facts.values.get("authorized_key", ()):
        file, _, key = line.partition(":")
        if facts.is_booted and expected.key and expected.key not in key:
            yield f"{file} lets in a key that is not the instance's"
