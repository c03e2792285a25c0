"""Explains why the cloud can't be reached: each cause with its own name and cure."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies

from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import LocationParseError
from urllib3.util.ssl_match_hostname import CertificateError

from omi.state.image import CloudAccess
from omi.support.errors import CloudError, CredentialsError, one_line

_SHOWN = 160
"""Characters of a library's words that are shown."""
SKEW = 120.0
"""If this machine's clock is off by more seconds, a refused signature is blamed on it."""
_UNROUTED = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
_LOCAL = "for the local cloud run `python -m sandbox start`"


def unreached(error: BotoCoreError, action: str, url: str, access: CloudAccess) -> CloudError:
    """The project's error for botocore's, on a call to `url`."""
    host = urlsplit(url).hostname or url
    causes = list(_causes(error))
    if _is_of_proxy(error, causes, url):
        return CloudError(f"{url}: {_of_proxy(url, causes)}")
    if isinstance(error, SSLError):
        return CloudError(f"{url}: {_of_tls(host, causes)}")
    if isinstance(error, ReadTimeoutError):
        return CloudError(
            f"{url}: no answer to {action} within {access.limits.answer} s (cloud.limits.answer); run again"
        )
    if isinstance(error, ConnectTimeoutError):
        return CloudError(
            f"{url}: no connection within {access.limits.connect} s (cloud.limits.connect): a firewall may be in the "
            "way; check the network, and set HTTPS_PROXY where a proxy is needed"
        )
    if isinstance(error, EndpointConnectionError):
        return CloudError(f"{url}: {_of_connection(host, causes, access.region)}")
    if isinstance(error, ConnectionClosedError):
        return CloudError(f"{url}: the connection was closed before {action} was answered; run again")
    reason = causes[-1] if causes else error
    return CloudError(f"{url}: {action} failed: {one_line(str(reason), _SHOWN)}; run again")


def clock_error(url: str, headers: Mapping[str, str]) -> CredentialsError | None:
    """The error for a signature that was refused because this machine's clock is wrong; None if it is right."""
    ahead = seconds_ahead(headers)
    if ahead is None or abs(ahead) <= SKEW:
        return None
    return CredentialsError(
        f"credentials: {url} refused the signature, and this machine's clock is {clock_words(ahead)}: "
        "set the clock (chronyd, ntpd), then run again; the access key may well be right"
    )


def seconds_ahead(headers: Mapping[str, str]) -> float | None:
    """Seconds that this machine's clock is ahead of a server's, by its answer just now; None if that has no date."""
    try:
        theirs = parsedate_to_datetime(next(value for name, value in headers.items() if name.lower() == "date"))
    except (StopIteration, ValueError):
        return None
    return (datetime.now(UTC) - theirs.replace(tzinfo=theirs.tzinfo or UTC)).total_seconds()


def clock_words(ahead: float) -> str:
    """A clock's difference in words."""
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's"


def _causes(error: BotoCoreError) -> Iterator[BaseException]:
    """The error's causes, outermost first."""
    cause: BaseException | None = error.kwargs.get("error")
    seen: set[int] = set()
    while isinstance(cause, BaseException) and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        inner = getattr(cause, "reason", None)
        if not isinstance(inner, BaseException):
            inner = getattr(cause, "original_error", None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__ or cause.__context__


def _is_of_proxy(error: BotoCoreError, causes: list[BaseException], url: str) -> bool:
    unparsed = any(isinstance(cause, LocationParseError) for cause in causes) and urlsplit(url).scheme in getproxies()
    return isinstance(error, ProxyConnectionError) or unparsed


def _of_proxy(url: str, causes: list[BaseException]) -> str:
    scheme = urlsplit(url).scheme
    given = getproxies().get(scheme, "that the environment names")
    name = next((name for name in os.environ if name.lower() == f"{scheme}_proxy"), f"{scheme.upper()}_PROXY")
    last = causes[-1] if causes else None
    kind, _, rest = given.partition("://")
    if rest and kind.lower() not in {"http", "https"}:
        why = f"{kind} is none of http and https"
    elif isinstance(last, socket.gaierror):
        why = "its host has no address"
    elif isinstance(last, OSError) and last.strerror:
        why = last.strerror
    else:
        why = one_line(str(last), _SHOWN)
    cure = f"put its user and password into {name}" if " 407 " in why else f"correct or unset {name}"
    shown = re.sub(r"//[^@/]*@", "//", given)
    return f"the proxy {shown} ({name}) did not connect to it ({why}); {cure}, or name the host in NO_PROXY"


def _of_tls(host: str, causes: list[BaseException]) -> str:
    found = next((cause for cause in causes if isinstance(cause, ssl.SSLError | CertificateError)), None)
    told = getattr(found, "verify_message", "") or getattr(found, "reason", "") or str(found or "no reason given")
    told = one_line(told, _SHOWN)
    if isinstance(found, ssl.SSLCertVerificationError | CertificateError):
        if "expired" in told or "not yet valid" in told:
            return (
                f"its TLS certificate is out of date ({told}): check this machine's clock; if that is right, tell who "
                "runs the endpoint"
            )
        if "match" in told:
            return (
                f"its TLS certificate is another host's ({told}): correct the endpoint's URL (cloud.api, cloud.oos), "
                "or find out who answers in its place"
            )
        return f"its TLS certificate is not trusted ({told}); set cloud.ca_file to the PEM file of its authority"
    return (
        f"{host} does not speak TLS as it should ({told}); check the endpoint's URL and port, and any proxy before it"
    )


def _of_connection(host: str, causes: list[BaseException], region: str) -> str:
    last: OSError | None = next((each for each in reversed(causes) if isinstance(each, OSError)), None)
    if isinstance(last, socket.gaierror):
        return (
            f"{host} has no address ({last.strerror}); check that Region {region} and the endpoint's URL are right, "
            "and that this machine's name server answers"
        )
    if isinstance(last, ConnectionRefusedError):
        return f"connection refused: nothing listens there; check the endpoint's URL and port, or {_LOCAL}"
    if last is not None and last.errno in _UNROUTED:
        return f"no route to {host} ({last.strerror}); check this machine's network"
    return f"cannot be reached ({one_line(str(last or causes[-1:]), _SHOWN)}); check the network"
