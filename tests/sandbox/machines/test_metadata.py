from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection, RemoteDisconnected

import pytest

from sandbox.machines.metadata import MetadataService
from sandbox.machines.protocol import Metadata

ENTRIES = {
    "meta-data/instance-id": b"i-1",
    "meta-data/hostname": b"ip-10-0-0-4",
    "meta-data/placement/availability-zone": b"eu-west-2a",
    "meta-data/public-keys/0/openssh-key": b"ssh-ed25519 AAAA me\n",
    "user-data": b"#!/bin/sh\n\x00\xff",
}


@pytest.fixture
def service() -> Iterator[MetadataService]:
    service = MetadataService(Metadata(ENTRIES))
    yield service
    service.close()


def ask(service: MetadataService, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", service.port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("version", ["latest", "2009-04-04", "2021-03-23", "1.0"])
def test_entries_are_served_under_each_version(service: MetadataService, version: str) -> None:
    assert ask(service, f"/{version}/meta-data/instance-id") == (200, b"i-1")
    assert ask(service, f"/{version}/user-data") == (200, b"#!/bin/sh\n\x00\xff")


@pytest.mark.parametrize(
    ("path", "listed"),
    [
        ("/latest/meta-data/", b"hostname\ninstance-id\nplacement/\npublic-keys/"),
        ("/latest/meta-data", b"hostname\ninstance-id\nplacement/\npublic-keys/"),
        ("/latest/meta-data/placement/", b"availability-zone"),
        ("/latest/meta-data/public-keys/", b"0=key-0"),
        ("/latest/meta-data/public-keys/0/", b"openssh-key"),
        ("/latest/", b"meta-data/\nuser-data"),
    ],
)
def test_folders_are_listed(service: MetadataService, path: str, listed: bytes) -> None:
    assert ask(service, path) == (200, listed)


@pytest.mark.parametrize(
    "path", ["/latest/meta-data/public-ipv4", "/latest/dynamic/", "/newest/user-data", "/latest/meta-data/host"]
)
def test_what_is_not_there_is_404(service: MetadataService, path: str) -> None:
    assert ask(service, path)[0] == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_there_is_no_token_service(service: MetadataService, method: str) -> None:
    assert ask(service, "/latest/api/token", method) == (405, b"")


def test_new_metadata_is_served_at_once(service: MetadataService) -> None:
    service.set(Metadata({**ENTRIES, "meta-data/public-ipv4": b"127.1.2.3"}))

    assert ask(service, "/latest/meta-data/public-ipv4") == (200, b"127.1.2.3")


def test_a_given_entry_stands_before_the_listing(service: MetadataService) -> None:
    service.set(Metadata({**ENTRIES, "meta-data/public-keys/": b"0=mine"}))

    assert ask(service, "/latest/meta-data/public-keys/") == (200, b"0=mine")


def test_a_late_service_answers_nothing(service: MetadataService) -> None:
    service.be_silent(3600)
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        ask(service, "/latest/meta-data/instance-id")

    service.be_silent(0)
    assert ask(service, "/latest/meta-data/instance-id") == (200, b"i-1")
