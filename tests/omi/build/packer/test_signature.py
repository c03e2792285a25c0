"""Only what was signed just now with the very keys counts, in both forms."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from omi.build.packer.signature import is_signed
from omi.outscale.credentials import Credentials
from tests.sandbox.client import osc4_headers

KEYS = Credentials("A" * 20, "s" * 40)
PATH, BODY = "/api/v1/ReadVms", b'{"Filters": {}}'
Headers = Mapping[str, str]


def by_osc4(keys: Credentials, path: str, body: bytes, when: dt.datetime) -> Headers:
    known = {"access_key": keys.access_key, "secret_key": keys.secret_key, "region": "eu-west-2"}
    return {name.lower(): value for name, value in osc4_headers(known, "127.0.0.1:9", path, body, when).items()}


def by_aws4(keys: Credentials, path: str, body: bytes, when: dt.datetime) -> Headers:
    """By botocore, as plugin 1.0.2's Go SDK does it."""
    request = AWSRequest("POST", f"https://127.0.0.1:9{path}", data=body, headers={"Content-Type": "application/json"})
    signer = SigV4Auth(ReadOnlyCredentials(keys.access_key, keys.secret_key, None), "oapi", "eu-west-2")
    request.headers["Host"] = "127.0.0.1:9"
    request.context["timestamp"] = when.strftime("%Y%m%dT%H%M%SZ")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    names = signer.signed_headers(signer.headers_to_sign(request))
    value = f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={names}, Signature={signature}"
    return {**{name.lower(): text for name, text in request.headers.items()}, "authorization": value}


FORMS = pytest.mark.parametrize("sign", [by_osc4, by_aws4])
Sign = Callable[[Credentials, str, bytes, dt.datetime], Headers]


@FORMS
def test_what_the_keys_signed_counts(sign: Sign) -> None:
    now = dt.datetime.now(dt.UTC)
    assert is_signed(PATH, sign(KEYS, PATH, BODY, now), BODY, KEYS, now)


@FORMS
def test_nothing_else_does(sign: Sign) -> None:
    now = dt.datetime.now(dt.UTC)
    good = sign(KEYS, PATH, BODY, now)
    for wrong in (Credentials(KEYS.access_key, "t" * 40), Credentials("B" * 20, KEYS.secret_key)):
        assert not is_signed(PATH, sign(wrong, PATH, BODY, now), BODY, KEYS, now)
    assert not is_signed("/api/v1/DeleteVms", good, BODY, KEYS, now)
    assert not is_signed(PATH, good, BODY + b" ", KEYS, now)
    for minutes in (-6, 6):
        assert not is_signed(PATH, good, BODY, KEYS, now + dt.timedelta(minutes=minutes))
    for name in good:
        if name != "content-length":
            assert not is_signed(PATH, {**good, name: good[name] + "x"}, BODY, KEYS, now), name
            assert not is_signed(PATH, {key: good[key] for key in good if key != name}, BODY, KEYS, now), name


@pytest.mark.parametrize(
    "value", ["", "Basic QTpi", "AWS4-HMAC-SHA256 Credential=A/b, SignedHeaders=host, Signature=" + "0" * 64]
)
def test_what_is_no_signature_is_refused(value: str) -> None:
    assert not is_signed(PATH, {"authorization": value, "host": "h"}, BODY, KEYS, dt.datetime.now(dt.UTC))
