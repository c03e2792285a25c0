"""The commands of the command line; each returns the exit code."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.config import GUEST_SSH_PORT, SandboxSettings
from sandbox.environment import SERVER, TERMINAL, plain
from sandbox.home import ServerError, running_pid
from sandbox.launch import NAME, login_options

START_LIMIT = 1800.0
"""Seconds; making the source OMI and the mirror is part of the first start."""
STOP_LIMIT = 60.0
NOT_RUNNING = 3
NO_CONSOLE = (
    "sandbox: nothing on its console yet; a VM that boots writes within seconds. If it stays so: "
    "python -m sandbox stop, then python -m sandbox start --accelerator tcg"
)
OWNED = (
    "state.sqlite",
    "state.sqlite-wal",
    "state.sqlite-shm",
    "osc.json",
    "ca.pem",
    "ca.key",
    "server.pem",
    "server.log",
    "server.lock",
    "machines",
    "keys",
    "volumes",
    "snapshots",
    "vms",
    NAME,
)
"""Everything that the sandbox puts into its home; reset deletes only these."""


def serve_here(settings: SandboxSettings, given: argparse.Namespace) -> int:
    """Run the server in the foreground; with --report-fd it reports its progress to `start`."""
    from sandbox.server import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    with _reporter(given.report_fd) as report:
        try:
            serve(settings, lambda text: report(f"progress {text}"), lambda: report("ready"))
        except ServerError as error:
            report(f"error {error}")
            raise
    return 0


@contextlib.contextmanager
def _reporter(descriptor: int | None) -> Iterator[Any]:
    if descriptor is None:
        yield lambda line: print(line.removeprefix("progress "), file=sys.stderr, flush=True)
        return
    with os.fdopen(descriptor, "w") as stream:

        def report(line: str) -> None:
            with contextlib.suppress(OSError):
                print(" ".join(line.split()), file=stream, flush=True)

        yield report


def start(settings: SandboxSettings, given: argparse.Namespace) -> int:
    """Start the server in a session of its own and wait until it answers; does nothing if it runs already."""
    if running_pid(settings) is not None:
        facts = _wait_answer(settings)
        if given.accelerator not in (None, facts["accelerator"]):
            raise ServerError(
                f"it runs already, with --accelerator {facts['accelerator']}; end it first: python -m sandbox stop"
            )
        print(f"already running: {facts['api']} (home {settings.home})")
        return 0
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    reading, writing = os.pipe()
    with settings.log_file.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "sandbox", *_arguments(settings, given), "--report-fd", str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=Path(__file__).resolve().parent.parent,
            env=plain(*SERVER),
            pass_fds=(writing,),
            start_new_session=True,
        )
    os.close(writing)
    _wait_ready(child, reading, settings)
    print(f"ready: {settings.addresses.api_endpoint} (profiles in {settings.profiles_file})")
    return 0


def _wait_answer(settings: SandboxSettings) -> dict[str, Any]:
    """The status of a server that another start launched, once it answers."""
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and running_pid(settings) is not None:
        facts = _status(settings)
        if facts is not None:
            return facts
        time.sleep(0.1)
    raise ServerError(f"the server that runs from {settings.home} does not answer; see {settings.log_file}")


def _arguments(settings: SandboxSettings, given: argparse.Namespace) -> list[str]:
    arguments = ["--home", str(settings.home), "--base-port", str(settings.addresses.base_port), "serve"]
    arguments += ["--cache", str(settings.cache), "--machines", given.machines, "--source", settings.source]
    arguments += ["--accelerator", settings.accelerator]
    arguments += ["--answers", str(settings.answers)] if settings.answers else []
    arguments += ["--mirror", settings.mirror, "--accounts", str(settings.extra_accounts)]
    if given.step is not None:
        arguments += ["--step", str(given.step)]
    if settings.requests_per_second is not None:
        arguments += ["--requests-per-second", str(settings.requests_per_second)]
    return arguments


def _wait_ready(child: subprocess.Popen[bytes], reading: int, settings: SandboxSettings) -> None:
    """Follow the child's reports; end it if it isn't ready within START_LIMIT."""
    late = False

    def on_alarm(*_: object) -> None:
        nonlocal late
        late = True
        child.terminate()

    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, START_LIMIT)
    try:
        with os.fdopen(reading) as reports:
            for line in reports:
                kind, _, text = line.strip().partition(" ")
                if kind == "ready":
                    return
                if kind == "error":
                    child.wait(STOP_LIMIT)
                    raise ServerError(text)
                print(text, flush=True)
    except KeyboardInterrupt:
        child.terminate()
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if late:
        raise ServerError(f"it was not ready within {START_LIMIT:.0f} s; see {settings.log_file}")
    raise ServerError(f"the server ended while it started; see {settings.log_file}")


def stop(settings: SandboxSettings, given: argparse.Namespace) -> int:
    """End the server and its VMs gracefully, and after a limit at once."""
    pid = running_pid(settings)
    if pid is None:
        print("not running")
        return 0
    if pid:
        os.kill(pid, signal.SIGTERM)
    if not _ended(settings, STOP_LIMIT):
        if pid:
            os.kill(pid, signal.SIGKILL)
        if not _ended(settings, 5.0):
            raise ServerError(f"the server (pid {pid}) does not end")
        print("killed: it did not end by itself; nothing that was answered is lost")
        return 0
    print("stopped; the state is kept")
    return 0


def _ended(settings: SandboxSettings, limit: float) -> bool:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if running_pid(settings) is None:
            return True
        time.sleep(0.05)
    return False


def status(settings: SandboxSettings, given: argparse.Namespace) -> int:
    """Show whether it runs, its addresses, and its content."""
    pid = running_pid(settings)
    if pid is None:
        print(json.dumps({"running": False}) if given.json else f"not running (home {settings.home})")
        return NOT_RUNNING
    facts = _status(settings)
    if facts is None:
        raise ServerError(f"the server (pid {pid}) runs but does not answer; it may be starting: {settings.log_file}")
    if given.json:
        print(json.dumps({"running": True, **facts}, indent=2))
        return 0
    print(f"running: pid {facts['pid']}, home {facts['home']}")
    for name in ("api", "oos", "plain", "mirror", "profiles", "ca"):
        print(f"  {name:9} {facts[name] or 'off'}")
    if facts["vms_run_by"]:
        print(f"  {facts['vms_run_by']}")
    if facts["stubs"]:
        print("  the VMs are STUBS: they answer what was recorded, and no image made by them is a real one")
    print("made by its users: " + _counts(facts["counts"]))
    for each in facts["images"]:
        print(f"  {each['id']} {each['state']:13} {each['region']} {each['name']}")
    for vm in facts["vms"]:
        empty = " (nothing on its console yet)" if vm["state"] == "running" and vm["console_empty"] else ""
        print(f"  {vm['id']}   {vm['state']:13} {vm['region']} {vm['name'] or ''}".rstrip() + empty)
        for port, (ip, outer) in vm["ways"].items():
            print(f"      {ip}:{outer} leads to {'its SSH' if int(port) == GUEST_SSH_PORT else f'its port {port}'}")
    print("the sandbox's own stock: " + _counts(facts["stock"]))
    return 0


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in counts.items() if count) or "nothing"


def _status(settings: SandboxSettings) -> dict[str, Any] | None:
    """The server's status if this home's server answers; it knows its own ports, whatever --base-port says now."""
    if running_pid(settings) is None:
        return None
    try:
        facts = _ask(settings, "status")
    except ServerError:
        return None
    return facts if facts.get("home") == str(settings.home) else None


def _port(settings: SandboxSettings) -> int:
    """The plain port of the server that runs from this home: osc.json has it."""
    try:
        profiles = json.loads(settings.profiles_file.read_text())
        return int(urlsplit(profiles["main"]["endpoints"]["api"]).port or 0) + 1
    except (OSError, ValueError, KeyError):
        return settings.addresses.plain_port


def _ask(settings: SandboxSettings, path: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(settings.addresses.host, _port(settings), timeout=10)
    try:
        connection.request("GET", f"/_sandbox/{path}")
        answer = connection.getresponse()
        body = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ServerError(f"the sandbox does not answer ({error}); start it with: python -m sandbox start") from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise ServerError(str(body.get("error", f"the sandbox answers {answer.status}")))
    found: dict[str, Any] = body
    return found


def reset(settings: SandboxSettings, given: argparse.Namespace) -> int:
    """Stop the server and delete its state."""
    if not given.yes:
        raise ServerError(f"reset deletes all state in {settings.home}; say it again with --yes")
    if running_pid(settings) is not None:
        stop(settings, given)
    for name in OWNED:
        path = settings.home / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        settings.home.rmdir()
    print(f"deleted the state in {settings.home}")
    return 0


def console(settings: SandboxSettings, given: argparse.Namespace) -> int:
    """Show the last 64 KiB of a VM's console, and with --follow all that follows."""
    shown = ""
    hinted = False
    while True:
        text = str(_ask(settings, f"console/{given.vm}")["console"])
        if not text and not hinted:
            print(NO_CONSOLE, file=sys.stderr, flush=True)
            hinted = True
        sys.stdout.write(_news(shown, text))
        sys.stdout.flush()
        shown = text
        if not given.follow:
            return 0
        time.sleep(0.5)


def _news(before: str, after: str) -> str:
    """The new part of `after`; both are the last part of a growing text."""
    tail = before[-512:]
    place = after.rfind(tail) if tail else -1
    return after if place < 0 else after[place + len(tail) :]


def ssh(settings: SandboxSettings, given: argparse.Namespace) -> int:
    """Become the system's ssh, at the VM's address."""
    vms = _ask(settings, "status")["vms"]
    vm = next((each for each in reversed(vms) if given.vm in (each["id"], each["name"])), None)
    if vm is None:
        raise ServerError(f"no VM has the id or the Name tag '{given.vm}'")
    if (way := vm["ways"].get(str(GUEST_SSH_PORT))) is None:
        raise ServerError(
            f"the VM {vm['id']} is {vm['state']}, and no SSH is open: it must run in a security group that lets TCP"
            f" {GUEST_SSH_PORT} in from 127.0.0.1"
        )
    ip, port = way
    program = shutil.which("ssh")
    if program is None:
        raise ServerError("ssh is missing: apt-get install openssh-client")
    arguments = [program, "-p", str(port), "-l", given.user]
    arguments += ["-i", given.identity] if given.identity else []
    arguments += login_options(settings)
    sys.stdout.flush()
    os.execve(program, [*arguments, ip, *given.command], plain(*TERMINAL))  # noqa: S606 - a fixed program, no shell
