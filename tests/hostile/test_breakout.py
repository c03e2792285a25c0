"""Values stay values wherever they are written to: a shell, Packer's JSON, Markdown, a path."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omi.build.guest_data import env_text, guest_values
from omi.build.origin import Origin
from omi.build.packer.gateway import Gateway
from omi.build.packer.inputs import PackerVm, RunFolder, write_variables
from omi.build.packer.tools import PackerTools
from omi.outscale.credentials import Credentials
from omi.profile.load import load_profile
from omi.publish.model import PublishedImage
from omi.publish.readme import render_readme
from omi.publish.releases import from_yaml, to_yaml
from omi.state.identity import Identity
from omi.support.errors import OmiError
from tests.hostile.strategies import BREAKERS
from tests.hostile.targets import TOP, _entry
from tests.omi.examples import EXAMPLES
from tests.omi.specs import make_spec

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
SHOWN = re.compile(r"`[^`]*`|\\.")
"""What Markdown only shows: code, and a character after a backslash."""
ROWS = re.compile(r"(?<!\\)\|")
hostile = st.lists(st.sampled_from(BREAKERS) | st.text(max_size=8), max_size=4).map("".join)
lines = hostile.map(lambda text: " ".join("".join(c for c in text if c.isprintable()).split()))
many = settings(
    max_examples=EXAMPLES // 2,
    deadline=None,
    derandomize="OMI_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)


def sourced(env: bytes, names: list[str], shell: str) -> list[bytes]:
    """The values as a shell reads them, from a file on its standard input; the working folder must stay as it was."""
    script = 'set -eu; . /dev/stdin; for n; do eval "v=\\$$n"; printf "%s\\0" "$v"; done'
    command = [shell, *(["sh"] if shell == "busybox" else []), "-c", script, "sh", *names]
    done = subprocess.run(command, input=env, capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    return done.stdout.split(b"\0")[:-1]


@pytest.mark.parametrize("shell", SHELLS)
@many
@given(values=st.lists(hostile.map(lambda text: text.replace("\0", "").replace("\r", "")), min_size=1, max_size=12))
def test_a_shell_reads_back_what_was_written(shell: str, values: list[str]) -> None:
    named = {f"V{number}": value for number, value in enumerate(values)}
    read = sourced(env_text(named).encode(), list(named), shell)
    assert [each.decode() for each in read] == values


KEYS = ("prefix", "suffix", "description", "user", "motd", "timezone", "kernel_options", "sysctl", "packages", "repos")


def profile_with(key: str, text: str) -> bytes:
    """A profile that says this text by one of its keys."""
    maps = {"kernel_options": {text: True}, "packages": {text: True}, "sysctl": {"net.a": text}, "repos": {text: True}}
    return json.dumps({"builds": {"a": {"version": "3.23", "arch": "x86_64", key: maps.get(key, text)}}}).encode()


@many
@given(key=st.sampled_from(KEYS), text=hostile)
def test_what_a_profile_may_say_reaches_the_guest_as_it_is_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, text: str
) -> None:
    root = tmp_path_factory.getbasetemp() / "profiles"
    if not root.exists():
        shutil.copytree(TOP / "profiles", root)
    (root / "hostile.yaml").write_bytes(profile_with(key, text))
    try:
        (build,) = load_profile("hostile", root).builds
    except OmiError:
        return
    spec = make_spec(build=build, name=build.image_name("3.23.6", 0))
    values = guest_values(spec, Origin("unknown", {}))
    read = sourced(env_text(values).encode(), list(values), SHELLS[0])
    assert [each.decode() for each in read] == list(values.values())
    # lists have one item a line: none of them may hold a line end
    assert len(values["PACKAGES"].splitlines()) == len(set(values["PACKAGES"].splitlines()))
    assert all(" " not in line for line in values["KERNEL_OPTIONS"].splitlines())
    assert all(re.fullmatch(r"(@\S+ |#)?https?://\S+", line) for line in values["REPOSITORIES"].splitlines())


@many
@given(description=lines.filter(bool))
def test_packers_variables_hold_only_templates_of_two_braces(
    tmp_path_factory: pytest.TempPathFactory, description: str
) -> None:
    folder = RunFolder(tmp_path_factory.getbasetemp())
    spec = make_spec(description=description)
    tools = PackerTools("packer", "plugins", (1, 0, 2))
    gateway = Gateway("https://127.0.0.1:9/api/v1", Credentials("AKTEST", "hushhush"), Path("gateway.pem"))
    door = PackerVm(Path("key"), "pair", "sg-1", "ami-00000001")
    write_variables(folder, Identity(spec), tools, door, gateway, spec.name)
    written = json.loads(folder.variables.read_text(encoding="utf-8"))["omi_description"]
    pieces = written.split("{{`{{`}}")
    assert "{{".join(pieces) == Identity(spec).description
    assert not any("{{" in piece for piece in pieces)


TEXTS = ("build", "release", "name")


@many
@given(field=st.sampled_from(TEXTS), text=hostile, region=hostile, omi=hostile, profile=hostile)
def test_markdown_shows_values_and_does_nothing_for_them(
    field: str, text: str, region: str, omi: str, profile: str
) -> None:
    entry: PublishedImage = _entry().changed(**{field: text, "ids": {region: omi}})
    shown = render_readme({profile: [entry]}).splitlines()
    plain = render_readme({"p": [_entry()]}).splitlines()
    assert len(shown) == len(plain)
    row = shown[-1]
    assert len(ROWS.split(row)) == len(ROWS.split(plain[-1]))
    assert not re.search(r"<[a-zA-Z/!]", row)
    assert row.count("`") == 2
    links = SHOWN.sub("", row).count("](")
    assert links == plain[-1].count("](") - (0 if entry.documents and region == "eu-west-2" else 1)


@many
@given(field=st.sampled_from(TEXTS), text=lines)
def test_a_releases_file_gives_back_what_was_put_in(field: str, text: str) -> None:
    entry: PublishedImage = _entry().changed(**{field: text})
    try:
        (read,) = from_yaml(to_yaml([entry]), "x")
    except OmiError:
        assert field == "revision"
        return
    assert read == entry
