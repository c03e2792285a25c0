"""The commands of docs/ci.md that make the EIM users, as osc-cli reads them, held to the published specification."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.openapi import check_request

TOP = Path(__file__).resolve().parents[3]
OSC_CLI = """\
#!{python}
import json, sys
from fire.parser import DefaultParseValue
_, call, *words = sys.argv[1:]
given = {{name.removeprefix("--"): DefaultParseValue(value) for name, value in zip(words[::2], words[1::2])}}
with open("{calls}", "a") as file:
    print(json.dumps([call, given]), file=file)
print(json.dumps({{"Policy": {{"Orn": f"orn:ows:idauth::123456789012:policy/{{given.get('PolicyName')}}"}}}}))
"""


def test_each_user_gets_its_policies_and_a_key(tmp_path: Path) -> None:
    page = (TOP / "docs" / "ci.md").read_text(encoding="utf-8")
    (block,) = (found for found in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "CreateUser" in found)
    program, calls = tmp_path / "osc-cli", tmp_path / "calls"
    program.write_text(OSC_CLI.format(python=sys.executable, calls=calls), encoding="utf-8")
    program.chmod(0o755)
    lines = textwrap.dedent(block).replace("make tools && . toolchain/env.sh\n", "")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    for shell in ("bash", "sh"):
        calls.unlink(missing_ok=True)
        subprocess.run([shell, "-euc", lines], cwd=TOP, env={**os.environ, "PATH": path}, check=True, timeout=120)
        made = [json.loads(line) for line in calls.read_text(encoding="utf-8").splitlines()]
        for call, given in made:
            check_request(call, given)
        documents = {
            given["PolicyName"]: json.loads(given["Document"]) for call, given in made if call == "CreatePolicy"
        }
        linked = [(given["UserName"], given["PolicyOrn"].rpartition("/")[2]) for call, given in made if "Link" in call]
        assert linked == [
            ("images", "eim-policy"), ("images", "eim-policy-state"), ("preview", "eim-policy-preview"),
        ]  # fmt: skip
        assert documents["eim-policy"] == json.loads((TOP / "docs" / "eim-policy.json").read_text(encoding="utf-8"))
        for what in ("CreateUser", "CreateAccessKey"):
            assert [given["UserName"] for call, given in made if call == what] == ["images", "preview"]
