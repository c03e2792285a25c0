"""One image as Pulumi holds it: a command whose creation builds and verifies, and whose deletion deregisters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_command import local

from omi.publish.outputs import output_of
from omi.state.image import ImageRecord, ImageSpec
from omi.state.ledger import StoredCommand


def image_command(
    name: str, stored: StoredCommand, parent: pulumi.Resource, after: Sequence[pulumi.Resource], *, protect: bool
) -> local.Command:
    """Declare a kept image, or a new one to be made once `after` are done. Its standard output becomes its record.

    `update` is always set: without it the plugin would run `create` again for any changed input.
    No triggers: nothing ever replaces an image.
    """
    return local.Command(
        name,
        create=stored.create,
        update=stored.update,
        delete=stored.delete,
        stdin=stored.stdin,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after), protect=protect),
    )


def details(
    spec: ImageSpec, command: local.Command, held: ImageRecord | None = None
) -> pulumi.Output[dict[str, Any] | None]:
    """The stack outputs of one image; unknown until it is built.

    If the command fails, they are the facts in state (`held`), or empty; the rest of the update goes on.
    """

    def output(line: str) -> dict[str, Any] | None:
        record = ImageRecord.from_json(line, f"record of {spec.name}") if line else held
        return output_of(spec, record) if record else None

    return command.stdout.recover(lambda _: "").apply(output)
