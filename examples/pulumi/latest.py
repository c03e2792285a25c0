"""The latest image of a build, from the JSON feed, once its signature is checked. Needs ssh-keygen.

manifest.txt and manifest.txt.sig lie beside the feed.
"""

import json
import subprocess
from pathlib import Path

import pulumi

config = pulumi.Config()
feed = Path(config.require("feed"))
verify = Path(__file__).resolve().parents[1] / "verify" / "verify.sh"
if subprocess.run([verify, config.require("signers"), feed.parent, feed.name], check=False).returncode:
    raise pulumi.RunError(f"{feed}: isn't what its publisher signed, so nothing is launched")

latest = json.loads(feed.read_text(encoding="utf-8"))["latest"]
pulumi.export("omi", latest["build"][config.require("build")][config.require("region")]["id"])
