"""From a stack's settings and ledger to its plan: reads the profile and upstream, then lets the planner decide."""

from __future__ import annotations

from datetime import UTC, datetime

from omi.digest import image_digest
from omi.ledger import Ledger
from omi.places import GUEST, PROFILES, TEMPLATE, cache_folder
from omi.plan import Plan, make_plan
from omi.profile.discover import expand_discovered
from omi.profile.load import Profile, load_profile
from omi.profile.model import Build
from omi.settings import Settings
from omi.upstream.fetch import fetch_upstream
from omi.upstream.model import Upstream


def plan_stack(settings: Settings, ledger: Ledger) -> Plan:
    """The plan for today (UTC). Writes nothing but the cache of upstream's answers; raises an OmiError."""
    today = datetime.now(UTC).date()
    profile = load_profile(settings.profile, PROFILES)
    upstream = _upstream(settings, profile)
    if profile.discover is not None:
        supported = {version for arch in profile.discover.arch for version in upstream.supported(today, arch)}
        # A branch past its end of life keeps its build, else its images would count as removed from the profile.
        supported |= {image.version for image in ledger.images if image.profile == profile.name}
        profile = expand_discovered(profile, supported)
        upstream = _upstream(settings, profile)
    return make_plan(profile.builds, upstream, ledger, settings.retention, today, _digest, only=settings.builds)


def _upstream(settings: Settings, profile: Profile) -> Upstream:
    wanted = {(build.version, build.arch) for build in profile.builds}
    return fetch_upstream(settings.upstream, wanted, cache_folder() / "upstream")


def _digest(build: Build, release: str) -> str:
    return image_digest(build, release, GUEST, TEMPLATE)
