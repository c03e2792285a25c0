"""Boots an OMI and checks it from outside and inside; then removes the VM and its key."""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar

from omi.outscale.client import Cloud
from omi.outscale.console import EmptyConsole
from omi.outscale.entry import temporary_key
from omi.outscale.shapes import CloudVm, Omi
from omi.outscale.vms import Launch, console_tail, launch_vm, stop_vm, terminate_vm, wait_running
from omi.outscale.waiting import InterruptedBuildError, NotInTimeError, wait_until
from omi.state.identity import Identity
from omi.support.errors import CredentialsError, OmiError, VerifyError
from omi.support.narration import Narrator
from omi.verify.checks import failed_checks
from omi.verify.checks.changes import changed_by_profile
from omi.verify.facts import Expected, Facts, probe_script, root_key_script
from omi.verify.ssh import NO_LOGIN, STUB, Answer, Door, NoLoginError, public_key, wait_for_banner

T = TypeVar("T")

CONSOLE_LINES = 15
_LOGIN_PAUSE = 6.0
"""Seconds between two logins: sshd blocks clients that fail more often than every 5 s (PerSourcePenalties)."""
_TEST_LINES = 5
"""The error has this many of a failed test's last lines; the log has all."""


def verify_size(size: int) -> int:
    """The size in GiB of the disk on which an image of `size` GiB is verified.

    It is a quarter larger: on a disk hardly larger than the image, growth of the root would not show.
    """
    return size + max(1, -(-size // 4))


@dataclass(frozen=True)
class Verified:
    """The measurements of a good image's first boot; bytes are None if unknown."""

    boot_seconds: int
    """From the VM's start to its SSH banner."""
    used_bytes: int | None
    """Bytes used on the root filesystem."""
    installed_bytes: int | None
    """Bytes that its packages take by their own account."""
    installed: tuple[str, ...] = ()
    """The installed packages, by apk."""

    @classmethod
    def of(cls, seconds: float, facts: Facts) -> Verified:
        """Make it from the time of the boot and the probes' facts."""
        used, packages = facts.number("used_bytes"), facts.number("installed_bytes")
        return cls(round(seconds), used or None, packages or None, facts.installed)


@dataclass(frozen=True)
class Guest:
    """A VM of the OMI that has booted."""

    vm: CloudVm
    door: Door
    seconds: float
    """Seconds from its start to its SSH banner."""
    is_stub: bool
    boot_mode: str | None
    """The requested boot mode, if the OMI has several."""


@dataclass(frozen=True)
class Boot(ABC):
    """One OMI's boot in a VM of its own."""

    cloud: Cloud
    identity: Identity
    group_id: str
    folder: Path
    narrator: Narrator
    stop: threading.Event

    fate: ClassVar[str]
    """The fate of an OMI that failed its check, for the error."""

    @property
    @abstractmethod
    def user(self) -> str:
        """The user who logs in."""

    @abstractmethod
    def examine(self, guest: Guest) -> tuple[Facts, list[str]]:
        """Probe the booted image; returns its facts and every failed check."""

    def boot(self, omi: Omi, boot_mode: str | None = None) -> Verified:
        """Boot the OMI on a larger disk, by the given mode or by its default, and examine it.

        Raises VerifyError naming every check that failed.
        """
        with self.entered(omi, boot_mode) as guest:
            facts, failed = self.examine(guest)
            if failed:
                raise VerifyError("; ".join(dict.fromkeys(failed)))
            return Verified.of(guest.seconds, facts)

    @contextlib.contextmanager
    def entered(self, omi: Omi, boot_mode: str | None = None, *, keep: bool = False) -> Iterator[Guest]:
        """Boot a VM of the OMI for the block that examines it.

        The VM is removed at the end. With `keep` it stays, but its key goes, if the block raises nothing.
        """
        vm = self.identity.spec.vm
        by = f" by {boot_mode}" if boot_mode else ""
        end = time.monotonic() + vm.verify_timeout
        with temporary_key(self.cloud, self.identity.verify_key, self.folder) as key:
            self.narrator.say(f"booting a VM from {omi.omi_id} to verify it{by}")
            start, stays = time.monotonic(), False
            vm_id = launch_vm(self.cloud, self._launch(omi, boot_mode))
            try:
                running = wait_running(self.cloud, vm_id, end - time.monotonic(), self.stop)
                yield self._enter(running, key, start, end, boot_mode)
                stays = keep
            except (InterruptedBuildError, CredentialsError):
                raise
            except OmiError as error:
                self._show_console(vm_id)
                raise VerifyError(f"{omi.omi_id} ({omi.name}) failed its check{by}: {error}; {self.fate}") from error
            finally:
                if not stays:
                    terminate_vm(self.cloud, vm_id)

    def _launch(self, omi: Omi, boot_mode: str | None) -> Launch:
        vm = self.identity.spec.vm
        return Launch(
            omi_id=omi.omi_id,
            vm_type=vm.verify_vm_type,
            key_name=self.identity.verify_key,
            group_id=self.group_id,
            root_device=omi.root_device,
            root_size=verify_size(omi.volume_size),
            tags={**self.identity.run_tags, "Name": f"{omi.name} verify"},
            boot_mode=boot_mode,
            subregion=vm.subregion,
            subnet=vm.subnet,
        )

    def _enter(self, running: CloudVm, key: Path, start: float, end: float, boot_mode: str | None) -> Guest:
        vm, limit_s = self.identity.spec.vm, end - time.monotonic()
        console = EmptyConsole(self.cloud, running.vm_id)
        greeting = wait_for_banner(running.address, vm.ssh_port, limit_s, self.stop, console.reason)
        if not greeting:
            limit = f"{vm.verify_timeout} s (vm.verify_timeout)"
            raise VerifyError(f"no SSH at {running.address} port {vm.ssh_port} within {limit}")
        is_stub = self._is_stub(greeting)
        took = time.monotonic() - start
        self.narrator.say(f"booted in {took:.0f} s, checking it")
        door = Door(running.address, vm.ssh_port, self.user, key)
        door.known_hosts.unlink(missing_ok=True)
        return Guest(running, door, took, is_stub, boot_mode)

    def _is_stub(self, greeting: str) -> bool:
        """Whether the VM is a stub. Its answers were recorded from another image, so they don't count."""
        if STUB not in greeting:
            return False
        if not self.identity.spec.vm.accept_stubs:
            raise VerifyError(
                "the VM is one of the sandbox's stubs, which run no image; start the sandbox without `--machines stub`"
                " (for tests of the program itself there is vm.accept_stubs)"
            )
        self.narrator.say("a stub VM: nothing of the image itself is checked (vm.accept_stubs)")
        return True

    def probe(self, door: Door, script: str) -> Facts:
        """Run the probes as soon as the instance has its key, which may be later than sshd's start."""
        limits = self.cloud.limits

        def ask() -> Answer:
            answer = door.run(f"SETTLE={limits.settle}\n{script}", limits.settle + limits.command)
            if answer.exit_code == NO_LOGIN:
                raise NoLoginError(f"{door.user} cannot log in by the key of the metadata service: {answer.errors}")
            return answer

        answer = self._persist(ask)
        self.narrator.note(answer.output + answer.errors)
        return Facts.parse(answer.output)

    def _persist(self, login: Callable[[], T]) -> T:
        """Repeat a login until it works. Raises NoLoginError after the limit `settle`."""
        limit, failures = self.cloud.limits.settle, list[NoLoginError]()

        def attempt() -> list[T]:
            try:
                return [login()]
            except NoLoginError as error:
                failures.append(error)
                return []

        what, setting = "a login by SSH", "cloud.limits.settle"
        try:
            return wait_until(attempt, bool, what, limit, _LOGIN_PAUSE, self.stop, setting=setting)[0]
        except NotInTimeError as error:
            raise NoLoginError(f"{failures[-1]} (tried for {limit} s, {setting})") from error

    def _show_console(self, vm_id: str) -> None:
        try:
            tail = console_tail(self.cloud, vm_id, CONSOLE_LINES)
        except OmiError as error:
            tail = f"not readable: {error}"
        self.narrator.show([f"console | {line}" for line in tail.splitlines() or ["nothing on it"]])


@dataclass(frozen=True)
class Verification(Boot):
    """The check of an OMI that was built.

    `finished` are the build's facts of the root before its first boot; None if they are unknown.
    """

    finished: Facts | None
    tests: Mapping[str, str]
    """The profile's own checks: name to script for sh."""

    fate = "it is removed again"

    @property
    def user(self) -> str:
        """The user of its build."""
        return self.identity.spec.target.user

    def run(self, omi: Omi) -> Verified:
        """Boot the OMI once in each of its boot modes and check it.

        Raises VerifyError naming every check that failed. The first boot's time counts; it has the default boot mode.
        """
        modes = self.identity.spec.target.boot_modes
        first, *others = reversed(modes)
        verified = self.boot(omi, first if others else None)
        for boot_mode in others:
            self.boot(omi, boot_mode)
        self.narrator.say("verified")
        return verified

    def examine(self, guest: Guest) -> tuple[Facts, list[str]]:
        """Run every check, from outside and inside, and the power button last."""
        facts, failed = self.check(guest)
        self.narrator.say("pressing the power button")
        power_off, pressed = self.cloud.limits.power_off, time.monotonic()
        if stop_vm(self.cloud, guest.vm.vm_id, power_off, self.stop):
            self.narrator.say(f"off in {time.monotonic() - pressed:.0f} s")
        else:
            failed.append(f"the power button did not end it within {power_off} s (cloud.limits.power_off)")
        return facts, failed

    def check(self, guest: Guest) -> tuple[Facts, list[str]]:
        """Run every check that leaves it running."""
        boot_mode, door = guest.boot_mode or self.identity.spec.target.boot_modes[-1], guest.door
        facts = self.probe(door, probe_script() + root_key_script())
        expected = self._expected(door.key, boot_mode)
        before = failed_checks(self.finished, expected) if self.finished else []
        failed = [*before, *failed_checks(facts, expected), *self._refusals(door, facts)]
        failed += [] if guest.is_stub else self.run_own_tests(door)
        return facts, failed

    def run_own_tests(self, door: Door) -> Iterator[str]:
        """Run the profile's own checks one after the other; yields the reason of each failure."""
        for name, script in sorted(self.tests.items()):
            self.narrator.say(f"running the profile's test {name}")
            # one word for the shell, which reads all of it before it runs: no command can read the rest as its input
            answer = door.run(f"eval {shlex.quote(script)} < /dev/null\n", self.cloud.limits.command)
            text = answer.output + answer.errors
            self.narrator.note(f"test {name}: exit code {answer.exit_code}\n{text}")
            if answer.exit_code:
                last = " | ".join(line.strip() for line in text.splitlines()[-_TEST_LINES:] if line.strip())
                yield f"the profile's test {name} failed with exit code {answer.exit_code}: {last or 'no output'}"

    def _expected(self, key: Path, boot_mode: str) -> Expected:
        spec = self.identity.spec
        changed = changed_by_profile(self.finished) if self.finished else frozenset()
        return Expected(
            spec.release, spec.target, spec.name, spec.revision, spec.digest, public_key(key), changed, boot_mode
        )

    def _refusals(self, door: Door, facts: Facts) -> list[str]:
        """Check from outside: sshd asks for keys alone, and refuses root even with a key that root was given for
        this."""
        failed = []
        limit = self.cloud.limits.command
        methods = self._persist(partial(door.refusal, door.user, limit, "-o", "PubkeyAuthentication=no"))
        if methods is None:
            failed.append("a login without a key was not refused")
        elif methods != "publickey":
            failed.append(f"sshd offers {methods} besides keys")
        if self._persist(partial(door.refusal, "root", limit)) is None:
            failed.append("a login as root was not refused")
        elif facts.one("become") != "nobody" and facts.one("root_key") != "yes":
            failed.append("a login as root was refused, but root could not be given a key, so that proves nothing")
        return failed
