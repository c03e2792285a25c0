"""SSH, as far as it is seen from inside."""

from __future__ import annotations

from collections.abc import Iterator

from omi.verify.facts import Expected, Facts


def check_host_keys(facts: Facts, _expected: Expected) -> Iterator[str]:
    """There is a host key; omi.verify.checks.files says whether it came with the image."""
    if not facts.values.get("host_key"):
        yield "there is no SSH host key"
