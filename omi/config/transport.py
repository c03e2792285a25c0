"""Checks that a stack's endpoints keep its key and its requests safe: verified TLS, except on loopback."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from omi.state.image import CloudAccess
from omi.support.errors import SettingsError
from omi.support.places import expand

_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SWITCHES = re.compile(
    r"(OSC|OUTSCALE|AWS|PACKER|PKR_VAR)_\w*(INSECURE|SKIP_(TLS|SSL)|(TLS|SSL)_SKIP|NO_VERIFY)\w*", re.I
)
"""Variables that have tools verify no certificates."""
_OFF = frozenset({"", "0", "false", "no", "off"})


def check_transport(access: CloudAccess, environ: Mapping[str, str]) -> None:
    """SettingsError, naming what to change, unless every call goes over verified TLS or stays on this machine.

    Nothing turns verification off. Whoever tries gets an error, so as not to believe that it is off. A file of another
    authority (`cloud.ca_file`) must hold certificates.
    """
    check_region("region", access.region)
    for key, url in (("cloud.api", access.api), ("cloud.oos", access.object_store)):
        check_url(key, url)
    for name, value in environ.items():
        off = name == "PYTHONHTTPSVERIFY" and value == "0"
        if off or (_SWITCHES.fullmatch(name) and value.strip().lower() not in _OFF):
            raise SettingsError(
                f"environment: {name} asks not to verify TLS certificates, which is always done here: unset it; "
                "for a private authority set cloud.ca_file to its PEM file"
            )
    if access.ca_file is not None:
        _check_authority("cloud.ca_file", access.ca_file, "start the local cloud or correct the path")
    elif bundle := environ.get("AWS_CA_BUNDLE"):
        _check_authority("environment: AWS_CA_BUNDLE", bundle, "correct or unset it")


def check_region(key: str, name: str) -> None:
    """SettingsError unless it can be a Region's name, which becomes part of URLs and of paths."""
    if not _REGION.fullmatch(name):
        raise SettingsError(f"stack config: {key}: {name!r} is not a Region's name; like eu-west-2")


def check_url(key: str, url: str, *, of_mirror: bool = False) -> None:
    """SettingsError unless it is a whole https URL, or http on loopback, without a user or password in it.

    A mirror's may be plain http, which apk accepts, since packages and indexes are signed.
    """
    where = f"stack config: {key}"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise SettingsError(f"{where}: {url!r} is not a URL ({error}); give one like https://HOST/PATH") from error
    if parts.username is not None or parts.password is not None:
        raise SettingsError(f"{where}: holds a user name or password, which config and state must not; take it out")
    if parts.scheme not in ("https", "http") or not host or _odd(url, parts):
        raise SettingsError(f"{where}: {url!r} is not an https URL; give one like https://HOST/PATH")
    if parts.scheme == "http" and not of_mirror and not is_loopback(host):
        raise SettingsError(
            f"{where}: {url} is not encrypted, which only a sandbox on this machine (127.0.0.1) may do; "
            "give its https URL, and for a private authority cloud.ca_file"
        )


def is_loopback(host: str) -> bool:
    """Whether the name or address can only be this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _odd(url: str, parts: SplitResult) -> bool:
    return (
        bool(parts.query or parts.fragment) or not re.fullmatch(r"[!-~]+", url) or bool(set(url) & set("\"'\\<>`{}|^"))
    )


def _check_authority(key: str, file: str, cure: str) -> None:
    path = expand(file)
    if not path.is_file():
        raise SettingsError(f"{key}: {file}: no such file; {cure}")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=path)
        certificates = context.cert_store_stats()["x509_ca"]
    except (OSError, ValueError) as error:
        raise SettingsError(f"{key}: {file}: cannot be read as PEM certificates ({error})") from error
    if not certificates:
        raise SettingsError(f"{key}: {file}: holds no certificate of an authority; name the one to trust")
