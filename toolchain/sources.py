"""The sources of a tool, in the order in which they are tried, and the set-up that puts all tools in place."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain.errors import ToolchainError, UnavailableError
from toolchain.gobuild import compile_tool, find_go, go_digest
from toolchain.installed import STAND_IN_MARK, Found, find_installed
from toolchain.maker import Makers
from toolchain.store import Store
from toolchain.tools import COMMAND_PLUGIN, OUTSCALE_PLUGIN, TOOLCHAIN, Tool, architecture

STAND_IN = TOOLCHAIN / "command_provider"


@dataclass(frozen=True)
class Source:
    """One way to one tool. `fill` puts its files at their places; UnavailableError: it isn't to be had here."""

    tool: Tool
    origin: str
    version: str
    why: str
    made_of: str
    """Changes with everything that goes into it."""
    fill: Callable[[Sequence[Path]], None]

    @property
    def folder(self) -> str:
        """Name of its folder in the cache."""
        return f"{self.tool.name}-{self.origin}-{_digest(self.made_of)}"

    def make(self, tree: Path) -> None:
        """Fill a folder with the tool, laid out as all tools together."""
        places = self.tool.places(tree, self.version)
        places[0].parent.mkdir(parents=True)
        self.fill(places)
        for path in places:
            if not path.is_symlink():
                path.chmod(0o755)
        if self.tool.name == OUTSCALE_PLUGIN.name:  # Packer runs a plugin only with its checksum beside it
            digest = hashlib.sha256(places[0].read_bytes()).hexdigest()
            places[0].with_name(f"{places[0].name}_SHA256SUM").write_text(digest)


class Setup:
    """Puts every tool in place from the first source that has it."""

    def __init__(self, store: Store, say: Callable[[str], None], tools: Sequence[Tool]) -> None:
        self._store, self._say, self._tools = store, say, tools
        self._makers = Makers(say)

    def install(self) -> Path:
        """The folder that holds all tools. Where all is there already, nothing is written and no lock is waited for."""
        made = [source for tool in self._tools if (source := self._made(self.sources(tool)))]
        place = self._assembled(made)
        if len(made) < len(self._tools) or not place.is_dir():
            with self._store.lock(self._say):
                made = [self._take(tool) for tool in self._tools]
                place = self._assembled(made)
                if not place.is_dir():
                    self._store.make(place, lambda new: self._assemble(made, new, place))
        for source in made:
            self._say(f"{source.tool.name} {source.version}: {source.why}")
        return place

    def sources(self, tool: Tool) -> list[Source]:
        """Where the tool may come from, the best first."""
        if found := find_installed(tool, self._store.folder):
            return [_installed(tool, found)]
        sources = [self._maker(tool)]
        if tool.go:
            sources.append(self._go(tool))
        if tool.name == COMMAND_PLUGIN.name:
            sources.append(_stand_in(tool))
        return sources

    def _made(self, sources: Sequence[Source]) -> Source | None:
        """The source that an earlier run took."""
        return next((source for source in sources if (self._store.made / source.folder).is_dir()), None)

    def _take(self, tool: Tool) -> Source:
        sources = self.sources(tool)
        if source := self._made(sources):
            return source
        reasons: list[str] = []
        for source in sources:
            try:
                self._store.make(self._store.made / source.folder, source.make)
            except UnavailableError as error:
                self._say(f"{tool.name} {source.version}: {error}")
                reasons.append(str(error))
            else:
                return source
        raise ToolchainError(
            f"{tool.name} {tool.version} can't be had: {'; '.join(reasons)}. Put {tool.minimum} or newer on PATH, "
            "or let this machine reach its maker or a Go module proxy, and run `make tools` again"
        )

    def _assembled(self, made: Sequence[Source]) -> Path:
        return self._store.folder / _digest("\n".join(source.folder for source in made))

    def _assemble(self, made: Sequence[Source], new: Path, place: Path) -> None:
        """Link all of them together, with a record of them, tools.json."""
        tools = {}
        for source in made:
            tree = self._store.made / source.folder
            shutil.copytree(tree, new, symlinks=True, dirs_exist_ok=True, copy_function=os.link)
            path = source.tool.places(place, source.version)[0]
            tools[source.tool.name] = {"version": source.version, "origin": source.origin, "path": str(path)}
        (new / "tools.json").write_text(json.dumps({"tools": tools}, indent=1) + "\n")

    def _maker(self, tool: Tool) -> Source:
        def fill(places: Sequence[Path]) -> None:
            for path, content in zip(places, self._makers.files(tool), strict=True):
                path.write_bytes(content)

        made_of = repr((tool.url, tool.sha256, tool.version, architecture()))
        return Source(tool, "maker", tool.version, "the maker's release", made_of, fill)

    def _go(self, tool: Tool) -> Source:
        version = tool.go[0].version

        def fill(places: Sequence[Path]) -> None:
            try:
                go = find_go(self._store, self._say)
                self._say(f"{tool.name} {version}: compiling it with {go}, which takes minutes")
                compile_tool(tool, go, places)
            except ToolchainError as error:
                raise UnavailableError(str(error)) from error

        return Source(tool, "go", version, "compiled with Go", go_digest(tool), fill)


def _installed(tool: Tool, found: Found) -> Source:
    # Packer takes plugins that are regular files.
    put = shutil.copyfile if tool.name == OUTSCALE_PLUGIN.name else os.symlink

    def fill(places: Sequence[Path]) -> None:
        for path, place in zip(found.files, places, strict=True):
            put(path.absolute(), place)

    why = f"found at {found.files[0]}"
    return Source(tool, "installed", found.version, why, found.signature(), fill)


def _stand_in(tool: Tool) -> Source:
    why = "the stand-in of this project, not the genuine plugin"
    code = "".join(path.read_text() for path in _stand_in_files())
    return Source(tool, "stand-in", tool.version, why, code, lambda places: place_stand_in(places[0]))


def place_stand_in(launcher: Path) -> None:
    """Copy the stand-in, so that it works when the checkout is gone: its launcher, and its code beside it."""
    code = launcher.parent / STAND_IN_MARK
    code.mkdir()
    for path in _stand_in_files():
        shutil.copyfile(path, launcher if path.suffix == ".sh" else code / path.name)
    launcher.chmod(0o755)


def _stand_in_files() -> Iterator[Path]:
    yield from sorted(path for path in STAND_IN.iterdir() if path.suffix in (".py", ".sh"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
