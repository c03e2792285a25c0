"""The sources of a tool, in the order in which they are tried."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from toolchain.errors import ToolchainError, UnavailableError
from toolchain.gobuild import compile_tool, find_go, go_digest, go_needed
from toolchain.installed import Found, find_installed
from toolchain.maker import Makers, unpack
from toolchain.place import Label, Part, Store
from toolchain.standin import place_stand_in, stand_in_digest, stand_in_python
from toolchain.tools import COMMAND_PLUGIN, OUTSCALE_PLUGIN, TOOLS, GoModule, Tool, architecture

NAMES = ("installed", "maker", "go")


@dataclass(frozen=True)
class Source:
    """One way to one tool: what it would be, and `fill`, which puts the files into a tree or raises an error."""

    origin: str
    version: str
    main: str
    digest: str
    why: str
    fill: Callable[[Makers, Path], None]
    needs: Path | None = None
    """A file without which a part made earlier doesn't work."""


@dataclass
class Setup:
    """Puts every tool in place from the first source that has it; `only` (one of NAMES) allows just that one."""

    store: Store
    say: Callable[[str], None]
    only: str | None = None
    tools: Sequence[Tool] = TOOLS

    def settle(self) -> Path:
        """The folder that holds all tools. Where all is there already, nothing is written and no lock is waited for."""
        parts = [part for tool in self.tools if (part := self._made(tool, self._sources(tool)))]
        place = self.store.assembled(parts)
        if len(parts) < len(self.tools) or not place.is_dir():
            with self.store.lock(self.say), self.store.new_folder(self.store.folder) as downloads:
                makers = Makers(downloads)
                parts = [self._take(tool, makers) for tool in self.tools]
                place = self.store.assemble(parts)
        for part in parts:
            self.say(f"{part.label.name} {part.label.version}: {part.label.why}")
        return place

    def _take(self, tool: Tool, makers: Makers) -> Part:
        sources = list(self._sources(tool))
        if part := self._made(tool, sources):
            return part
        reasons: list[str] = []
        for source in sources:
            because = f" ({'; '.join(reasons)})" if reasons else ""
            label = Label(tool.name, source.version, source.origin, source.main, source.why + because)
            try:
                return self.store.make_part(label, source.digest, partial(source.fill, makers))
            except UnavailableError as error:
                reasons.append(str(error))
        tried = "; ".join(reasons) or f"ALPINE_OMI_TOOLS_FROM={self.only} has none"
        raise ToolchainError(
            f"{tool.name} {tool.version} can't be had: {tried}. Put {tool.minimum} or newer on PATH, "
            "or let this machine reach its maker or a Go module proxy, and run `make tools` again"
        )

    def _made(self, tool: Tool, sources: Iterable[Source]) -> Part | None:
        """The part that an earlier run made from one of the sources."""
        usable = (source for source in sources if source.needs is None or source.needs.exists())
        found = (self.store.find_part(tool.name, source.origin, source.digest) for source in usable)
        return next((part for part in found if part), None)

    def _sources(self, tool: Tool) -> Iterator[Source]:
        if self.only in (None, "installed") and (found := find_installed(tool, self.store.folder)):
            yield _installed(tool, found)
            return
        if self.only in (None, "maker") and architecture() in tool.archive.arch_names:
            yield _maker(tool)
        if self.only in (None, "go") and tool.go:
            yield self._go(tool, tool.go)
        if self.only in (None, "go") and tool.name == COMMAND_PLUGIN.name:
            yield self._stand_in(tool)

    def _go(self, tool: Tool, module: GoModule) -> Source:
        def fill(_: Makers, tree: Path) -> None:
            try:
                go = find_go(go_needed(tool), self.store, self.say)
                self.say(f"{tool.name} {module.version}: compiling it with {go}, which takes minutes")
                compile_tool(tool, go, next(_places(tool, module.version, tree)))
            except ToolchainError as error:
                raise UnavailableError(str(error)) from error
            _finish(tool, module.version, tree)

        main = _main(tool, module.version)
        return Source("go", module.version, main, go_digest(tool), "compiled with Go", fill)

    def _stand_in(self, tool: Tool) -> Source:
        return Source(
            origin="stand-in",
            version=tool.version,
            main=_main(tool, tool.version),
            digest=stand_in_digest(),
            why="the stand-in of this project, not the genuine plugin",
            fill=lambda _, tree: place_stand_in(tree, self.store),
            needs=stand_in_python(self.store),
        )


def _maker(tool: Tool) -> Source:
    def fill(makers: Makers, tree: Path) -> None:
        unpack(makers.fetch(tool), {path.name: path for path in _places(tool, tool.version, tree)})
        _finish(tool, tool.version, tree)

    digest = _digest(repr((tool.archive, tool.version, architecture())))
    return Source("maker", tool.version, _main(tool, tool.version), digest, "the maker's release", fill)


def _installed(tool: Tool, found: Found) -> Source:
    def fill(_: Makers, tree: Path) -> None:
        for path, name in zip(found.files, tool.files, strict=True):
            target = tree / tool.place(name, found.version)
            target.parent.mkdir(parents=True, exist_ok=True)
            if tool.name == OUTSCALE_PLUGIN.name:  # Packer takes plugins that are regular files
                shutil.copyfile(path, target)
            else:
                target.symlink_to(path.absolute())
        if tool.name == OUTSCALE_PLUGIN.name:
            _finish(tool, found.version, tree)

    why = f"found at {found.files[0]}"
    return Source("installed", found.version, _main(tool, found.version), _digest(found.signature()), why, fill)


def _places(tool: Tool, version: str, tree: Path) -> Iterator[Path]:
    """The places of the tool's files in the tree; their folder is made."""
    for file in tool.files:
        path = tree / tool.place(file, version)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path


def _main(tool: Tool, version: str) -> str:
    return tool.place(tool.files[0], version)


def _finish(tool: Tool, version: str, tree: Path) -> None:
    """Make the files executable; Packer runs a plugin only with its checksum beside it."""
    for path in _places(tool, version, tree):
        path.chmod(0o755)
        if tool.name == OUTSCALE_PLUGIN.name:
            path.with_name(f"{path.name}_SHA256SUM").write_text(hashlib.sha256(path.read_bytes()).hexdigest())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
