"""Decides which of a build's signing keys still count: those that upstream has not deprecated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from omi.profile.model import Target
from omi.state.ledger import Ledger
from omi.upstream.model import Upstream


@dataclass(frozen=True)
class Trusted:
    """The builds with the keys that count (the others are in `dropped_keys`), and warnings for a person."""

    builds: tuple[Target, ...]
    warnings: tuple[str, ...] = ()


def trust_keys(builds: Sequence[Target], upstream: Upstream, ledger: Ledger, today: date) -> Trusted:
    """Drop each key that releases.json calls deprecated since a day that has come (`today` is in UTC).

    If releases.json can't be read or lacks the branch, keys that the ledger's images of the version dropped stay
    dropped. So an unreachable upstream neither trusts a key again nor makes another revision.
    """
    trusted = tuple(_without_deprecated(build, _deprecated(build, upstream, ledger, today)) for build in builds)
    return Trusted(trusted, tuple(_warnings(trusted)))


def keyless(build: Target) -> tuple[str, ...]:
    """The problem and its cure if no key is left that may sign the build's packages."""
    if build.keys or not build.dropped_keys:
        return ()
    dropped = ", ".join(f"{name} since {day}" for name, day in build.dropped_keys.items())
    problem = (
        f"{build.name}: Alpine has deprecated every key of the profile ({dropped}), so nothing "
        f"could be trusted; put the key that signs Alpine {build.version} now into profiles/keys/ and name it "
        "under `keys` (Alpine's own are at https://alpinelinux.org/keys/)"
    )
    return (problem,)


def _deprecated(build: Target, upstream: Upstream, ledger: Ledger, today: date) -> dict[str, date]:
    branch = upstream.branch(build.version)
    told = branch.deprecated_keys.get(build.arch, {}) if branch is not None else {}
    found = {name: day for name, day in told.items() if day <= today}
    if branch is None or upstream.stale:
        for image in ledger.images:
            recipe = image.spec.recipe
            if recipe is not None and (image.version, image.spec.arch) == (build.version, build.arch):
                found = {**recipe.build.dropped_keys, **found}
    return found


def _without_deprecated(build: Target, deprecated: Mapping[str, date]) -> Target:
    dropped = {name: deprecated[name] for name in sorted(build.keys) if name in deprecated}
    if not dropped:
        return build
    kept = {name: text for name, text in build.keys.items() if name not in dropped}
    return build.model_copy(update={"keys": kept, "dropped_keys": dropped})


def _warnings(builds: Iterable[Target]) -> Iterable[str]:
    found: dict[tuple[str, date], list[str]] = {}
    for build in builds:
        for dropped in build.dropped_keys.items():
            found.setdefault(dropped, []).append(build.name)
    for (name, day), names in sorted(found.items()):
        yield (
            f"the signing key {name} is deprecated by Alpine since {day} and not trusted for {', '.join(names)}; "
            f"it can go from `keys` in the profile"
        )
