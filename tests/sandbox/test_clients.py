"""The clients that OUTSCALE publishes, unchanged, against the sandbox: osc-sdk-python and osc-cli."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from osc_sdk_python import Gateway
from requests import HTTPError

from omi.publish.site.launch import launch_lines
from tests.sandbox.client import Oapi, Sandbox, source_image, wait_for

UNSIGNED = ("ReadLocations", "ReadPublicIpRanges", "ReadRegions", "ReadVmTypes")


@pytest.fixture
def gateway(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(sandbox.settings.ca_file))
    with Gateway(path=str(sandbox.settings.profiles_file), profile="main", limiter_max_requests=1000) as client:
        yield client


def test_osc_sdk_python_builds_an_image_from_a_vm_and_cleans_up(gateway: Gateway) -> None:
    source = gateway.ReadImages(Filters={"AccountAliases": ["Outscale"]})["Images"][-1]["ImageId"]
    vm = gateway.CreateVms(ImageId=source, VmType="tinav5.c1r1p1")["Vms"][0]["VmId"]

    def state() -> str:
        return str(gateway.ReadVms(Filters={"VmIds": [vm]})["Vms"][0]["State"])

    wait_for(state, lambda seen: seen == "running")
    image = gateway.CreateImage(VmId=vm, ImageName="by the sdk")["Image"]
    gateway.CreateTags(ResourceIds=[image["ImageId"]], Tags=[{"Key": "made", "Value": "yes"}])
    assert gateway.ReadTags(Filters={"Keys": ["made"]})["Tags"][0]["ResourceId"] == image["ImageId"]
    with pytest.raises(HTTPError, match="5023"):
        gateway.DeleteImage(ImageId="ami-00000000")
    gateway.DeleteVms(VmIds=[vm])
    wait_for(state, lambda seen: seen == "terminated")
    gateway.DeleteImage(ImageId=image["ImageId"])
    assert gateway.ReadImages(Filters={"ImageNames": ["by the sdk"]})["Images"] == []


def osc_cli(home: Path, sandbox: Sandbox, *words: str) -> subprocess.CompletedProcess[str]:
    """Run osc-cli with a profile of the sandbox, as a user would."""
    known = sandbox.profiles["main"]
    profile = {key: known[key] for key in ("access_key", "secret_key", "region")}
    endpoint = f"https://127.0.0.1:{sandbox.settings.addresses.tls_port}"
    config = home / "config.json"
    config.write_text(json.dumps({"default": {**profile, "endpoint": endpoint}}))
    environ = {**os.environ, "REQUESTS_CA_BUNDLE": str(sandbox.settings.ca_file), "PAGER": "cat"}
    command = [str(Path(sys.executable).with_name("osc-cli")), "api", *words, f"--config_path={config}"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_osc_cli_reads_signed_and_unsigned(sandbox: Sandbox, tmp_path: Path) -> None:
    for call in UNSIGNED:
        done = osc_cli(tmp_path, sandbox, call)
        assert done.returncode == 0, done.stderr
        assert next(iter(json.loads(done.stdout).values()))
    made = osc_cli(tmp_path, sandbox, "CreateKeypair", "--KeypairName=by-cli")
    assert json.loads(made.stdout)["Keypair"]["KeypairName"] == "by-cli", made.stderr
    calls = sandbox.control("GET", "calls")
    assert {each["action"]: each["profile"] for each in calls} == {**dict.fromkeys(UNSIGNED), "CreateKeypair": "main"}
    refused = osc_cli(tmp_path, sandbox, "DeleteKeypair", "--KeypairName=none")
    assert refused.returncode != 0
    assert "5071" in refused.stderr


def test_the_site_s_line_for_osc_cli_launches_a_vm(sandbox: Sandbox, oapi: Oapi, tmp_path: Path) -> None:
    source = source_image(oapi)
    oapi.call("CreateKeypair", KeypairName="KEYPAIR")
    program, room, *words = shlex.split(launch_lines(source, None)["osc-cli"])
    assert (program, room) == ("osc-cli", "api")
    done = osc_cli(tmp_path, sandbox, *words)
    (vm,) = json.loads(done.stdout)["Vms"]
    assert [vm[key] for key in ("ImageId", "VmType", "KeypairName")] == [source, "tinav6.c1r1p2", "KEYPAIR"]


def test_what_needs_a_signature_is_refused_without_one(sandbox: Sandbox) -> None:
    client = sandbox.oapi()
    for path, status in (("/api/v1/ReadRegions", 200), ("/api/v1/ReadVms", 401), ("/api/v1/NoSuchCall", 401)):
        assert client.send(path, b"{}", {})[0] == status
    assert client.send("/api/v1/ReadRegions", b"{}", {"Authorization": "Basic x"})[0] == 401
