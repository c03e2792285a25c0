"""Everything that reads what someone else wrote, each as a function of bytes: it ends with a value or an OmiError.

Used by hypothesis (test_parsers.py) and by a coverage-guided fuzzer (fuzz.py).
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from omi.build.packer.attempt import artifact
from omi.build.packer.progress import PackerOutput
from omi.config.settings import Settings
from omi.config.stack import stack_config
from omi.outscale.account import read_account
from omi.outscale.client import Cloud, _ApiAnswer
from omi.outscale.credentials import Credentials, read_profile
from omi.outscale.entry import find_groups, open_group
from omi.outscale.images import find_own, read_omi, read_snapshots, register_from, snapshots_of
from omi.outscale.publishing import close_snapshots, share
from omi.outscale.shapes import CloudVolume, Omi, listed
from omi.outscale.subnets import find_subnet
from omi.outscale.sweep import Builds, Search, clean_up
from omi.outscale.vms import Launch, console_tail, launch_vm, read_vm
from omi.profile.load import load_profile
from omi.publish.atom import render_atom
from omi.publish.documents.installed import packages_text, read_installed
from omi.publish.feed import Feed, feed_of
from omi.publish.manifest import PublishedManifest
from omi.publish.model import published, with_images
from omi.publish.old import read_old_releases
from omi.publish.readme import render_readme
from omi.publish.releases import from_yaml, to_yaml
from omi.publish.site.pages import pages_of
from omi.publish.site.write import render_pages
from omi.state.image import BuildVm, ImageRecord
from omi.state.ledger import StoredCommand, read_ledger, resources_of_export
from omi.state.owner import entry_name
from omi.state.release_file import read_indexes, read_release
from omi.support.dependency import read_dependency
from omi.support.errors import OmiError
from omi.upstream.fetch import read_latest, read_releases
from omi.upstream.http import AnswerStore
from omi.upstream.index import read_index
from omi.upstream.offer import Offer
from omi.upstream.security import fixed_between, read_fixes
from omi.verify.facts import Facts
from tests.omi.specs import OWNER, make_access, make_record, make_spec
from tests.omi.upstream.packages import Key, index_text, signed

_ENTRY: str = entry_name(OWNER, "b-0123456789abcdef")
TOP = Path(__file__).resolve().parents[2]
ACCESS = make_access(region="eu-west-2", api="https://127.0.0.1:9/api/v1")
KEYS = Credentials("AKHOSTILE", "SKHOSTILE", "a test")
ACCOUNT = "123456789012"
LONGEST_MESSAGE = 10_000


@dataclass(frozen=True)
class Target:
    """A reader, and what it usually reads."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    structured: bool = False
    """Whether the seeds are JSON, so that one of their values may be replaced by another."""


def check(target: Target, data: bytes) -> str | None:
    """Run it; returns the error's message if it refused. Anything but a value or a one-line OmiError raises."""
    try:
        with patch("omi.outscale.client._pause"):
            target.read(data)
    except OmiError as error:
        message = str(error)
        assert message, "an error that says nothing"
        wrong = [c for c in message if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}]
        assert not wrong, f"not one printable line: {message!r}"
        assert len(message) <= LONGEST_MESSAGE, f"{len(message)} characters of error"
        return message
    return None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@cache
def scratch() -> Path:
    """A folder for what has to be a file, with a copy of the profiles in it; it ends with the process."""
    folder = Path(tempfile.mkdtemp(prefix="omi-hostile-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(TOP / "profiles", folder / "profiles")
    (folder / "stacks").mkdir()
    return folder


def _profile(data: bytes) -> object:
    (scratch() / "profiles" / "hostile.yaml").write_bytes(data)
    return load_profile("hostile", scratch() / "profiles")


def _stack(data: bytes) -> object:
    (scratch() / "stacks" / "Pulumi.hostile.yaml").write_bytes(data)
    settings = Settings.load(stack_config("hostile", scratch() / "stacks"))
    return settings.cloud_access()


def _old(data: bytes) -> object:
    path = scratch() / "old.yaml"
    path.write_bytes(data)
    return read_old_releases(path)


def _manifest(data: bytes) -> str:
    (scratch() / "manifest.txt").write_bytes(data)
    read = PublishedManifest.read(scratch())
    return read.to_text() if read else ""


def _releases_file(data: bytes) -> str:
    entries = from_yaml(_text(data), "releases/alpine.yaml")
    entries = with_images(entries, [_entry()])
    feed = feed_of("alpine", entries)
    return to_yaml(entries) + render_readme({"alpine": entries}) + render_atom(feed) + feed.to_json()


def _feed(data: bytes) -> str:
    """A JSON feed as the site reads it; what it makes of it is text that can be written."""
    path = scratch() / "alpine.json"
    path.write_bytes(data)
    pages = pages_of([Feed.read(path)], lambda href, sha256: "")
    return "".join(text for _, text in render_pages(pages))


def _latest(data: bytes) -> object:
    return read_latest(data, "3.23", "x86_64")


def _fixes(data: bytes) -> object:
    found = read_fixes(data, "v3.23/main")
    return [fixed_between(fixes.items(), "1.2-r3") for fixes in found.values()]


@cache
def _key() -> Key:
    return Key()


def _index(data: bytes) -> object:
    """The archive itself."""
    return read_index(data, _key().trusted, "x86_64", "the index")


def _index_records(data: bytes) -> object:
    """What is in an archive whose signature is right."""
    index = read_index(signed(data, _key()), _key().trusted, "x86_64", "the index")
    asked = tuple(map(read_dependency, ("nginx", "openssl~3.5", "!vlan")))
    return [Offer([(None, index)], asked).newest(name) for name in ("nginx", "openssl", "vlan")]


def _cloud(answers: Callable[[str], _ApiAnswer]) -> Cloud:
    cloud = Cloud(ACCESS, KEYS)
    cloud._post = lambda action, _: answers(action)  # type: ignore[method-assign, assignment]
    return cloud


_CALLS: tuple[Callable[[Cloud], object], ...] = (
    lambda cloud: cloud.account,
    lambda cloud: find_own(cloud, "alpine-3.23.6-x86_64-r0"),
    lambda cloud: read_omi(cloud, "ami-12345678"),
    lambda cloud: read_snapshots(cloud, ["snap-12345678"]),
    lambda cloud: snapshots_of(cloud, ["vol-12345678"]),
    lambda cloud: register_from(cloud, _omi(), "other", "d", ("uefi",), "standard"),
    lambda cloud: share(cloud, "ami-12345678", make_spec().access),
    lambda cloud: close_snapshots(cloud, ["snap-12345678"]),
    lambda cloud: read_vm(cloud, "i-12345678"),
    lambda cloud: listed(cloud, CloudVolume, VolumeIds=("vol-12345678",)),
    lambda cloud: console_tail(cloud, "i-12345678", 5),
    lambda cloud: find_groups(cloud, _ENTRY),
    lambda cloud: open_group(cloud, _ENTRY, 22, "127.0.0.1/32"),
    lambda cloud: find_subnet(cloud, BuildVm(subnet="subnet-12345678")),
    lambda cloud: launch_vm(cloud, Launch("ami-1", "tinav6.c1r1p2", "key", "sg-1", "/dev/sda1", 1, {"a": "b"}, "uefi")),
    lambda cloud: clean_up(Search(cloud, Builds(OWNER, frozenset({"a"}))), lambda _: None),
    lambda cloud: read_account(cloud, OWNER),
)
_ACCOUNT = json.dumps({"Accounts": [{"AccountId": ACCOUNT}]}).encode()


def _answered(data: bytes) -> object:
    """`data` for every answer, and for all but the account's number."""
    kept: list[object] = []
    for call in _CALLS:
        for known in (False, True):

            def run(call: Callable[[Cloud], object] = call, known: bool = known) -> object:
                return call(
                    _cloud(lambda action: _ApiAnswer(200, _ACCOUNT if known and action == "ReadAccounts" else data))
                )

            with_error(run, kept)
    return kept


def _refused(data: bytes) -> object:
    kept: list[object] = []
    for status in (400, 401, 409, 404, 200, 302):

        def call(status: int = status) -> object:
            return _cloud(lambda _: _ApiAnswer(status, data)).call("ReadVms")

        with_error(call, kept)
    return kept


def with_error(call: Callable[[], object], kept: list[object]) -> None:
    """Call it; the last error is what the target raises in the end, so that its message is looked at, too."""
    target = Target(lambda _: kept.append(call()), ())
    check(target, b"")


def _omi() -> Omi:
    return Omi.model_validate({**_IMAGE, "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Bsu": _BSU}]})


def _ledger(data: bytes) -> object:
    """Every text of one entry may be `data`."""
    good = _outputs()
    kept: list[object] = []
    for key in good:

        def call(key: str = key) -> object:
            outputs = {**good, key: _text(data)}
            resource = {"type": "command:local:Command", "outputs": outputs}
            return read_ledger({"urn:pulumi:test::alpine-omi::command:local:Command::image": resource})

        with_error(call, kept)
    return kept


def _export(data: bytes) -> object:
    from omi.config.stack import deployment_of

    return read_ledger(resources_of_export(deployment_of(_text(data), "test")))


def _credentials(data: bytes) -> object:
    path = scratch() / "config.json"
    path.write_bytes(data)
    return read_profile(path, "main", "eu-west-2")


def _packer(data: bytes) -> object:
    output = PackerOutput()
    for line in _text(data).split("\n"):
        output.feed(line)
    manifest = scratch() / "manifest.json"
    manifest.write_bytes(data)
    return output.reason, artifact(manifest)


def _documents(data: bytes) -> object:
    return packages_text(read_installed(_text(data), "packages"))


def _release(data: bytes) -> object:
    release = read_release(_text(data).splitlines())
    return read_indexes(release), Facts.parse(_text(data)).number("booted")


def _cache(data: bytes) -> object:
    """What lies in the cache of Alpine's answers."""
    store = AnswerStore(scratch() / "cache")
    path = store._path("https://example.org/releases.json")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return store.load("https://example.org/releases.json")


@cache
def _record() -> ImageRecord:
    return make_record(account=ACCOUNT, documents={"packages": "sha256:" + "0" * 64})


def _entry() -> Any:
    return published(make_spec(), _record())


def _outputs() -> dict[str, str]:
    spec = make_spec()
    command = StoredCommand.of("build", spec)
    return {
        "create": command.create,
        "update": command.update,
        "delete": command.delete,
        "stdin": command.stdin,
        "stdout": _record().to_json(),
    }


def _as_json(text: str) -> bytes:
    """YAML as JSON, which is YAML, too: then one of its values can be replaced."""
    return json.dumps(yaml.safe_load(text), default=str).encode()


_STACK = (TOP / "stacks" / "Pulumi.sandbox.yaml").read_text(encoding="utf-8")
_WHOLE_STACK = {
    "alpine-omi:region": "eu-west-2",
    "alpine-omi:builds": ["a"],
    "alpine-omi:retention": {"release": {"keep": 2, "builds": ["a"]}, "protect": ["x"], "max_prunes": 3},
    "alpine-omi:cloud": {"api": "https://127.0.0.1:1/api/v1", "osc_profile": "main"},
    "alpine-omi:adopt": [{"name": "n", "omi": "ami-12345678", "build": "a", "release": "3.23.6", "revision": 1}],
}
_RELEASES = {
    "latest_stable": "v3.23",
    "release_branches": [
        {
            "rel_branch": "v3.23",
            "eol_date": "2027-11-01",
            "arches": ["x86_64"],
            "releases": [{"version": "3.23.6", "date": "2026-10-01"}],
            "keys": {"x86_64": [{"url": "https://x/k.rsa.pub", "deprecated_since": "2026-01-01"}]},
        }
    ],
}
_SECDB = {
    "distroversion": "v3.23",
    "reponame": "main",
    "packages": [{"pkg": {"name": "nginx", "secfixes": {"1.2-r4": ["CVE-2026-1"], "0": ["CVE-2026-2"]}}}],
}
_OLD = {
    "alpine": {
        "3.12.0": {
            "n": {
                "profile_build": "b",
                "release": "3.12.0",
                "revision": "r1",
                "build_time": 1630478686,
                "arch": "x86_64",
                "artifacts": {"eu-west-2": "ami-1"},
            }
        }
    }
}
_IMAGE = {
    "ImageId": "ami-12345678",
    "AccountId": ACCOUNT,
    "ImageName": "alpine",
    "State": "available",
    "Description": "d",
    "BootModes": ["uefi"],
    "Tags": [{"Key": "project", "Value": "alpine-omi"}],
    "PermissionsToLaunch": {"AccountIds": [ACCOUNT], "GlobalPermission": False},
}
_BSU = {"SnapshotId": "snap-12345678", "VolumeSize": 1}
_GROUP = {"SecurityGroupId": "sg-12345678", "SecurityGroupName": _ENTRY}
_OAPI = {
    "Accounts": [{"AccountId": ACCOUNT}],
    "Images": [_IMAGE],
    "Image": _IMAGE,
    "Vms": [{"VmId": "i-12345678", "ImageId": "ami-12345678", "State": "running", "KeypairName": "key"}],
    "Snapshots": [{"SnapshotId": "snap-12345678", "Progress": 10, "State": "completed", "VolumeId": "vol-12345678"}],
    "Volumes": [{"VolumeId": "vol-12345678", "Tags": [{"Key": "build-id", "Value": "b-1"}]}],
    "Keypairs": [{"KeypairName": f"{_ENTRY}-build"}],
    "SecurityGroups": [_GROUP],
    "SecurityGroup": _GROUP,
    "ConsoleOutput": "aGVsbG8=",
}
_PACKER = b"""==> outscale-bsusurrogate.alpine: guest: STEP making the filesystem
    outscale-bsusurrogate.alpine: guest: RESULT {"used_bytes": 1, "trimmed_bytes": 2, "packages": 3}
Build 'outscale-bsusurrogate.alpine' errored after 1 minute: Script exited with non-zero exit status: 1."""
_MANIFEST = {"builds": [{"artifact_id": "eu-west-2:ami-12345678"}], "last_run_uuid": "1"}
_INSTALLED = b"C:Q1abc=\nP:musl\nV:1.2.5-r1\nA:x86_64\nI:10\nL:MIT\no:musl\n\nP:b\nV:1\nA:noarch\nC:Q1x\n"


def _deployment() -> bytes:
    resource = {
        "urn": "urn:pulumi:test::alpine-omi::command:local:Command::image",
        "type": "command:local:Command",
        "outputs": _outputs(),
    }
    return json.dumps({"version": 3, "deployment": {"resources": [resource]}}).encode()


def _targets() -> dict[str, Target]:
    build = {"version": "3.23", "arch": "x86_64"}
    profile = (TOP / "profiles" / "test.yaml").read_text(encoding="utf-8")
    index = index_text({"nginx": "1-r0", "openssl": "3.5.1"})
    return {
        "profile": Target(_profile, (profile.encode(), b"builds:\n  a: {version: '3.23', arch: x86_64}\n")),
        "profile values": Target(
            _profile, (_as_json(profile), json.dumps({"builds": {"a": build}, "motd": "x"}).encode()), structured=True
        ),
        "stack config": Target(_stack, (_STACK.encode(),)),
        "stack values": Target(_stack, (_as_json(_STACK), json.dumps({"config": _WHOLE_STACK}).encode()), True),
        "releases.json": Target(read_releases, (json.dumps(_RELEASES).encode(),), True),
        "latest-releases.yaml": Target(
            _latest, (b"---\n- {version: 3.23.6, arch: x86_64}\n", b'[{"version": "3.23.6", "arch": "x86_64"}]'), True
        ),
        "security data": Target(_fixes, (json.dumps(_SECDB).encode(),), True),
        "APKINDEX archive": Target(_index, (signed(index, _key()),)),
        "APKINDEX records": Target(_index_records, (index.encode(),)),
        "old releases": Target(_old, (json.dumps(_OLD).encode(), yaml.safe_dump(_OLD).encode()), True),
        "manifest": Target(_manifest, (PublishedManifest("one", 1_795_392_000, {"a b": "0" * 64}).to_text().encode(),)),
        "releases file": Target(_releases_file, (_as_json(to_yaml([_entry()])), to_yaml([_entry()]).encode()), True),
        "OAPI answer": Target(_answered, (json.dumps(_OAPI).encode(),), True),
        "OAPI refusal": Target(
            _refused,
            (json.dumps({"Errors": [{"Code": "9015", "Type": "ResourceConflict", "Details": "x"}]}).encode(),),
            True,
        ),
        "ledger entry": Target(
            _ledger, (_outputs()["stdin"].encode(), _outputs()["stdout"].encode(), b"exec true"), True
        ),
        "stack export": Target(_export, (_deployment(),), True),
        "credentials file": Target(
            _credentials,
            (json.dumps({"main": {"access_key": "A", "secret_key": "S", "region": "eu-west-2"}}).encode(),),
            True,
        ),
        "Packer's output": Target(_packer, (json.dumps(_MANIFEST).encode(), _PACKER), True),
        "installed packages": Target(_documents, (_INSTALLED,)),
        "facts of a VM": Target(
            _release, (b'NAME="a"\nINDEX_1="sha256:' + b"0" * 64 + b' https://x/APKINDEX.tar.gz"',)
        ),
        "JSON feed": Target(_feed, (feed_of("alpine", [_entry()]).to_json().encode(),), True),
        "cache of answers": Target(_cache, (b'{"url": "https://example.org/releases.json", "etag": "x"}\n{}',)),
    }


TARGETS = _targets()
