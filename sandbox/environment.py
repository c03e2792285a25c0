"""Makes the environment of each program that the sandbox starts: none gets a key of the person who started it."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

_ANY = ("HOME", "LANG", "LANGUAGE", "LC_*", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER", "XDG_*")
"""Variables that any program may have, as patterns of the shell."""
FETCHING = ("*_proxy", "*_PROXY", "APT_CONFIG", "PIP_*", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_*")
"""Further variables for apt and pip, to reach their sources, perhaps with a password."""
SERVER = (*FETCHING, "ALPINE_OMI_*", "PYTHON*", "VIRTUAL_ENV")
"""Further variables for the server, which starts all other programs."""
TERMINAL = ("SSH_AUTH_SOCK", "TERM", "COLORTERM")
"""Further variables for an ssh in which somebody works."""


def plain(*more: str) -> dict[str, str]:
    """The harmless variables and those that match one of `more`, except names that contain KEY."""
    patterns = (*_ANY, *more)
    named = {name for name in os.environ if any(fnmatchcase(name, each) for each in patterns)}
    return {name: value for name, value in os.environ.items() if name in named and not name.endswith("_KEY")}
