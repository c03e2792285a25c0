"""Stands in for Packer: reads the variables, works on the account through FCU, and prints what Packer prints."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PREFIX = "outscale-bsusurrogate.alpine: "


def say(text: str) -> None:
    print(f"==> {PREFIX}{text}", flush=True)


def main() -> int:
    if sys.argv[1] == "plugins":
        version = (HERE / "plugin").read_text()
        print(f"/plugins/github.com/outscale/outscale/packer-plugin-outscale_v{version}_x5.0_linux_amd64")
        return 0
    import boto3  # half a second, and most calls only ask for the version

    mode = (HERE / "mode").read_text()
    file = next(part.split("=", 1)[1] for part in sys.argv if part.startswith("-var-file="))
    values = json.loads(Path(file).read_text())
    ec2 = boto3.client(
        "ec2", region_name=values["region"], endpoint_url=(HERE / "fcu").read_text(),
        aws_access_key_id="AKTEST", aws_secret_access_key="SECRETTEST",
    )  # fmt: skip
    source = ec2.describe_images(Filters=[{"Name": "name", "Values": [values["source_omi"]]}])["Images"][0]["ImageId"]
    print(f"    {PREFIX}Found Image ID: {source}", flush=True)
    say("Launching a source OUTSCALE vm...")
    vm = ec2.run_instances(
        ImageId=source, MinCount=1, MaxCount=1, KeyName=values["keypair_name"],
        SecurityGroupIds=[values["security_group_id"]],
    )["Instances"][0]["InstanceId"]  # fmt: skip
    print(f"    {PREFIX}Vm ID: {vm}", flush=True)
    if mode in {"hang", "deaf"}:
        if mode == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say("Waiting for SSH to become available...")
        time.sleep(600)
    if mode == "lost":
        ec2.terminate_instances(InstanceIds=[vm])
        time.sleep(600)
    say("Connected to SSH!")
    if mode in {"good", "half", "leaky", "mute"}:
        print(f"    {PREFIX}guest: FACT end=yes", flush=True)
        print(f"    {PREFIX}guest: INSTALLED musl=1.2.5-r23 busybox=1.37.0-r30", flush=True)
        print(
            f'    {PREFIX}guest: RESULT {{"used_bytes": 94000000, "trimmed_bytes": 147000000, "packages": 46}}',
            flush=True,
        )
        output = Path(values["output"])
        output.mkdir(exist_ok=True)
        data = Path(values["upload"]) / "data" / "image.env"
        env = dict(line.split("=", 1) for line in data.read_text().splitlines() if "=" in line)
        told = {"NAME": env["IMAGE_NAME"], "DIGEST": env["DIGEST"], "COMMIT": "unknown", "TOOLS": "apk-tools 3.0.8"}
        lines = [f'{name}="{value}"' for name, value in told.items()]
        (output / "alpine-omi-release").write_text("\n".join(lines))
        (output / "packages").write_text("C:Q1bXVzbA==\nP:musl\nV:1.2.5-r23\nA:x86_64\n\n" if mode != "mute" else "")
        say("Registering the OMI...")
        omi = ec2.register_image(
            Name=values["omi_name"], Description=values["omi_description"], RootDeviceName="/dev/sda1"
        )["ImageId"]
    if mode != "leaky":
        ec2.terminate_instances(InstanceIds=[vm])
    if mode in {"fail", "half"}:
        say("guest: ERROR: no disk to build on")
        return 1
    Path(values["manifest"]).write_text(json.dumps({"builds": [{"artifact_id": f"{values['region']}:{omi}"}]}))
    return 0


sys.exit(main())
