"""Which of an image's packages needs which others of it, by what apk recorded of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from omi.publish.documents.installed import Installed
from omi.support.dependency import Dependency, read_dependency


class Needs:
    """Dependencies among installed packages; what none of them offers is passed over."""

    def __init__(self, packages: Sequence[Installed]) -> None:
        self._names = tuple(package.name for package in packages)
        self._offered: dict[str, dict[str, str | None]] = {}
        for package in packages:
            for name, version in package.offers.items():
                self._offered.setdefault(name, {})[package.name] = version
        self.of: Mapping[str, tuple[str, ...]] = {
            package.name: tuple(sorted(set(self._answers(package.depends)) - {package.name})) for package in packages
        }
        """The names of those that a package needs, sorted, by its own name."""

    def first(self, asked: Iterable[str]) -> tuple[str, ...]:
        """The packages at the top: those that were `asked` for, in apk's notation, and those that no other needs."""
        needed = {name for names in self.of.values() for name in names}
        return tuple(sorted({*self._answers(asked), *(name for name in self._names if name not in needed)}))

    def _answers(self, texts: Iterable[str]) -> Iterator[str]:
        for text in texts:
            try:
                wanted = read_dependency(text)
            except ValueError:
                continue
            if not wanted.conflict:
                yield from self._offering(wanted)

    def _offering(self, wanted: Dependency) -> Iterator[str]:
        offering = self._offered.get(wanted.name, {})
        return (package for package, version in offering.items() if wanted.accepts(version))
