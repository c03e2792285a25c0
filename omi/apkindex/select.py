"""Which packages apk would install into an empty root.

Simpler than apk's own solver, and the same for what Alpine's repositories hold: names, provided names with and without
versions, provider priorities, version constraints, conflicts, install_if, tagged repositories.

It works in rounds. A round chooses the best provider of each name that is asked for by the list or by the packages of
the round before, under all constraints of those; once a round chooses what the one before did, that is the answer. A
choice that turns out not to work is forbidden, and it starts anew. Where it differs from apk:

- apk settles one name after another, so that what was chosen first limits the rest; here all names of a round are
  chosen side by side, packages asked for by their own names before those that only provide something
- of packages that exclude each other without either being asked for by name, the one that loses the first name by
  which they clash is forbidden; apk's choice hangs on the order of its discovery
- nothing is ever installed that breaks a constraint; apk may say in its error which one does

Nothing here depends on the order of the packages or of the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from omi.apkindex.dependency import Dependency, read_dependency
from omi.apkindex.read import Package
from omi.apkindex.selection import Selection
from omi.apkindex.universe import Repository, Universe

_MAX_ROUNDS = 200
_MAX_ATTEMPTS = 200

_Tags = frozenset[str]
_Chosen = dict[Package, _Tags]
"""Each package with the tags under which it was asked for, which its own dependencies may come from as well."""


class UnresolvableError(ValueError):
    """No set of packages fulfils the list, or none was found; the text says what is missing."""


def select(repositories: Sequence[Repository], wanted: Iterable[str]) -> Selection:
    """What apk would install for this list (`nginx`, `openssl~3.5`, `foot@testing`, `!bar`).

    Raises UnresolvableError where it can't be told; apk then fails, too, or is cleverer.
    """
    try:
        world = [read_dependency(text) for text in sorted(set(wanted))]
    except ValueError as error:
        raise UnresolvableError(str(error)) from error
    solver = _Solver(Universe(repositories), world)
    packages = solver.solve()
    return Selection(
        {package.name: package.version for package in packages},
        {package.name: package.origin for package in packages},
    )


@dataclass
class _Asked:
    """What one round asks of one name: every dependency on it, and by whom (None: the list)."""

    by: list[tuple[Dependency, Package | None]] = field(default_factory=list)
    tags: _Tags = frozenset()
    wished_tag: str | None = None
    """The one that the list names: preferred, not only allowed."""

    @property
    def positive(self) -> bool:
        return any(not dependency.conflict for dependency, _ in self.by)


class _Solver:
    def __init__(self, universe: Universe, world: Sequence[Dependency]) -> None:
        self._universe, self._world = universe, world
        self._forbidden: set[Package] = set()

    def solve(self) -> list[Package]:
        for _ in range(_MAX_ATTEMPTS):
            chosen = self._settle()
            wrong = self._wrong(chosen) if chosen is not None else None
            if chosen is not None and wrong is None:
                return sorted(chosen, key=_order)
            if wrong is not None:
                self._forbidden.add(wrong)
        message = "no set of packages fulfils all of the list"
        raise UnresolvableError(message)

    def _settle(self) -> _Chosen | None:
        """Rounds until nothing changes; None where they went in a circle, of which one package is then forbidden."""
        chosen: _Chosen = {}
        earlier: list[_Chosen] = []
        for _ in range(_MAX_ROUNDS):
            earlier.append(chosen)
            chosen = self._round(chosen)
            if chosen == earlier[-1]:
                return chosen
            if chosen in earlier:
                break
        unsteady = [package for package in chosen if package not in earlier[-1]] or list(earlier[-1])
        named = {dependency.name for dependency in self._world}
        self._forbidden.add(min(unsteady, key=lambda package: (package.name in named, _order(package))))
        return None

    def _round(self, before: _Chosen) -> _Chosen:
        asked = self._asked(before)
        chosen: _Chosen = {}
        names = sorted(name for name, what in asked.items() if what.positive)
        own = [name for name in names if any(package.name == name for package in self._universe.offering(name))]
        own_names = set(own)
        for name in (*own, *(name for name in names if name not in own_names)):
            self._choose(name, asked, chosen, names)
        for package in self._triggered(before, asked):
            taken = _locked(chosen)
            if not any(taken.get(name, package) is not package for name in _firm_names(package)):
                tags = (before.get(one, frozenset()) for one in before if _answers(one, package.install_if))
                chosen.setdefault(package, frozenset().union(*tags))
        return chosen

    def _asked(self, chosen: _Chosen) -> dict[str, _Asked]:
        asked: dict[str, _Asked] = {}
        for dependency in self._world:
            what = asked.setdefault(dependency.name, _Asked())
            what.by.append((dependency, None))
            if dependency.tag is not None:
                what.tags |= {dependency.tag}
                what.wished_tag = dependency.tag
        for package, tags in chosen.items():
            for dependency in package.depends:
                what = asked.setdefault(dependency.name, _Asked())
                what.by.append((dependency, package))
                if not dependency.conflict:
                    what.tags |= tags
        return asked

    def _choose(self, name: str, asked: dict[str, _Asked], chosen: _Chosen, names: Sequence[str]) -> None:
        what = asked[name]
        there = [package for package in chosen if name in package.offers]
        if there:
            for package in there:
                chosen[package] |= what.tags
            return
        wanted = set(names)
        able = (package for package in self._universe.offering(name) if self._may(package, what, asked))
        offers = [
            package
            for package in able
            if package.offers[name] is not None or package.priority or package.name in wanted
        ]
        best = self._universe.best(offers, name, what.wished_tag)
        if best is not None:
            chosen[best] = what.tags

    def _may(self, package: Package, what: _Asked, asked: dict[str, _Asked]) -> bool:
        tag = self._universe.tag(package)
        allowed = tag is None or tag in what.tags
        return allowed and package not in self._forbidden and _fits(package, asked)

    def _triggered(self, before: _Chosen, asked: dict[str, _Asked]) -> Iterator[Package]:
        """Those that `install_if` adds, the best of each name, sorted."""
        offered = {name for package in before for name in package.offers}
        tags: _Tags = frozenset().union(*before.values())
        found: dict[str, list[Package]] = {}
        for package in self._universe.maybe_triggered(offered):
            if self._may(package, _Asked(tags=tags), asked) and _holds(package.install_if, before):
                found.setdefault(package.name, []).append(package)
        for name in sorted(found):
            best = self._universe.best(found[name], name, None)
            if best is not None:
                yield best

    def _wrong(self, chosen: _Chosen) -> Package | None:
        """A package that must not be where the others are; UnresolvableError where only the list itself is to blame."""
        asked = self._asked(chosen)
        named = {name for name, what in asked.items() if what.positive}
        if clash := _clash(chosen):
            name, packages = clash
            unnamed = [package for package in packages if package.name not in named] or packages
            best = self._universe.best(unnamed, name, None)
            rest = [package for package in unnamed if package is not best] or unnamed
            return min(rest, key=_order)
        for name in sorted(asked):
            what = asked[name]
            unmet = [item for item in what.by if not _met(item, name, chosen)]
            owners = [owner for _, owner in unmet if owner is not None]
            if owners:
                return min(owners, key=_order)
            if unmet:
                others = sorted({str(owner.name) for _, owner in what.by if owner is not None})
                told = f" (asked for by {', '.join(others[:4])} as well)" if others else ""
                message = f"nothing in the repositories can be installed as {unmet[0][0]}{told}"
                raise UnresolvableError(message)
        return None


def _order(package: Package) -> tuple[str, str]:
    return package.name, package.version


def _firm_names(package: Package) -> Iterator[str]:
    """The names that no second package may offer beside it: those with a version."""
    return (name for name, version in package.offers.items() if version is not None)


def _locked(chosen: Iterable[Package]) -> dict[str, Package]:
    return {name: package for package in chosen for name in package.offers}


def _fits(package: Package, asked: dict[str, _Asked]) -> bool:
    """Whether no dependency on any of its names speaks against it; a package doesn't conflict with itself."""
    for name, version in package.offers.items():
        what = asked.get(name)
        if what is not None and not all(
            dependency.accepts(version) or (dependency.conflict and owner is package) for dependency, owner in what.by
        ):
            return False
    return True


def _answers(package: Package, dependencies: Iterable[Dependency]) -> bool:
    return any(not each.conflict and each.name in package.offers for each in dependencies)


def _holds(dependencies: Iterable[Dependency], chosen: Iterable[Package]) -> bool:
    there = list(chosen)
    for dependency in dependencies:
        offered = [package.offers[dependency.name] for package in there if dependency.name in package.offers]
        accepted = [dependency.accepts(version) for version in offered]
        if not (all(accepted) if dependency.conflict else any(accepted)):
            return False
    return True


def _met(item: tuple[Dependency, Package | None], name: str, chosen: Iterable[Package]) -> bool:
    dependency, owner = item
    offers = [package for package in chosen if name in package.offers]
    if dependency.conflict:
        return all(package is owner or dependency.accepts(package.offers[name]) for package in offers)
    return any(dependency.accepts(package.offers[name]) for package in offers)


def _clash(chosen: Iterable[Package]) -> tuple[str, list[Package]] | None:
    """The first name that two packages offer which no two may: with a version by one of them at least."""
    by_name: dict[str, list[Package]] = {}
    for package in chosen:
        for name in package.offers:
            by_name.setdefault(name, []).append(package)
    for name, packages in sorted(by_name.items()):
        if len(packages) > 1 and any(package.offers[name] is not None for package in packages):
            return name, packages
    return None
