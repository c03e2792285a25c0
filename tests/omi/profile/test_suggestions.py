"""What an error suggests for a wrong value can be pasted, and is made of the user's own words where that can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from omi.profile.load import load_profile
from omi.support.errors import ProfileError

_REST = """
repos: {https://dl-cdn.alpinelinux.org/alpine/edge/testing: testing}
builds: {a: {version: "3.23"}}
"""
_PACKAGES = "{nginx: true, foot: testing, curl: false}"

SUGGESTED = [
    ("packages: %s", "curl", "{curl: true}"),
    ("packages: %s", "curl, jq", "{curl: true, jq: true}"),
    ("packages: %s", "[curl, {name: jq}]", "{curl: true, jq: true}"),
    ("packages: %s", "[curl, {jq: true}]", "{curl: true, jq: true}"),
    ("packages: %s", "['foot@testing', '!nano', curl~8]", "{foot: testing, nano: false, curl~8: true}"),
    ("packages: %s", "[curl, {name: jq, version: '1.7'}]", _PACKAGES),
    ("packages: %s", "[foot, 'foot@testing']", _PACKAGES),
    ("services: %s", "[nginx, crond]", "{default: {nginx: true, crond: true}}"),
    ("services: {default: %s}", "nginx", "{nginx: true}"),
    ("ports: %s", "[8080, 53/udp]", "{8080/tcp: true, 53/udp: true}"),
    ("ports: %s", "80:80", "{80/tcp: true, 443/tcp: true}"),
    ("sysctl: %s", "[net.ipv4.ip_forward=1]", "{net.ipv4.ip_forward: '1'}"),
    ("kernel_options: %s", "['console=ttyS0,115200n8', '!x@y']", "{'console=ttyS0,115200n8': true, '!x@y': true}"),
    ("setup_copy: %s", "[setup/x]", "{x: setup/x}"),
    ("tests: %s", "[setup/x]", "{x: setup/x}"),
    ("access: %s", "['123456789012', 210987654321]", "{accounts: {'123456789012': true, '210987654321': true}}"),
    ("access: {accounts: %s}", "['123456789012']", "{'123456789012': true}"),
    ("access: %s", "public", "{public: true}"),
]
"""A place in a profile, a wrong value there, and the map that is suggested instead."""


@pytest.mark.parametrize(("place", "wrong", "suggested"), SUGGESTED)
def test_what_is_suggested_passes_when_pasted(root: Path, place: str, wrong: str, suggested: str) -> None:
    (root / "setup").mkdir()
    (root / "setup" / "x").write_text("true\n")
    assert _suggested(root, place % wrong) == suggested
    (root / "web.yaml").write_text(place % suggested + _REST)
    assert load_profile("web", root).builds


@pytest.mark.parametrize("wrong", ["true", "everyone", "['12']", "[[public]]", "{accounts: [x]}", "{accounts: true}"])
def test_an_example_that_is_not_the_users_shares_no_image(root: Path, wrong: str) -> None:
    assert "true" not in _suggested(root, f"access: {wrong}")


def _suggested(root: Path, wrong: str) -> str:
    (root / "web.yaml").write_text(wrong + _REST)
    with pytest.raises(ProfileError) as caught:
        load_profile("web", root)
    return str(caught.value).partition(" such as ")[2]
