"""The lines that launch an image by osc-cli, OpenTofu and Pulumi and log in to it, safe to paste whatever they hold."""

from __future__ import annotations

import json
import shlex

VM_TYPE = "tinav6.c1r1p2"
"""The smallest VM that boots every image (omi.state.image, `BuildVm.verify_vm_type`)."""
_HCL = """\
terraform {{
  required_providers {{
    outscale = {{ source = "outscale/outscale", version = "~> 1.8" }}
  }}
}}

resource "outscale_vm" "alpine" {{
  image_id     = {omi}
  vm_type      = "{vm_type}"
  keypair_name = "KEYPAIR"
}}"""
_SDK = "pulumi_outscale"
"""The Python package of Pulumi's provider; only those who paste the lines import it."""
_PYTHON = (
    "import {sdk} as outscale\n\n"
    'vm = outscale.Vm("alpine", image_id={omi}, vm_type="{vm_type}", keypair_name="KEYPAIR")'
)


def launch_lines(omi: str, user: str | None) -> dict[str, str]:
    """Text to paste by tool, in the order in which it is shown; the login by SSH where the user is known."""
    quoted = json.dumps(omi)
    # HCL's strings are JSON's but for templates, which begin with ${ or %{
    template_free = quoted.replace("${", "$${").replace("%{", "%%{")
    lines = {
        "osc-cli": f"osc-cli api CreateVms --ImageId {shlex.quote(omi)} --VmType {VM_TYPE} --KeypairName KEYPAIR",
        "OpenTofu": _HCL.format(omi=template_free, vm_type=VM_TYPE),
        "Pulumi": _PYTHON.format(sdk=_SDK, omi=quoted, vm_type=VM_TYPE),
    }
    return lines | ({"SSH": f"ssh -i KEYPAIR.pem {shlex.quote(f'{user}@ADDRESS')}"} if user else {})
