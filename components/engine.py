"""What makes the engine quick to answer, beside the resources that it is told."""

from __future__ import annotations

import os

import pulumi
from pulumi_command import local

_DEBUG = "ALPINE_OMI_DEBUG"


def start_command_plugin() -> None:
    """Let the engine start the plugin of the images' commands now, while the account is asked.

    It would start it at the first image that is declared, and all others would wait for that. It can only be asked for
    by having it do something, so it runs the shell's command for nothing; the answer is not waited for.
    """
    local.run_output(command=":", logging=local.Logging.NONE)


def leave_out_debug_lines() -> None:
    """Keep the SDK from telling the engine what `pulumi --debug` would show of it; set ALPINE_OMI_DEBUG to see it.

    It waits for an answer to each of these lines, five for a resource, and whether anyone reads them it can't know.
    """
    if not os.environ.get(_DEBUG):
        pulumi.log.debug = _unsaid


def _unsaid(
    msg: str, resource: pulumi.Resource | None = None, stream_id: int | None = None, ephemeral: bool | None = None
) -> None:
    pass
