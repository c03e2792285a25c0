"""`health`: shows how a stack's images are doing, for a person or a monitor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from omi.cli.findings import Finding, Severity, find, refuse_errors, report
from omi.cli.key_expiry import expiry_words, key_expiry, signing_words
from omi.cli.stack import Json, Stack, read_stack
from omi.cli.sweep import SweepFindings, find_leftovers
from omi.config.regions import Region
from omi.config.settings import Health
from omi.config.stack import last_update
from omi.outscale.client import Cloud
from omi.plan import Action, Plan, Step
from omi.plan.model import ChangeKind
from omi.plan.planning import plan_stack
from omi.plan.reasons import Because
from omi.plan.survey import Survey, survey_stack
from omi.publish.manifest import SIGNERS
from omi.state.ledger import LedgerImage
from omi.support import clock
from omi.support.errors import InputError
from omi.support.places import expand

_MAKING = (Action.BUILD, Action.ADOPT, Action.RECOVER)
_Found = tuple[str, Severity, str]
"""The name of a check, and its level and text for a build."""
_LIMIT = 60.0
"""Seconds for the answer about an access key."""


def health(
    stack: Stack,
    as_json: Json = False,
    as_metrics: Annotated[bool, typer.Option("--openmetrics", help="for Prometheus")] = False,
) -> None:
    """Show the images' age, what isn't built, what is missing, changed or left over, and the last update.

    Exit code 1 if any finding is an error, else 0; the thresholds are the stack's setting `health`.
    """
    if as_json and as_metrics:
        raise InputError("--json, --openmetrics: give one of them")
    settings, held = read_stack(stack)
    seen = survey_stack(settings, held)
    plan = plan_stack(settings, seen)
    leftovers = [*_leftovers(find_leftovers(settings, held, stack))]
    expiries: dict[str, datetime] = {}
    reached = [region for region in seen.regions if region.name not in seen.unreached]
    found = [
        _run(last := last_update(stack), settings.health, clock.now()),
        *(_access_key(region, settings.health, expiries) for region in reached),
        *_signing_key(expand(settings.releases_dir), settings.health),
        *_of_plan(plan, seen, settings.health),
        *leftovers,
    ]
    if as_metrics:
        print("\n".join([*_metrics(found, last, plan, seen.today, expiries), "# EOF"]))
        refuse_errors(found)
    else:
        report(found, as_json=as_json)


def _leftovers(found: Sequence[SweepFindings]) -> Iterator[Finding]:
    """The findings about leftovers: how many there are, and which Regions couldn't be searched."""
    unread = [each for each in found if each.unread]
    for each in unread:
        yield Finding(
            check="leftovers", region=each.region.name, level=Severity.WARNING, text=f"not searched: {each.unread}"
        )
    if left := sum(thing.kind != "try" for each in found for thing in each.things):
        words = f"{left} things are left over: `python -m omi sweep` lists them"
        yield Finding(check="leftovers", level=Severity.WARNING, text=words)
    elif not unread:
        yield Finding(check="leftovers", level=Severity.GOOD, text="nothing is left over")


def _run(last: datetime | None, limits: Health, now: datetime) -> Finding:
    if last is None:
        words = "no `pulumi up` of this stack has succeeded yet"
        return Finding(check="update", level=Severity.ERROR, text=words)
    late = now - last > timedelta(days=limits.max_run_days)
    more = f", longer ago than the {limits.max_run_days} days of health.max_run_days" if late else ""
    text = f"the last `pulumi up` that succeeded ended on {last:%Y-%m-%d %H:%M} UTC{more}"
    return Finding(check="update", level=Severity.ERROR if late else Severity.GOOD, text=text)


def _access_key(region: Region, limits: Health, expiries: dict[str, datetime]) -> Finding:
    """The finding about a Region's key. Its date, if it has one, goes into `expiries`."""

    def ask() -> str:
        expires = key_expiry(Cloud.connect(region.access))
        if expires is not None:
            expiries[region.name] = expires
        return expiry_words(expires, limits.key_expiry_days)

    return find("access key", region.name, _LIMIT, ask)


def _signing_key(folder: Path, limits: Health) -> Iterator[Finding]:
    """The finding about the key that signed the releases, if they are signed."""
    if (folder / SIGNERS).exists():
        yield find("signing key", None, _LIMIT, lambda: signing_words(folder, limits.key_expiry_days))


def _of_plan(plan: Plan, seen: Survey, limits: Health) -> Iterator[Finding]:
    """The findings about a plan: on each build in each Region, and on the Regions themselves."""
    for region, why in seen.unreached.items():
        yield Finding(check="account", region=region, level=Severity.ERROR, text=why)
    for refusal in plan.refused:
        yield Finding(check="plan", level=Severity.ERROR, text=f"waits for a person: {refusal}")
    for warning in plan.warnings:
        yield Finding(check="plan", level=Severity.WARNING, text=warning)
    live = {build.name for build in seen.profile.builds}
    for name, region, steps in _by_region(plan):
        if region not in seen.unreached:
            for check, level, text in _of_build(steps, seen.today, limits, wanted=name in live):
                yield Finding(check=check, region=region, build=name, level=level, text=text)


def _by_region(plan: Plan) -> Iterator[tuple[str, str, list[Step]]]:
    """Each build in each Region, with its steps there."""
    for name, steps in plan.by_build():
        for region in plan.regions:
            yield name, region, [step for step in steps if (step.region or plan.regions[0]) == region]


def _of_build(steps: Sequence[Step], today: date, limits: Health, *, wanted: bool) -> Iterator[_Found]:
    for step in steps:
        if step.action in _MAKING:
            yield "not built", Severity.WARNING, f"{step.name} is not there yet: {step.reason}"
        elif any(part.because is Because.CURRENT_WAITS for part in step.why.parts):
            yield "not built", Severity.WARNING, f"{step.name} has no successor yet: {step.reason}"
        for change in step.changes:
            if change.kind is ChangeKind.MARK_MISSING:
                yield "missing", Severity.ERROR, f"{step.name}: {change.reason}"
            elif change.kind is ChangeKind.PUT_BACK:
                yield "drift", Severity.WARNING, f"{step.name} was changed by others: {change.reason}"
    if newest := _newest_of(steps):
        yield from _of_newest(newest, today, limits)
    elif wanted:
        yield "newest image", Severity.ERROR, _without(steps)


def _of_newest(newest: LedgerImage, today: date, limits: Health) -> Iterator[_Found]:
    if (days := newest.age(today)) is not None:
        old = days > limits.max_age_days
        more = f", more than the {limits.max_age_days} of health.max_age_days" if old else ""
        level = Severity.ERROR if old else Severity.GOOD
        yield "newest image", level, f"{newest.name} is {days} days old{more}"
    if (end := newest.spec.end_of_life) is not None:
        left = (end - today).days
        if left < 0:
            yield "support", Severity.ERROR, f"version {newest.version} is past its end of life ({end})"
        else:
            level = Severity.WARNING if left < limits.end_of_life_days else Severity.GOOD
            yield "support", level, f"version {newest.version} is supported for {left} more days, until {end}"


def _without(steps: Sequence[Step]) -> str:
    if any(isinstance(step.image, LedgerImage) and step.image.is_revoked for step in steps):
        cure = "change the profile, or `python -m omi build -s STACK BUILD --again --yes`"
        return f"its only verified image is revoked: {cure}"
    return "has no verified image; `pulumi up` builds one"


def _newest_of(steps: Sequence[Step]) -> LedgerImage | None:
    """The newest image that is verified, exists and stays."""
    kept = [step.image for step in steps if isinstance(step.image, LedgerImage) and step.action is not Action.PRUNE]
    good = [image for image in kept if image.record.verified and not image.record.missing and not image.is_revoked]
    return max(good, key=lambda image: image.order, default=None)


def _metrics(
    found: Sequence[Finding], last: datetime | None, plan: Plan, today: date, expiries: Mapping[str, datetime]
) -> Iterator[str]:
    """OpenMetrics, the text form 1.0.0."""
    yield "# TYPE alpine_omi_findings gauge"
    for (check, severity), count in Counter((each.check, each.level) for each in found).items():
        yield f'alpine_omi_findings{{check="{check}",level="{severity}"}} {count}'
    name = "alpine_omi_last_update_timestamp_seconds"
    yield f"# TYPE {name} gauge\n# UNIT {name} seconds"
    if last is not None:
        yield f"{name} {int(last.timestamp())}"
    newest = {
        f'{{build="{name}",region="{region}"}}': image
        for name, region, steps in _by_region(plan)
        if (image := _newest_of(steps)) is not None
    }
    yield "# TYPE alpine_omi_image_age_seconds gauge\n# UNIT alpine_omi_image_age_seconds seconds"
    for labels, image in newest.items():
        if (days := image.age(today)) is not None:
            yield f"alpine_omi_image_age_seconds{labels} {days * 86400}"
    yield "# TYPE alpine_omi_support_left_seconds gauge\n# UNIT alpine_omi_support_left_seconds seconds"
    for labels, image in newest.items():
        if image.spec.end_of_life is not None:
            yield f"alpine_omi_support_left_seconds{labels} {(image.spec.end_of_life - today).days * 86400}"
    yield "# TYPE alpine_omi_access_key_left_seconds gauge\n# UNIT alpine_omi_access_key_left_seconds seconds"
    for region, expires in expiries.items():
        left = int((expires - clock.now()).total_seconds())
        yield f'alpine_omi_access_key_left_seconds{{region="{region}"}} {left}'
