"""Reads the facts of a plan once: the profile's files, Alpine's releases, and the account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date

from omi.config.regions import KnownRegion, Region, errors_naming, regions_of
from omi.config.settings import Settings
from omi.config.stack import check_own_releases
from omi.outscale.account import read_account
from omi.outscale.client import Cloud
from omi.plan.discover import versions_to_discover
from omi.plan.held import Held
from omi.plan.keys import trust_keys
from omi.plan.lacking import was_built
from omi.plan.memory import Memory
from omi.profile.discover import expand_discovered
from omi.profile.load import Profile, load_profile
from omi.profile.model import Target
from omi.state.account import AccountView
from omi.state.ledger import Ledger, LedgerImage
from omi.state.owner import Owner
from omi.support import clock
from omi.support.errors import CloudError
from omi.support.places import PROFILES, cache_folder
from omi.upstream.fetch import fetch_upstream
from omi.upstream.model import Upstream
from omi.upstream.offer import Offer
from omi.upstream.packages import Offered, read_offered
from omi.upstream.security import Security, read_security


@dataclass(frozen=True)
class Survey:
    """The facts of one day."""

    profile: Profile
    """The profile with the builds that `discover` adds; each build has only the signing keys that still count."""
    upstream: Upstream
    regions: tuple[Region, ...]
    """Regions of the config, the home one first, and those that the ledger has images in."""
    accounts: Mapping[str, AccountView]
    """By Region, except the unreached ones."""
    today: date
    """In UTC."""
    owner: Owner
    offers: Mapping[str, Offer] = field(default_factory=dict)
    """The repositories' offers by build, if the profile asks for them and the indexes could be read."""
    memory: Memory = field(default_factory=Memory)
    """The memory of earlier updates."""
    unreached: Mapping[str, str] = field(default_factory=dict)
    """Further Regions whose cloud doesn't answer as it should, and why. They wait for another run."""
    warnings: tuple[str, ...] = ()
    """Warnings for a person about the signing keys."""
    stocks: Mapping[str, Offer] = field(default_factory=dict)
    """The offers of those builds, of builds that only limit missing fixes, and of builds whose packages no image has
    proved to exist."""
    security: Security = field(default_factory=Security)
    """Alpine's security data for the builds whose profile asks for it."""
    untrusted: Mapping[str, str] = field(default_factory=dict)
    """By build: why it can't be built: no trusted key has signed an index of its repositories."""
    absent: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By build: a line about each of its repositories that doesn't exist, by its URL."""
    known: Mapping[str, KnownRegion] = field(default_factory=dict)
    """The Regions that earlier updates used, by name."""


def survey_stack(settings: Settings, held: Held) -> Survey:
    """Ask Alpine and the account of each Region, side by side. Only the cache of Alpine's answers is written.

    `held` is the stack's state.

    Raises SettingsError (another stack would write the same releases files) and ProfileError before anything is asked.
    Raises CredentialsError (no key, a refused one, or one of another account than the ledger's images) and CloudError
    (of the home Region). If Alpine or a further Region can't be reached, the answer has a warning.
    """
    ledger, owner = held.ledger, held.owner
    check_own_releases(settings, owner.stack, held={(image.profile, image.region) for image in ledger.images})
    today = clock.today()
    profile = load_profile(settings.profile, PROFILES)
    regions = regions_of(settings, ledger)
    with ThreadPoolExecutor(max_workers=len(regions), thread_name_prefix="account") as other:
        asked = [other.submit(_account, each, owner) for each in regions]
        staying = Ledger.of(image for each in regions if each.is_wanted for image in each.ledger.images)
        expanded, upstream = discover_builds(profile, settings, staying, held.memory, today)
        trusted = trust_keys(expanded.builds, upstream, ledger, today)
        security = _security(settings, trusted.builds)
        offered = _offered(settings, trusted.builds, staying, security)
        deciding = {build.name for build in trusted.builds if build.rebuild_on != "content"}
        upstream = replace(upstream, warnings=(*upstream.warnings, *security.warnings, *offered.warnings))
        accounts, unreached = {}, {}
        for each, account in zip(regions, asked, strict=True):
            try:
                with errors_naming(each, regions):
                    accounts[each.name] = account.result()
            except CloudError as error:
                if each.is_home:
                    raise
                unreached[each.name] = str(error)
        return Survey(
            profile=replace(expanded, builds=trusted.builds),
            upstream=upstream,
            regions=regions,
            accounts=accounts,
            today=today,
            owner=owner,
            offers={name: offer for name, offer in offered.offers.items() if name in deciding},
            memory=held.memory,
            unreached=unreached,
            warnings=trusted.warnings,
            stocks=offered.offers,
            security=security,
            untrusted=offered.untrusted,
            absent=offered.absent,
            known=held.known,
        )


def survey_fixes(settings: Settings, ledger: Ledger) -> tuple[Sequence[Target], Security, Mapping[str, Offer]]:
    """The profile's builds that have images and ask for Alpine's security data, that data, and their offers by name.

    It asks no account, and nobody if no build asks. ProfileError if the profile can't be read.
    """
    held = {image.build: image.version for image in ledger.images if image.profile == settings.profile}
    profile = expand_discovered(load_profile(settings.profile, PROFILES), held.values())
    builds = [build for build in profile.builds if build.name in held and build.asks_for_fixes]
    security = _security(settings, builds)
    return builds, security, _offered(settings, builds, ledger, security).offers


def discover_builds(
    profile: Profile, settings: Settings, ledger: Ledger, memory: Memory, today: date
) -> tuple[Profile, Upstream]:
    """The profile with the builds that `discover` adds, given the images that stay, and Alpine's releases."""

    def expand(upstream: Upstream) -> Profile:
        return expand_profile(profile, settings, ledger, memory, today, upstream)

    upstream = fetch_upstream(
        settings.upstream.releases,
        settings.upstream.mirror,
        _branches(profile),
        cache_folder() / "upstream",
        discover=lambda known: _branches(expand(known)),
    )
    found = expand(upstream)
    waiting = _branches(expand(replace(upstream, mirror={}))) - _branches(found)
    told = (f"Alpine {version} for {arch} has no release on the mirror yet: not built" for version, arch in waiting)
    return found, replace(upstream, warnings=(*upstream.warnings, *sorted(told), *_unknown(profile, upstream)))


def _unknown(profile: Profile, upstream: Upstream) -> Iterator[str]:
    """A line about each version in `discover` that Alpine never had."""
    if profile.discover is None or profile.layers is None or not upstream.branches:
        return
    place = profile.layers.target.place("discover", "versions")
    for version in profile.discover.versions if profile.discover.versions != "supported" else ():
        if upstream.branch(version) is None:
            yield f"{place.file}:{place.line}: discover.versions: Alpine has no version {version}; correct or remove it"


def expand_profile(
    profile: Profile, settings: Settings, ledger: Ledger, memory: Memory, today: date, upstream: Upstream
) -> Profile:
    """The profile with the builds that `discover` adds by what upstream says, given the images that stay."""
    if profile.discover is None:
        return profile
    memory = memory.today(upstream, {image.version for image in ledger.images}, today)

    def last_day(image: LedgerImage) -> date | None:
        detected = profile.layers.branch(image.version).end_of_life if profile.layers is not None else None
        return memory.last_day(image.version, [image.spec.end_of_life, detected], upstream, today)

    asked = (upstream, ledger, settings.retention, today, profile.name)
    versions = {version for arch in profile.discover.arch for version in versions_to_discover(*asked, arch, last_day)}
    return expand_discovered(profile, versions)


def _security(settings: Settings, builds: Sequence[Target]) -> Security:
    asking = [build for build in builds if build.asks_for_fixes]
    return read_security(asking, settings.upstream.security, cache_folder() / "upstream") if asking else Security()


def _offered(settings: Settings, builds: Sequence[Target], ledger: Ledger, security: Security) -> Offered:
    asking = [
        build
        for build in builds
        if build.keys and (build.rebuild_on != "content" or build.asks_for_fixes or not was_built(build, ledger.images))
    ]
    if not asking:
        return Offered()
    mirror, trusted = settings.upstream.mirror, settings.vm.trusted_keys
    return read_offered(asking, mirror, trusted, cache_folder() / "upstream", fixes=security.fixes)


def _branches(profile: Profile) -> set[tuple[str, str]]:
    return {(build.version, build.arch) for build in profile.builds}


def _account(region: Region, owner: Owner) -> AccountView:
    cloud, ledger = Cloud.connect(region.access), region.ledger
    for image in ledger.images:  # with another account's key, all images would seem to be gone
        cloud.require_account(image.record.account, f"{image.record.omi} ({image.name})")
    snapshots = {each for image in ledger.images if not image.record.adopted for each in image.record.snapshots}
    return read_account(cloud, owner, [image.record.omi for image in ledger.images], snapshots)
