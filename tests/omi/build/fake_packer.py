"""Stands in for Packer's build: reads the variables, works on the account through OAPI, prints what Packer prints."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PREFIX = "outscale-bsusurrogate.alpine: "


def say(text: str) -> None:
    print(f"==> {PREFIX}{text}", flush=True)


def main() -> int:
    file = next(part.split("=", 1)[1] for part in sys.argv if part.startswith("-var-file="))
    sys.path.insert(0, (HERE / "project").read_text())
    from tests.sandbox.client import Refused

    try:
        return build((HERE / "mode").read_text(), json.loads(Path(file).read_text()))
    except Refused as refused:  # plugin 1.0.2 tells the status alone
        say(f"Error launching source vm: {refused.status} {HTTPStatus(refused.status).phrase}")
        return 1


def build(mode: str, values: dict[str, Any]) -> int:
    """Run one build as `mode` says."""
    from sandbox.config import Addresses
    from tests.sandbox import client

    keys = {"access_key": os.environ["OSC_ACCESS_KEY"], "secret_key": os.environ["OSC_SECRET_KEY"]}
    addresses = Addresses(int(values["endpoint"].rpartition(":")[2].partition("/")[0]))
    oapi = client.Oapi({**keys, "region": values["region"]}, addresses, Path(os.environ["SSL_CERT_FILE"]))
    source = oapi.call("ReadImages", Filters={"ImageIds": [values["source_omi"]]})["Images"][0]["ImageId"]
    print(f"    {PREFIX}Found Image ID: {source}", flush=True)
    say("Launching a source OUTSCALE vm...")
    disk = {"DeviceName": "/dev/xvdf", "Bsu": {"VolumeSize": values["volume_size"], "DeleteOnVmDeletion": True}}
    placement = {"Placement": {"SubregionName": values["subregion"]}} if values["subregion"] else {}
    made = oapi.call(
        "CreateVms", ImageId=source, KeypairName=values["keypair_name"], VmType=values["vm_type"],
        SecurityGroupIds=[values["security_group_id"]], BlockDeviceMappings=[disk], SubnetId=values["subnet"],
        **placement,
    )["Vms"][0]  # fmt: skip
    vm, volume = made["VmId"], made["BlockDeviceMappings"][-1]["Bsu"]["VolumeId"]
    print(f"    {PREFIX}Vm ID: {vm}", flush=True)
    if mode in {"hang", "deaf"}:
        if mode == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say("Waiting for SSH to become available...")
        time.sleep(600)
    if mode in {"busy", "always busy"}:
        if mode == "busy":
            (HERE / "mode").write_text("good")
        say("Error waiting for vm (i-12345678) to become ready: 503 Service Unavailable")
        return 1
    if mode == "greedy":
        oapi.call("ReadAccessKeys")
    if mode == "lost":
        oapi.call("DeleteVms", VmIds=[vm])
        time.sleep(600)
    client.wait_state(oapi, vm, "running")
    say("Connected to SSH!")
    if mode in {"good", "half", "leaky", "mute", "busy late"}:
        tell_what_the_guest_did(values, mode)
        say("Registering the OMI...")
        say(f"Creating snapshot of EBS Volume {volume}...")
        snapshot = client.snapshot(oapi, volume)
        omi = client.register(oapi, values["omi_name"], snapshot, Description=values["omi_description"])
    if mode != "leaky":
        oapi.call("DeleteVms", VmIds=[vm])
    if mode in {"busy late", "fail", "half"}:
        return fail_late(mode)
    Path(values["manifest"]).write_text(json.dumps({"builds": [{"artifact_id": f"{values['region']}:{omi}"}]}))
    return 0


def fail_late(mode: str) -> int:
    """Fail after what was made; by a busy cloud only once."""
    if mode == "busy late":
        (HERE / "mode").write_text("good")
    say("Error querying OMI: 503 Service Unavailable" if mode == "busy late" else "guest: ERROR: no disk to build on")
    return 1


def tell_what_the_guest_did(values: dict[str, Any], mode: str) -> None:
    """The lines that the guest's scripts print, and the files that they hand out."""
    print(f"    {PREFIX}guest: FACT end=yes", flush=True)
    result = {"used_bytes": 94000000, "trimmed_bytes": 147000000, "packages": 46}
    print(f"    {PREFIX}guest: RESULT {json.dumps(result)}", flush=True)
    output = Path(values["output"])
    output.mkdir(exist_ok=True)
    data = Path(values["upload"]) / "data" / "image.env"
    env = dict(line.split("=", 1) for line in data.read_text().splitlines() if "=" in line)
    told = {"NAME": env["IMAGE_NAME"], "DIGEST": env["DIGEST"], "COMMIT": "unknown", "TOOLS": "apk-tools 3.0.8"}
    (output / "alpine-omi-release").write_text("\n".join(f'{name}="{value}"' for name, value in told.items()))
    (output / "files").write_text("# path\ttype\tmode\towner\tgroup\tcontent\n")
    (output / "packages").write_text("C:Q1bXVzbA==\nP:musl\nV:1.2.5-r23\nA:x86_64\n\n" if mode != "mute" else "")


if __name__ == "__main__":
    sys.exit(main())
