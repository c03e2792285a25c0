"""Random planning problems: a profile, upstream, a ledger with a past, an account and a retention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from omi.account import AccountImage, AccountView
from omi.ledger import Ledger, LedgerImage
from omi.plan import Plan
from omi.profile.model import Access, Build
from omi.settings import Level, Retention
from omi.upstream import Branch, MirrorRelease, Release, Upstream
from omi.version import edge_release
from tests.omi.plan.make import TODAY, build, held, plan_of, seen

VERSIONS = ("3.9", "3.10", "3.23", "edge")
NAMES = ("a", "b", "c", "d")
ARCH = "x86_64"


@dataclass(frozen=True)
class Case:
    """All that a plan is made from."""

    builds: tuple[Build, ...]
    upstream: Upstream
    images: tuple[LedgerImage, ...]
    retention: Retention
    account: AccountView | None
    only: tuple[str, ...]
    edge_keep: int | None
    today: date = TODAY

    def plan(self, **changes: Any) -> Plan:
        case = replace(self, **changes)
        return plan_of(
            case.builds,
            case.upstream,
            Ledger.of(case.images),
            case.retention,
            account=case.account,
            only=case.only,
            edge_keep=case.edge_keep,
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


def releases_of(version: str) -> st.SearchStrategy[str]:
    if version == "edge":
        return st.integers(0, 4).map(lambda days: edge_release(TODAY - timedelta(days=days)))
    return st.sampled_from((1, 2, 9, 10)).map(lambda number: f"{version}.{number}")


@st.composite
def live_builds(draw: Callable[..., Any], name: str) -> Build:
    version = draw(st.sampled_from(VERSIONS))
    return build(
        name,
        version,
        user=draw(users),
        access=draw(accesses),
        end_of_life=draw(eols),
        recorded_release=None if version == "edge" else draw(releases_of(version)),
        release=draw(st.none() | st.none() | st.none() | releases_of(version)),
        revision=draw(st.none() | st.none() | st.none() | st.integers(0, 3)),
    )


@st.composite
def past_images(draw: Callable[..., Any], name: str) -> list[LedgerImage]:
    """Images that earlier profiles made under a build's name."""
    keys = draw(
        st.lists(
            st.sampled_from(VERSIONS).flatmap(lambda one: st.tuples(releases_of(one), st.integers(0, 12))),
            max_size=6,
            unique=True,
        )
    )
    return [
        held(
            build(name, user=draw(users), access=draw(accesses), end_of_life=draw(eols)),
            release,
            revision,
            verified=draw(st.sampled_from((True, True, True, False))),
            adopted=draw(st.sampled_from((False, False, False, True))),
        )
        for release, revision in keys
    ]


@st.composite
def upstreams(draw: Callable[..., Any]) -> Upstream:
    branches, mirror = [], {}
    for version in VERSIONS[:3]:
        if draw(st.booleans()):
            listed = draw(st.lists(releases_of(version), max_size=3, unique=True))
            branches.append(Branch(version, tuple(map(Release, listed)), draw(eols), (ARCH,)))
        if draw(st.booleans()):
            mirror[(version, ARCH)] = MirrorRelease(draw(st.none() | releases_of(version)), draw(st.booleans()))
    return Upstream(tuple(branches), None, mirror)


@st.composite
def accounts(draw: Callable[..., Any], images: list[LedgerImage], builds: list[Build]) -> AccountView:
    there: list[AccountImage] = []
    for image in images:
        if draw(st.sampled_from((True, True, True, False))):
            used = draw(st.sampled_from(((), (), ("i-1",))))
            there.append(seen(image, used_by=used, access=draw(st.sampled_from((image.spec.access, Access(), None)))))
    names = {image.name for image in images}
    for one in builds:
        for release, revision in draw(st.lists(st.tuples(releases_of(one.version), st.integers(0, 4)), max_size=2)):
            if (name := one.image_name(release, revision)) not in names:
                names.add(name)
                digest = draw(st.sampled_from((None, "sha256:alpine", "sha256:admin")))
                half, managed = draw(st.sampled_from((False, False, True))), draw(st.booleans())
                there.append(
                    AccountImage(name, f"ami-x-{name}", managed=managed, half_made=half and managed, digest=digest)
                )
    return AccountView.of(there)


@st.composite
def cases(draw: Callable[..., Any]) -> Case:
    live = [draw(live_builds(name)) for name in draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))]
    past = draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))
    images = [image for name in past for image in draw(past_images(name))]
    known = sorted({one.name for one in live} | {image.build for image in images})
    protect = draw(st.lists(st.sampled_from([image.name for image in images]), max_size=2)) if images else []
    retention = Retention(
        revision=draw(levels),
        release=draw(levels),
        end_of_life=draw(levels),
        protect=tuple(protect),
        allow_mass_prune=("all",),
    )
    account = draw(accounts(images, live)) if draw(st.booleans()) else None
    only = draw(st.sampled_from(((), (), (known[0],)))) if known else ()
    keep = draw(st.none() | st.integers(1, 3))
    return Case(tuple(live), draw(upstreams()), tuple(images), retention, account, only, keep)
