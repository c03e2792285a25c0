"""The program: settings and state → plan → components → outputs. It is wiring alone; `omi` makes the decisions."""

import pulumi

from components import (
    ProfileBuild,
    clean_errors,
    keep_memory,
    keep_regions,
    keep_stack_id,
    refuse,
    stack_config,
    stack_resources,
)
from omi.build.preflight import check_before_building
from omi.config.one_off import asked
from omi.config.settings import Settings
from omi.plan.held import read_state
from omi.plan.planning import plan_stack
from omi.plan.report import render_table
from omi.plan.survey import survey_stack
from omi.publish import export_ledger, unheld_lines
from omi.publish.security import missing_in
from omi.support.places import PROFILES
from omi.upstream.record import record_releases

with clean_errors():
    settings = Settings.load(stack_config())
    held = read_state(stack_resources(), pulumi.get_project(), pulumi.get_stack(), settings.recovered_id)
    seen = survey_stack(settings, held)
    plan = plan_stack(settings, seen, asked())
    for text in (render_table(plan), *unheld_lines(settings, held.ledger, held.memory.pruned)):
        pulumi.log.info(text)
    for why in seen.unreached.values():
        pulumi.log.warn(why)
    check_before_building(settings, plan.building, copying=plan.copying)
    if not pulumi.runtime.is_dry_run():
        known = (seen.profile.builds, seen.security, seen.stocks)
        lacking = missing_in(held.ledger, *known, settings.releases_dir, seen.today)
        lines = export_ledger(settings, held.ledger, lacking, held.memory.pruned)
        for line in (*lines, *record_releases(seen.profile, seen.upstream, PROFILES)):
            pulumi.log.info(line)

    first = keep_stack_id(held.owner), keep_regions(plan.known)
    builds = {name: ProfileBuild(name, steps, settings, held.owner, first) for name, steps in plan.declared()}
    memory = keep_memory(plan.memory, after=[image for build in builds.values() for image in build.unprotected])
    pulumi.export("images", {name: build.images for name, build in builds.items()})
    pulumi.export("latest", {name: build.latest for name, build in builds.items()})
    if plan.refused:
        refuse(plan.refused, after=[memory, *builds.values()])
