"""The lines that launch an image by osc-cli, OpenTofu and Pulumi, each safe to paste whatever the id holds."""

from __future__ import annotations

import json
import shlex

VM_TYPE = "tinav6.c1r1p2"
"""The smallest VM that boots every image (omi.state.image, `BuildVm.verify_vm_type`)."""


def launch_lines(omi: str) -> dict[str, str]:
    """One line by tool, in the order in which they are shown."""
    quoted = json.dumps(omi)
    # HCL's strings are JSON's but for templates, which begin with ${ or %{
    template_free = quoted.replace("${", "$${").replace("%{", "%%{")
    return {
        "osc-cli": f"osc-cli api CreateVms --ImageId {shlex.quote(omi)} --VmType {VM_TYPE} --KeypairName KEYPAIR",
        "OpenTofu": f'resource "outscale_vm" "alpine" {{ image_id = {template_free} }}',
        "Pulumi": f'vm = outscale.Vm("alpine", image_id={quoted})',
    }
