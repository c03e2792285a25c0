"""Asks cloud-init's own code what a configuration makes of an OUTSCALE VM; run by itself, with cloud-init on its path.

ask_cloud_init.py FOLDER: FOLDER/cloud.cfg and FOLDER/cloud.cfg.d as in /etc/cloud. Prints JSON.
"""

from __future__ import annotations

import json
import logging
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

DMI = {
    "system-product-name": "3DS Outscale VM",
    "system-manufacturer": "3DS Outscale",
    "system-uuid": "1a2b3c4d-0000-4000-8000-000000000000",
    "system-serial-number": "unspecified",
}


def main() -> None:
    """Merge, validate, normalise the users, ask the data source."""
    folder = Path(sys.argv[1])
    util, helpers = import_module("cloudinit.util"), import_module("cloudinit.helpers")
    logging.getLogger().addHandler(logging.StreamHandler())
    config: dict[str, Any] = util.read_conf_with_confd(str(folder / "cloud.cfg"))
    schema = import_module("cloudinit.config.schema")
    own = {key: value for key, value in config.items() if key not in ("datasource", "datasource_list", "system_info")}
    schema.validate_cloudconfig_schema(own, strict=True)
    paths = helpers.Paths({"cloud_dir": str(folder / "lib"), "run_dir": str(folder / "run")})
    distro = import_module("cloudinit.distros.alpine").Distro("alpine", config["system_info"], paths)
    users, _ = import_module("cloudinit.distros.ug_util").normalize_users_groups(config, distro)
    network = import_module("cloudinit.net.eni").Renderer(distro.renderer_configs["eni"])
    files = [distro.locale_conf_fn, distro.hostname_conf_fn, network.eni_path, network.netrules_path]
    made = {"config": config, "users": users, "told": told(config, distro, paths), "files": files}
    print(json.dumps(made, default=str))


def told(config: dict[str, Any], distro: Any, paths: Any) -> dict[str, Any]:
    """What the one data source of the list finds."""
    (name,) = config["datasource_list"]
    module = import_module(f"cloudinit.sources.DataSource{name}")
    module.dmi.read_dmi_data = DMI.get
    source = getattr(module, f"DataSource{name}")(config, distro, paths)
    if not source.get_data():
        return {}
    return {
        "cloud": source.cloud_name,
        "instance_id": source.get_instance_id(),
        "keys": source.get_public_ssh_keys(),
        "user_data": source.get_userdata_raw().decode(),
        "host_name": str(source.get_hostname()),
        "timeout": source.get_url_params().timeout_seconds,
        "max_wait": source.get_url_params().max_wait_seconds,
    }


if __name__ == "__main__":
    main()
