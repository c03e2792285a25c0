"""The sandbox's own certificate authority and the certificate of its HTTPS address."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from pathlib import Path

import trustme
from cryptography import x509

SERVER_LIFE = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=30)


def server_context(home: Path) -> ssl.SSLContext:
    """Make or reuse the certificates in `home` (`ca.pem`, `ca.key`, `server.pem`) and load them.

    A certificate that ends within 30 days is made anew; the CA outlives the servers it signs.
    """
    ca_cert, ca_key = home / "ca.pem", home / "ca.key"
    server = home / "server.pem"
    if not (_valid(ca_cert) and ca_key.exists()):
        authority = trustme.CA(organization_name="Local OUTSCALE sandbox CA")
        _write(ca_key, authority.private_key_pem.bytes(), 0o600)
        _write(ca_cert, authority.cert_pem.bytes(), 0o644)
        server.unlink(missing_ok=True)
    if not _valid(server):
        authority = trustme.CA.from_pem(ca_cert.read_bytes(), ca_key.read_bytes())
        made = authority.issue_cert("localhost", "127.0.0.1", not_after=dt.datetime.now(dt.UTC) + SERVER_LIFE)
        _write(server, made.private_key_and_cert_chain_pem.bytes(), 0o600)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(server)
    return context


def _valid(path: Path) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    return certificate.not_valid_after_utc - dt.datetime.now(dt.UTC) > RENEW_BEFORE


def _write(path: Path, content: bytes, mode: int) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(content)
    fresh.replace(path)
