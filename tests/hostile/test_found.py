"""What was once found to end in another exception than ours; each is refused in a line now, or read."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from omi.outscale.client import _ApiAnswer
from omi.publish.releases import to_yaml
from omi.support.errors import CloudError
from tests.hostile.strategies import LONG_NUMBER
from tests.hostile.targets import ACCOUNT, TARGETS, _cloud, _entry, _outputs, check

BUILD = "version: '3.23', arch: x86_64"


def profile(more: str) -> str:
    return f"builds: {{a: {{{BUILD}, {more}}}}}"


def releases(**branch: Any) -> str:
    return json.dumps({"release_branches": [{"rel_branch": "v3.23", "releases": [{"version": "3.23.1"}], **branch}]})


def export(resource: Any) -> str:
    return json.dumps({"deployment": {"resources": [resource]}})


COMMAND = {"urn": "urn:x::y", "type": "command:local:Command"}
FOUND = [
    ("latest-releases.yaml", f"- {{version: 3.23.{LONG_NUMBER}, arch: x86_64}}", None),
    ("latest-releases.yaml", "[" * 3000, "nest"),
    ("releases.json", releases(releases=[{"version": f"3.23.{LONG_NUMBER}"}]), None),
    ("releases file", to_yaml([_entry()]).replace("release: 3.23.6", "release: 3.2"), "release"),
    ("releases file", "a: {b: {c: {release: 2027-02-30}}}", "not YAML"),
    (
        "releases file",
        to_yaml([_entry()]).replace("eu-west-2: ami-12345678", "us-east-2: ami-12345678"),
        None,
    ),
    ("profile", profile(f"volume_size: {LONG_NUMBER}"), "from 1 to 14901"),
    ("profile", profile(f"sysctl: {{a.b: {LONG_NUMBER}}}"), None),
    ("profile", "a: " * 3000, "is not YAML"),
    ("stack config", "config: {alpine-omi:region: 2027-02-30}", "not YAML"),
    ("stack config", "config: {alpine-omi:region: !!int ''}", "not YAML"),
    ("stack config", "config: {alpine-omi:region: !!timestamp x}", "not YAML"),
    ("stack config", "config: {alpine-omi:region: a, alpine-omi:region: b}", "twice"),
    ("stack config", "- config", "a map"),
    ("stack config", "config: [a]", "a map"),
    ("stack config", "[" * 3000, "nest"),
    ("APKINDEX records", f"P:nginx\nV:1\n\nP:nginx\nV:{LONG_NUMBER}\n\nP:openssl\nV:3.5.1\n\n", None),
    ("facts of a VM", f"booted={LONG_NUMBER}", None),
    ("ledger entry", _outputs()["stdin"].replace('"release":"3.23.6"', f'"release":"3.{LONG_NUMBER}"'), None),
    ("OAPI answer", "", None),
    (
        "OAPI answer",
        '{"Volumes": [{}], "Vms": [], "Snapshots": [{"SnapshotId": "snap-12345678", "Progress": ' + LONG_NUMBER + "}]}",
        None,
    ),
    ("OAPI answer", json.dumps({"SecurityGroups": [{"SecurityGroupName": "alpine-omi-b-0123456789abcdef"}]}), None),
    ("OAPI answer", json.dumps({"Vms": {}, "SecurityGroup": [], "Image": 5, "ConsoleOutput": "a"}), None),
    ("OAPI refusal", "\x01", None),
    ("OAPI answer", json.dumps({"Accounts": [{"AccountId": ACCOUNT}], "Images": {"0": None}, "Vms": []}), None),
    ("OAPI answer", json.dumps({"Accounts": [{"AccountId": ACCOUNT}], "Images": True, "Vms": []}), None),
    ("OAPI refusal", "[" * 100_000, None),
    ("stack export", export({**COMMAND, "outputs": 5}), "not a map"),
    ("stack export", export(5), "can't be read"),
    ("stack export", json.dumps({"deployment": {"resources": True}}), "can't be read"),
    ("stack export", json.dumps({"deployment": 5}), "no deployment"),
    ("stack export", "[" * 100_000, "not JSON"),
    ("credentials file", "[" * 100_000, "not JSON"),
    ("old releases", "[" * 3000, "nest"),
    ("Packer's output", "    outscale-bsusurrogate.alpine: guest: RESULT " + "[" * 100_000, "names no OMI"),
]


def test_a_list_whose_pages_never_end_is_left() -> None:
    tokens = itertools.count()

    def answer(_: str) -> _ApiAnswer:
        return _ApiAnswer(200, json.dumps({"Vms": [], "NextPageToken": f"{next(tokens)}"}).encode())

    with pytest.raises(CloudError, match="its list has no end"):
        list(_cloud(answer).read_all("ReadVms", "Vms", {}))


@pytest.mark.parametrize(("name", "text", "said"), FOUND, ids=[f"{name} {n}" for n, (name, _, _) in enumerate(FOUND)])
def test_it_is_read_or_refused(name: str, text: str, said: str | None) -> None:
    message = check(TARGETS[name], text.encode())
    if said is not None:
        assert message is not None
        assert said in message
