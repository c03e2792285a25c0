"""Which packages apk would install into an empty root.

Simpler than apk's own solver, and the same for what Alpine's repositories hold: names, provided names with and without
versions, provider priorities, version constraints, conflicts, install_if, tagged repositories.

It works in rounds. A round chooses the best provider of each name that is asked for by the list or by the packages of
the round before, under all constraints of those; once a round chooses what the one before did, that is the answer. A
choice that turns out not to work is forbidden, and it starts anew. Where it differs from apk:

- apk settles one name after another, in the order in which it comes upon them, and what was chosen first limits the
  rest; here a round chooses where there is no choice, then packages by their own names, then what is only provided
- of packages that exclude each other, one that another can stand in for is forbidden, then one that the list doesn't
  name, then one that no package names, then the one that is the worse for the first name by which they clash
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

# What there is to choose for a name, in the order in which it is chosen.
_NONE, _BY_NAME, _PROVIDED = range(3)

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
        circle = earlier[earlier.index(chosen) :] if chosen in earlier else earlier[-2:]
        steady = set.intersection(*map(set, circle))
        unsteady = [package for state in circle for package in state if package not in steady] or list(chosen)
        listed = {dependency.name for dependency in self._world}
        self._forbidden.add(min(unsteady, key=lambda package: (package.name in listed, _order(package))))
        return None

    def _round(self, before: _Chosen) -> _Chosen:
        asked = self._asked(before)
        chosen: _Chosen = {}
        offers = {name: self._offers(name, asked) for name, what in asked.items() if what.positive}
        choices = {name: _choice(name, packages) for name, packages in offers.items()}
        for name in sorted(name for name in offers if choices[name] == _NONE):
            self._choose(name, asked[name], offers[name], chosen)
        for name in sorted(name for name in offers if choices[name] == _BY_NAME):
            self._choose(name, asked[name], offers[name], chosen)
        self._add_triggered(before, asked, chosen)
        for name in sorted(name for name in offers if choices[name] == _PROVIDED):
            self._choose(name, asked[name], offers[name], chosen)
        return chosen

    def _add_triggered(self, before: _Chosen, asked: dict[str, _Asked], chosen: _Chosen) -> None:
        """Add what `install_if` brings, which never changes what else is chosen."""
        for package in self._triggered(before, asked):
            taken = _locked(chosen)
            if not any(taken.get(name, package) is not package for name in _firm_names(package)):
                tags = (before.get(one, frozenset()) for one in before if _answers(one, package.install_if))
                chosen.setdefault(package, frozenset().union(*tags))

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

    def _offers(self, name: str, asked: dict[str, _Asked]) -> list[Package]:
        """What may be installed for a name that is asked for."""
        able = (package for package in self._universe.offering(name) if self._may(package, asked[name], asked))
        return [
            package
            for package in able
            if package.offers[name] is not None or package.priority or _is_named(package, asked)
        ]

    def _choose(self, name: str, what: _Asked, offers: Sequence[Package], chosen: _Chosen) -> None:
        there = [package for package in chosen if name in package.offers]
        for package in there:
            chosen[package] |= what.tags
        best = self._universe.best(offers, name, what.wished_tag) if not there else None
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
            able = self._may(package, _Asked(tags=tags), asked) and not _disturbs(package, before)
            if able and _holds(package.install_if, before):
                found.setdefault(package.name, []).append(package)
        for name in sorted(found):
            best = self._universe.best(found[name], name, None)
            if best is not None:
                yield best

    def _wrong(self, chosen: _Chosen) -> Package | None:
        """A package that must not be where the others are; UnresolvableError where only the list itself is to blame."""
        asked = self._asked(chosen)
        if clash := _clash(chosen):
            return self._loser(*clash, asked)
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

    def _loser(self, name: str, packages: Sequence[Package], asked: dict[str, _Asked]) -> Package:
        """Of packages that exclude each other: one that can be replaced, then one that the list doesn't name, then one
        that nothing names.
        """
        listed = {dependency.name for dependency in self._world}
        ranks = {
            package: (self._is_needed(package, asked), package.name in listed, _is_named(package, asked))
            for package in packages
        }
        lowest = [package for package in packages if ranks[package] == min(ranks.values())]
        best = self._universe.best(lowest, name, None)
        return min((package for package in lowest if package is not best or len(lowest) == 1), key=_order)

    def _is_needed(self, package: Package, asked: dict[str, _Asked]) -> bool:
        """Whether it is asked for by its name, which nothing else offers."""
        others = (other for other in self._universe.offering(package.name) if other is not package)
        return _is_named(package, asked) and all(other in self._forbidden for other in others)


def _choice(name: str, offers: Sequence[Package]) -> int:
    if len(offers) == 1:
        return _NONE
    return _BY_NAME if any(package.name == name for package in offers) else _PROVIDED


def _is_named(package: Package, asked: dict[str, _Asked]) -> bool:
    return package.name in asked and asked[package.name].positive


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


def _disturbs(package: Package, chosen: Iterable[Package]) -> bool:
    """Whether it asks for another version of what is there, or for its absence."""
    there = list(chosen)
    return any(
        not dependency.accepts(other.offers[dependency.name])
        for dependency in package.depends
        for other in there
        if dependency.name in other.offers and other is not package
    )


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
