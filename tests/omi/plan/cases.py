"""Random planning problems: a profile, upstream, a ledger with a past, an account and a retention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from omi.config.settings import Level, Retention
from omi.plan import Plan
from omi.profile.model import Access, Target
from omi.state.account import AccountImage, AccountView
from omi.state.ledger import Ledger, LedgerImage
from omi.support.version import edge_release
from omi.upstream.index import Index
from omi.upstream.model import Branch, MirrorRelease, Upstream
from omi.upstream.offer import Offer
from tests.omi.plan.make import TODAY, build, held, plan_of, seen

VERSIONS = ("3.9", "3.10", "3.23", "edge")
NAMES = ("a", "b", "c", "d")
ARCH = "x86_64"


@dataclass(frozen=True)
class Case:
    """All that a plan is made from."""

    builds: tuple[Target, ...]
    upstream: Upstream
    images: tuple[LedgerImage, ...]
    retention: Retention
    account: AccountView | None
    edge_keep: int | None
    offers: Mapping[str, Offer] = field(default_factory=dict)
    today: date = TODAY

    def plan(self, **changes: Any) -> Plan:
        case = replace(self, **changes)
        return plan_of(
            case.builds,
            case.upstream,
            Ledger.of(case.images),
            case.retention,
            account=case.account,
            edge_keep=case.edge_keep,
            offers=case.offers,
            today=case.today,
        )


levels = st.none() | st.builds(
    Level,
    keep=st.integers(1, 3),
    builds=st.lists(st.sampled_from(NAMES), max_size=2).map(tuple),
    grace_days=st.sampled_from((0, 30)),
)
accesses = st.sampled_from((Access(), Access(public=True), Access(accounts=("1", "2"))))
users = st.sampled_from(("alpine", "admin"))
eols = st.sampled_from((None, TODAY - timedelta(days=60), TODAY - timedelta(days=10), TODAY, TODAY + timedelta(days=9)))


_edge_days = st.integers(0, 4).map(lambda days: edge_release(TODAY - timedelta(days=days)))


def _numbered(version: str) -> st.SearchStrategy[str]:
    return st.sampled_from(tuple(f"{version}.{number}" for number in (1, 2, 9, 10)))


# Strategies are made once, since making them takes longer than drawing from them.
releases = {version: _edge_days if version == "edge" else _numbered(version) for version in VERSIONS}
versions = st.sampled_from(VERSIONS)
mostly = st.sampled_from((True, True, True, False))
pins = {version: st.none() | st.none() | st.none() | found for version, found in releases.items()}
revision_pins = st.none() | st.none() | st.none() | st.integers(0, 3)
numbers = st.integers(0, 12)
some_names = st.lists(st.sampled_from(NAMES), max_size=3, unique=True)
past_keys = st.lists(versions.flatmap(lambda version: st.tuples(releases[version], numbers)), max_size=6, unique=True)
listed_releases = {version: st.lists(found, max_size=3, unique=True) for version, found in releases.items()}
mirror_releases = {version: st.none() | found for version, found in releases.items()}
strays = {version: st.lists(st.tuples(found, st.integers(0, 4)), max_size=2) for version, found in releases.items()}
uses = st.sampled_from(((), (), ("i-1",)))
digests = st.sampled_from((None, "sha256:alpine", "sha256:admin"))
chosen = st.sampled_from((False, False, True))
installs = st.fixed_dictionaries(
    {"openssl": st.sampled_from(("3.5.8-r0", "3.5.9-r0", "3.5.10-r0"))},
    optional={"zlib": st.just("1-r0"), "alpine-base": st.sampled_from(("3.23.9-r0", "3.23.10-r0"))},
)
fixes = st.sampled_from(({}, {"openssl": {"3.5.9-r0": ("CVE-2026-1",), "3.5.11-r0": ("CVE-2026-2",)}}))
offers = st.builds(
    lambda versions, fixed: Offer([(None, Index({name: (each,) for name, each in versions.items()}, {}, fixed))]),
    installs,
    fixes,
)
past_installs = st.none() | installs
past_offers = st.sampled_from(((), (), ("openssl=3.5.9-r0",), ("openssl=3.5.10-r0", "zlib=1-r0")))
modes = st.sampled_from(("content", "packages", "security"))
ages = st.none() | st.sampled_from((7, 22, 90))
edge_keeps = st.none() | st.integers(1, 3)


@st.composite
def live_builds(draw: Callable[..., Any], name: str) -> Target:
    version = draw(versions)
    return build(
        name,
        version,
        user=draw(users),
        access=draw(accesses),
        end_of_life=draw(eols),
        recorded_release=None if version == "edge" else draw(releases[version]),
        release=draw(pins[version]),
        revision=draw(revision_pins),
        rebuild_on=draw(modes),
        max_age=draw(ages),
        min_interval=draw(ages),
    )


@st.composite
def past_images(draw: Callable[..., Any], name: str) -> list[LedgerImage]:
    """Images that earlier profiles made under a build's name."""
    return [
        held(
            build(name, user=draw(users), access=draw(accesses), end_of_life=draw(eols)),
            release,
            revision,
            verified=draw(mostly),
            adopted=not draw(mostly),
            installed=draw(past_installs),
            offered=draw(past_offers),
        )
        for release, revision in draw(past_keys)
    ]


@st.composite
def _upstreams(draw: Callable[..., Any]) -> Upstream:
    branches, mirror = [], {}
    for version in VERSIONS[:3]:
        if draw(st.booleans()):
            listed = tuple(draw(listed_releases[version]))
            branches.append(Branch(version, listed, draw(eols), (ARCH,)))
        if draw(st.booleans()):
            mirror[(version, ARCH)] = MirrorRelease(draw(mirror_releases[version]), draw(st.booleans()))
    return Upstream(tuple(branches), mirror)


upstreams = _upstreams()
builds_of = {name: live_builds(name) for name in NAMES}
images_of = {name: past_images(name) for name in NAMES}


def an_account(draw: Callable[..., Any], images: list[LedgerImage], builds: list[Target]) -> AccountView:
    """The ledger's images, some missing, some in doubt and some changed, and images that the ledger doesn't know."""
    there, missing = [], []
    for image in images:
        if draw(mostly):
            there.append(seen(image, used_by=draw(uses), access=draw(accesses) if draw(chosen) else image.spec.access))
        elif draw(mostly):
            missing.append(image.record.omi)
    names = {image.name for image in images}
    for one in builds:
        for release, revision in draw(strays[one.version]):
            if (name := one.image_name(release, revision)) not in names:
                names.add(name)
                managed = draw(st.booleans())
                half_made, digest = managed and draw(chosen), draw(digests)
                there.append(AccountImage(name, f"ami-x-{name}", managed=managed, half_made=half_made, digest=digest))
    return AccountView.of(there, None, missing)


@st.composite
def _cases(draw: Callable[..., Any]) -> Case:
    live = [draw(builds_of[name]) for name in draw(some_names)]
    images = [image for name in draw(some_names) for image in draw(images_of[name])]
    retention = Retention(
        revision=draw(levels),
        release=draw(levels),
        end_of_life=draw(levels),
        protect=tuple(image.name for image in images if draw(numbers) == 0),
        allow_mass_prune=("all",),
    )
    account = an_account(draw, images, live) if draw(st.booleans()) else None
    offered = {one.name: draw(offers) for one in live if draw(st.booleans())}
    return Case(tuple(live), draw(upstreams), tuple(images), retention, account, draw(edge_keeps), offered)


cases = _cases()
