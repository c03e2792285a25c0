"""The way to the cloud is TLS, verified, but for a sandbox on loopback; asking for less is refused in a line."""

from __future__ import annotations

from pathlib import Path

import botocore
import pytest

from omi.config.settings import Settings
from omi.config.transport import check_transport
from omi.outscale.client import Cloud
from omi.state.image import CloudAccess
from omi.support.errors import OmiError, SettingsError
from tests.omi.config.test_settings import load
from tests.omi.specs import make_access
from tests.sandbox.client import Sandbox

GOOD = "https://api.eu-west-2.outscale.com/api/v1"
BUNDLE = Path(botocore.__file__).with_name("cacert.pem")
OOS = "https://oos.eu-west-2.outscale.com"


def access(api: str = GOOD, oos: str = OOS, ca_file: str | None = None, region: str = "eu-west-2") -> CloudAccess:
    return make_access(region=region, api=api, oos=oos, ca_file=ca_file)


@pytest.mark.parametrize(
    "url",
    [GOOD, "https://10.0.0.1:8443/api/v1", "http://127.0.0.1:7441/api/v1", "http://127.9.9.9/", "http://localhost:1", "http://[::1]:1/x"],
)  # fmt: skip
def test_https_or_loopback_is_taken(url: str) -> None:
    check_transport(access(url, url), {"OSC_ACCESS_KEY": "x", "AWS_CA_BUNDLE": str(BUNDLE), "OSC_INSECURE": "0"})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://api.eu-west-2.outscale.com/api/v1", "is not encrypted"),
        ("http://127.0.0.1.example.org/api/v1", "is not encrypted"),
        ("http://localhost.example.org/", "is not encrypted"),
        ("http://0.0.0.0/", "is not encrypted"),
        ("http://[::ffff:10.0.0.1]/", "is not encrypted"),
        ("HTTP://api.eu-west-2.outscale.com/", "is not encrypted"),
        ("https://AK:SK@api.eu-west-2.outscale.com/api/v1", "user name or password"),
        ("https://127.0.0.1@evil.example.org/", "user name or password"),
        ("file:///etc/passwd", "not an https URL"),
        ("ftp://127.0.0.1/", "not an https URL"),
        ("api.eu-west-2.outscale.com", "not an https URL"),
        ("https://evil.example.org/#.outscale.com", "not an https URL"),
        ("https://evil.example.org/?x", "not an https URL"),
        ("https://a b/", "not an https URL"),
        ("https://a\n/", "not an https URL"),
        ("https://[", "not a URL"),
        ("https://a:99999/", "not a URL"),
        ("", "not an https URL"),
    ],
)
def test_anything_else_is_refused_and_no_secret_is_told(url: str, said: str) -> None:
    for one, key in ((access(api=url), "cloud.api"), (access(oos=url or "oos"), "cloud.oos")):
        with pytest.raises(SettingsError, match=said) as raised:
            check_transport(one, {})
        assert key in str(raised.value)
        assert "SK" not in str(raised.value)


@pytest.mark.parametrize("key", ["vm", "upstream"])
def test_a_mirrors_login_is_refused_since_config_and_state_would_show_it(key: str) -> None:
    with pytest.raises(SettingsError, match=f"{key}.mirror: holds a user name or password") as raised:
        Settings.load({"region": "eu-west-2", key: {"mirror": "https://me:SK@mirror.example.org/alpine"}})
    assert "SK" not in str(raised.value)
    plain = {key: {"mirror": "http://mirror.example.org/alpine"}}
    assert Settings.load({"region": "eu-west-2", **plain})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OSC_INSECURE", "1"),
        ("OSC_TLS_SKIP_VERIFY", "true"),
        ("OSC_INSECURE_SKIP_TLS_VERIFY", "yes"),
        ("OUTSCALE_INSECURE", "True"),
        ("AWS_NO_VERIFY_SSL", "1"),
        ("PKR_VAR_insecure_skip_tls_verify", "true"),
        ("PYTHONHTTPSVERIFY", "0"),
    ],
)
def test_a_variable_that_turns_the_verifying_off_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"environment: {name} asks not to verify"):
        Cloud.connect(access(), {"OSC_ACCESS_KEY": "a", "OSC_SECRET_KEY": "b", name: value})


@pytest.mark.parametrize(
    "region", ["eu-west-2.evil.example.org/", "x/#", "../x", "EU WEST", "", "a\n", "-a", "@evil.example.org/"]
)
def test_a_region_can_not_lead_to_another_host(region: str) -> None:
    with pytest.raises(SettingsError, match="region"):
        check_transport(access(region=region), {})


@pytest.mark.parametrize("content", ["", "x", "-----BEGIN CERTIFICATE-----\n", None])
def test_a_file_without_an_authority_is_refused(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=r"cloud\.ca_file"):
        check_transport(access(ca_file=str(file)), {})


def test_a_server_that_no_authority_vouches_for_is_not_spoken_to(sandbox: Sandbox) -> None:
    api = sandbox.profiles["main"]["endpoints"]["api"]
    environ = {"OSC_ACCESS_KEY": "a", "OSC_SECRET_KEY": "b"}
    connected = Cloud.connect(access(api), environ)
    with pytest.raises(OmiError, match="not trusted"):
        _ = connected.account
    assert sandbox.control("GET", "calls") == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"upstream": {"releases": "http://alpinelinux.org/releases.json"}}, "upstream.releases.*not encrypted"),
        ({"upstream": {"releases": "file:///tmp/releases.json"}}, "upstream.releases"),
        ({"upstream": {"security": "http://secdb.alpinelinux.org"}}, "upstream.security.*not encrypted"),
        ({"upstream": {"mirror": "file:///srv/alpine"}}, "upstream.mirror"),
        ({"vm": {"mirror": 'http://x/"; reboot #'}}, "vm.mirror"),
        ({"vm": {"mirror": "http://x/\n@evil http://y"}}, "vm.mirror"),
        ({"vm": {"ssh_user": "-oProxyCommand=id"}}, "vm.ssh_user"),
        ({"releases_dir": "a\0b"}, "releases_dir.*control character"),
        ({"retention": {"protect": ["a", "b\x1b[2J"]}}, r"retention\.protect\[1\].*control character"),
    ],
)
def test_settings_that_would_break_out_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(**values)


def test_a_plain_mirror_is_taken_since_its_packages_are_signed() -> None:
    loaded = load(upstream={"mirror": "http://mirror.example.org/alpine"})
    assert loaded.upstream.mirror == "http://mirror.example.org/alpine"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "no such file; correct or unset it"), ("x", "cannot be read as PEM")]
)
def test_a_bundle_of_the_environment_that_is_none_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(SettingsError, match=f"environment: AWS_CA_BUNDLE: {bundle}: {said}"):
        check_transport(access(), {"AWS_CA_BUNDLE": str(bundle)})
