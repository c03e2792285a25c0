"""The environment of each program that the sandbox starts: none gets a key of the person who started it."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

_ANY = ("HOME", "LANG", "LANGUAGE", "LC_*", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER", "XDG_*")
"""Variables that any program may have, as patterns of the shell."""
FETCHING = ("*_proxy", "*_PROXY", "APT_CONFIG", "PIP_*", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_*")
"""Further ones for apt and pip: how to reach their sources, which may take a password."""
SERVER = (*FETCHING, "ALPINE_OMI_*", "PYTHON*", "VIRTUAL_ENV")
"""Further ones for the server, which starts all the others."""
TERMINAL = ("SSH_AUTH_SOCK", "TERM", "COLORTERM")
"""Further ones for an ssh that somebody works with."""


def plain(*more: str) -> dict[str, str]:
    """The variables that any program may have, and those that match one of `more`; none whose name says key."""
    patterns = (*_ANY, *more)
    named = {name for name in os.environ if any(fnmatchcase(name, each) for each in patterns)}
    return {name: value for name, value in os.environ.items() if name in named and not name.endswith("_KEY")}
