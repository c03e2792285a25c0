"""A stack seen from outside Pulumi's engine: its configuration file and its exported state."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from omi.config.settings import Settings
from omi.support.environment import without
from omi.support.errors import InputError, NoStackError, SettingsError, StateError, ToolError
from omi.support.places import expand
from omi.support.reading import real_path, require_file, why_unread
from omi.support.safe_json import read_json
from omi.support.safe_yaml import YamlError, read_values

PROJECT = "alpine-omi"
"""The project's name in Pulumi.yaml, which is also the namespace of its configuration."""

STACKS = Path("stacks")
"""Where their files lie (`stackConfigDir` in Pulumi.yaml)."""
_LONGEST = 1024 * 1024
"""Characters of a stack's file; a thousand adoptions have about a tenth."""
_NO_PULUMI = "pulumi is not on PATH; run `. toolchain/env.sh` first"
_OTHER_PULUMI = "use the Pulumi that `. toolchain/env.sh` puts on PATH"
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_EVERY = 0.2
"""Seconds between two checks for an interrupt."""
EXPORT_LIMIT = 120
"""Seconds that `pulumi stack export` may take; a thousand images take about two."""


def stack_config(stack: str, folder: Path = STACKS) -> dict[str, Any]:
    """The project's own settings in `stacks/Pulumi.<stack>.yaml`, by name."""
    path = folder / f"Pulumi.{stack}.yaml"
    try:
        require_file(path)
        content = read_values(path.read_text(encoding="utf-8"), _LONGEST) or {}
    except FileNotFoundError as error:
        if path.is_symlink():
            raise SettingsError(f"{path}: {why_unread(path, error)}") from error
        known = sorted(file.name.split(".")[1] for file in folder.glob("Pulumi.*.yaml"))
        raise SettingsError(
            f"stack {stack!r}: {path} does not exist; stacks here: {', '.join(known) or 'none'}; "
            "run this in the project's folder"
        ) from error
    except OSError as error:
        raise SettingsError(f"{path}: {why_unread(path, error)}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except YamlError as error:
        raise SettingsError(f"{path}: {error}") from error
    values = content.get("config") or {} if isinstance(content, dict) else None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise SettingsError(f"{path}: must hold a map `config` of settings by name, `{PROJECT}:KEY`")
    own = f"{PROJECT}:"
    return {key.removeprefix(own): _as_pulumi(value) for key, value in values.items() if key.startswith(own)}


def _as_pulumi(value: Any) -> Any:
    """The value as Pulumi passes it: as text, unless it is a map or a list."""
    if value is None or isinstance(value, dict | list):
        return value
    return as_value(str(value).lower() if isinstance(value, bool) else str(value))


def as_value(text: str) -> Any:
    """A setting's value by the text that Pulumi keeps: maps and lists are JSON, all else is its text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, dict | list) else text


def check_own_releases(
    settings: Settings, stack: str, folder: Path = STACKS, held: Iterable[tuple[str, str]] = ()
) -> None:
    """Raise SettingsError if another stack of this checkout would write the same releases files.

    They name one OMI for an image and a Region: each stack's update would remove the other's. `held` are the profiles
    and Regions of the images in the stack's state, which it writes, too.
    """
    own = _releases(settings, held)
    for path in sorted(folder.glob("Pulumi.*.yaml")):
        other = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        if other == stack:
            continue
        try:
            theirs = _releases(Settings.load(stack_config(other, folder)))
        except InputError:
            continue  # a command on that stack reports it
        if same := theirs & own:
            _, profile, region = min(same)
            raise SettingsError(
                f"stack config: releases_dir: {settings.releases_dir!r}: stack {other} ({path}) writes "
                f"{profile}.yaml for {region} there, too; give one of the two a folder of its own by "
                f"`pulumi config set releases_dir FOLDER`, or remove {path} if that stack is gone"
            )


def _releases(settings: Settings, held: Iterable[tuple[str, str]] = ()) -> set[tuple[Path, str, str]]:
    try:
        folder = real_path(expand(settings.releases_dir))
    except InputError as error:
        raise SettingsError(f"stack config: releases_dir: {error}") from error
    wanted = ((settings.profile, region) for region in settings.all_regions)
    return {(folder, profile, region) for profile, region in (*wanted, *held)}


def configure(stack: str, key: str, values: Mapping[str, str | int]) -> None:
    """Set parts of a key of the stack's configuration, by their path below it, by Pulumi itself.

    Raises ToolError or StateError.
    """
    texts = {path: str(value).lower() if isinstance(value, bool) else value for path, value in values.items()}
    pairs = [word for path, text in texts.items() for word in ("--plaintext", f"{PROJECT}:{key}{path}={text}")]
    with _interrupted_later():
        _pulumi(stack, "config", "set-all", "--path", *pairs, failed=f"{key} not written: ")


def unset(stack: str, key: str) -> None:
    """Take a key out of the stack's configuration, by Pulumi itself. Raises ToolError or StateError."""
    with _interrupted_later():
        _pulumi(stack, "config", "rm", f"{PROJECT}:{key}", failed=f"{key} not taken out: ")


def update(stack: str, environment: Mapping[str, str]) -> int:
    """Run `pulumi up` of the stack with these variables besides the process's own; returns its exit code.

    It shows its own progress and has no limit here: each of its commands has one. Raises ToolError.

    The first interrupt cancels the update and a second one would stop it at once, which loses what it was about to
    write. So Pulumi gets one at most: at a terminal, Ctrl-C reaches it anyway; elsewhere it has a process group of
    its own, and this process passes on the first signal.
    """
    at_terminal = os.isatty(0)
    command = ["pulumi", "up", "--yes", "--skip-preview", "--stack", stack]
    needed = without(os.environ, *environment)  # it needs the keys of account and backend, as if a person ran it
    with _interrupted_later() as seen:
        try:
            process = subprocess.Popen(command, env={**needed, **environment}, process_group=None if at_terminal else 0)
        except FileNotFoundError as error:
            raise ToolError(_NO_PULUMI) from error
        passed = False
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_EVERY)
            if seen and not passed:
                passed = True
                if not (at_terminal and seen[0] == signal.SIGINT):
                    process.send_signal(signal.SIGINT)


@contextmanager
def _interrupted_later() -> Iterator[list[int]]:
    """Collect the interrupts (Ctrl-C, SIGTERM) that come meanwhile; KeyboardInterrupt at the end if there was one."""
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        seen.append(number)

    heard = {number for number in _INTERRUPTS if signal.getsignal(number) is not signal.SIG_IGN}  # nohup ignores one
    before = {number: signal.signal(number, note) for number in heard}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if seen:
            raise KeyboardInterrupt


def empty_state(stack: str) -> None:
    """Take every resource out of the stack's state, protected ones too, by Pulumi itself; nothing else is deleted.

    Raises ToolError or StateError.
    """
    with _interrupted_later():
        _pulumi(stack, "state", "delete", "--all", "--force", "--yes", failed="its state was not emptied: ")


def exported_state(stack: str) -> dict[str, Any]:
    """The stack's state by `pulumi stack export`: its deployment; raises ToolError, NoStackError or StateError."""
    return deployment_of(_pulumi(stack, "stack", "export"), stack)


def last_update(stack: str) -> datetime | None:
    """When the last update of the stack that succeeded ended, in UTC; None if none has. ToolError or StateError."""
    history = _pulumi(stack, "stack", "history", "--output", "json")
    try:
        updates = [each for each in read_json(history or "[]") if each["kind"] == "update"]
        ended = [datetime.fromisoformat(each["endTime"]) for each in updates if each["result"] == "succeeded"]
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"stack {stack!r}: its history can't be read: {error}; {_OTHER_PULUMI}") from error
    return max(ended, default=None)


def backend_url() -> str:
    """Where Pulumi keeps state now; raises ToolError or StateError."""
    done = _run(["pulumi", "whoami", "--json"])
    try:
        return str(read_json(done.stdout)["url"])
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"Pulumi's backend: {_error_of(done)}; set PULUMI_BACKEND_URL to one that can be reached"
        ) from error


def deployment_of(text: str, stack: str) -> dict[str, Any]:
    """The deployment in what `pulumi stack export` prints; StateError if there is none such in it."""
    try:
        content = read_json(text)
    except ValueError as error:
        raise StateError(f"stack {stack!r}: its export is not JSON: {error}; {_OTHER_PULUMI}") from error
    deployment = content.get("deployment") or {} if isinstance(content, dict) else None
    if not isinstance(deployment, dict):
        raise StateError(f"stack {stack!r}: its export holds no deployment; was it written by another Pulumi?")
    return deployment


def _pulumi(stack: str, *words: str, failed: str = "") -> str:
    """The output of a command about the stack; its error, after `failed`, is raised as NoStackError or StateError."""
    done = _run(["pulumi", *words, "--stack", stack])
    if done.returncode == 0:
        return done.stdout
    error = _error_of(done)
    if error.startswith("no stack named"):
        raise NoStackError(
            f"stack {stack!r}: the backend has none of this name; `pulumi stack select --create {stack}` makes it, "
            "or set PULUMI_BACKEND_URL to the backend that has it"
        )
    raise StateError(f"stack {stack!r}: {failed}{error}")


def _error_of(done: subprocess.CompletedProcess[str]) -> str:
    """The error that pulumi ended with; libraries in it may print warnings of their own after that."""
    lines = done.stderr.strip().splitlines() or ["no message"]
    return next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1]).removeprefix("error: ")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run it to its end: Ctrl-C at a terminal would have it leave its lock and lose what it writes."""
    try:
        return subprocess.run(
            command,
            env=without(os.environ, "OSC_*"),  # the others may be its backend's
            stdin=subprocess.DEVNULL,  # nobody would see what it asks
            capture_output=True,
            text=True,
            timeout=EXPORT_LIMIT,
            check=False,
            process_group=0,
        )
    except FileNotFoundError as error:
        raise ToolError(_NO_PULUMI) from error
    except subprocess.TimeoutExpired as error:
        shown = " ".join(command[:3])
        raise ToolError(f"`{shown}` took over {EXPORT_LIMIT} s; is the state's backend reachable?") from error
