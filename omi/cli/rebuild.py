"""`rebuild`: asks for another revision of a build whose content is the same, by a count in the stack's config."""

from __future__ import annotations

from typing import Annotated

import typer

from omi.cli.stack import Stack, read_stack
from omi.config.stack import configure
from omi.plan.planning import plan_stack
from omi.plan.survey import survey_stack
from omi.support.errors import InputError


def rebuild(
    stack: Stack,
    name: Annotated[str, typer.Argument(metavar="BUILD", help="the build's name in the profile")],
) -> None:
    """Have the next update build another revision of a build whose content is the same.

    It raises the build's count in the setting `again`.
    The count is part of the content's digest. Raises InputError for a build that the profile doesn't name or that is
    pinned to a revision, and what survey_stack and plan_stack raise.
    """
    settings, held = read_stack(stack)
    seen = survey_stack(settings, held)
    builds = {build.name: build for build in seen.profile.builds}
    build = builds.get(name)
    if build is None:
        raise InputError(f"build {name!r}: is none of the profile's; there are: {', '.join(builds) or 'none'}")
    if build.revision is not None:
        raise InputError(
            f"build {build.name}: `revision: {build.revision}` pins it; take that out of the profile first"
        )
    again = {**settings.again, build.name: settings.again.get(build.name, 0) + 1}
    plan = plan_stack(settings.model_copy(update={"again": again}), seen)
    configure(stack, "again", {f'["{build.name}"]': again[build.name]})
    print(f"again: {build.name} is {again[build.name]} in the stack's config now; `pulumi up -s {stack}` then:")
    for step in plan.steps:
        if step.build == build.name:
            print(f"  {step.action} {step.name}: {step.reason}")
