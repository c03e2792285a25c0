"""Checks before anything is built. A preview runs them, too, if something would be built."""

from __future__ import annotations

import shutil
from collections.abc import Collection

from omi.config.settings import Settings
from omi.outscale.client import Cloud
from omi.outscale.images import find_source
from omi.outscale.subnets import find_subnet
from omi.support.errors import OmiError, ToolError

TOOLS = {
    "packer": "run `make tools`, then `. toolchain/env.sh`",
    "ssh": "install the OpenSSH client (Debian: `apt-get install openssh-client`)",
    "ssh-keygen": "install the OpenSSH client (Debian: `apt-get install openssh-client`)",
}
"""Programs that a build runs, each with the cure if it is missing."""


def check_before_building(settings: Settings, building: Collection[str | None], *, copying: bool) -> None:
    """Check the tools, the credentials, the source OMI and the Subnet.

    `building` has the Regions in which images are built (None is the home Region); `copying` says whether any is
    copied. Raises ToolError, CredentialsError or CloudError; credentials are tried once.
    """
    if not building and not copying:
        return
    for tool, cure in TOOLS.items():
        needed = building or tool != "packer"  # a copied image is verified, too
        if needed and shutil.which(tool) is None:
            raise ToolError(f"{tool} is not on PATH, and a build needs it: {cure}")
    if not building:
        return
    for region in settings.all_regions:
        if region in building:
            vm = settings.vm_in(region)
            try:
                cloud = Cloud.connect(settings.cloud_access(region))
                find_source(cloud, vm.source_omi, vm.source_owner)
                find_subnet(cloud, vm)
            except OmiError as error:
                if settings.regions:
                    error.name_place(f"Region {region}")
                raise
