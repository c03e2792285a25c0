"""The cases: every fault at every call that a command makes and every state that it waits for; and their verdicts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from omi.profile.model import Access
from omi.state.identity import DISK, Identity
from omi.state.image import ImageRecord
from omi.state.owner import CLAIM, VERIFIED
from omi.state.withdrawal import Withdrawal
from tests.reliability.stage import HERE, HOME, Booth, Ended, Resources

Command = Literal["build", "verify", "adopt", "recover", "take over", "update", "prune", "copy"]
COMMANDS: tuple[Command, ...] = ("build", "verify", "adopt", "recover", "take over", "update", "prune", "copy")
VERBS: dict[Command, str] = {
    "build": "build",
    "verify": "build",  # of an image that a run made and could not record
    "adopt": "adopt",
    "recover": "adopt",  # of an image of the stack's own that its state has lost
    "take over": "adopt",  # of someone else's image that is to be the stack's own
    "update": "update",
    "prune": "delete",
    "copy": "build",  # of an image that another Region has
}

BEFORE: dict[str, dict[str, Any]] = {
    "429": {"status": 429},
    "503": {"status": 503},
    "500": {"status": 500},
    "503 twenty times": {"status": 503, "times": 20},
    "cut": {"cut": True},
    "hang": {"hang": True},
    "slow": {"delay": 1.0},
    "wrong body": {"body": "<html>under maintenance</html>"},
}
AFTER: dict[str, dict[str, Any]] = {
    "503 after the deed": {"status": 503, "after": True},
    "500 after the deed": {"status": 500, "after": True},
    "answer lost after the deed": {"cut": True, "after": True},
    "hang after the deed": {"hang": True, "after": True},
    "wrong body after the deed": {"body": "<html>under maintenance</html>", "after": True},
}
"""Only for calls that change something."""
_READS = ("Read", "List", "Get")
DOWN: dict[str, dict[str, Any]] = {
    "object store down from then on": {"status": 503, "times": 1000},
    "object store cut off from then on": {"cut": True, "times": 1000},
}
UNREACHED = "object store refuses connections"
_CLAIM = "c1a1m0000000beef"
"""What state holds of an image that is there."""
NOWHERE = "https://127.0.0.1:1"
"""Nobody listens there."""
_VMS = (
    ("vm", "pending"), ("vm", "quarantine"), ("vm", "terminated"), ("vm", "stopping"), ("vm", "shutting-down"),
    ("ssh", "closed"), ("ssh", "silent"), ("metadata", "no-key"), ("metadata", "late"),
)  # fmt: skip
_MADE = (
    ("snapshot", "in-queue"), ("snapshot", "pending"), ("snapshot", "error"), ("image", "pending"),
    ("image", "failed"),
)  # fmt: skip
_VERIFY = (*((kind, state, 0) for kind, state in _VMS), ("volume", "error", 0))
STATES: dict[Command, tuple[tuple[str, str, int], ...]] = {
    "build": (
        *((kind, state, number) for kind, state in _VMS for number in (0, 1)),
        *((kind, state, 0) for kind, state in _MADE),
        *(("volume", "error", number) for number in (0, 1, 2)),
    ),
    "verify": _VERIFY,
    "take over": _VERIFY,
    "copy": (*_VERIFY, *((kind, state, 0) for kind, state in _MADE)),
    "adopt": (), "recover": (), "update": (), "prune": (),
}  # fmt: skip
"""Resource, state, and the how manieth such resource: of a build, 0 is what builds and 1 what verifies."""
EXPORTS = ("pending/queued", "pending", "failed", "cancelled")
"""States of the export that a copy waits for."""


@dataclass(frozen=True)
class Case:
    """One fault at one place of one command."""

    command: Command
    kind: str
    place: str
    fault: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.command}: {self.kind} at {self.place}"

    @property
    def is_long(self) -> bool:
        """Whether it waits for limits of a minute: Packer's, a VM's end, or several tries of a row of calls."""
        waits = self.command == "build" and ("resource" in self.fault or "hang" in self.fault)
        return waits or "times" in self.fault or self.fault.get("state") == "shutting-down"


def cases_of(command: Command, calls: Iterable[dict[str, Any]]) -> Iterator[Case]:
    """Every case of a command that made these calls."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for call in calls:
        face, action, region = call["face"], call["action"], call["region"]
        number, in_store = seen[face, action, region], seen["oos", "*", region]
        seen.update([(face, action, region), (face, "*", region)])
        where = {"face": face, "action": action, "skip": number, **_at(region)}
        place = f"{face} {action} {number + 1}" + (" at home" if region == HOME else "")
        for kind, fault in (BEFORE if action.startswith(_READS) else BEFORE | AFTER).items():
            yield Case(command, kind, place, {**where, **fault})
        if face == "oos":
            for kind, fault in DOWN.items():
                yield Case(command, kind, place, {**where, "action": "*", "skip": in_store, **fault})
    if command == "copy":
        yield Case(command, UNREACHED, "all of oos", {})
        for state in EXPORTS:
            yield Case(command, f"export {state}", "export 1", {"resource": "export", "state": state, **_at(HOME)})
    for resource, state, number in STATES[command]:
        fault = {"resource": resource, "state": state, "skip": number}
        if state == "late":
            fault["delay"] = 4.0
        yield Case(command, f"{resource} {state}", f"{resource} {number + 1}", fault)


def _at(region: str) -> dict[str, str]:
    return {} if region == HERE else {"region": region}


@dataclass
class Verdict:
    """What came of a case; every list but `left_at_once` must be empty."""

    name: str
    command: str
    kind: str
    reached: bool = True
    recovered: bool = False
    clean: bool = True
    seconds: float = 0.0
    said: str = ""
    code: str = ""
    """The commit of the code that it was tried on."""
    left_at_once: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Images of this stack that are gone or changed."""
    touched: list[str] = field(default_factory=list)
    """What is not this build's and is gone or changed."""
    wrong: list[str] = field(default_factory=list)
    """What else is not as it must be."""

    @property
    def is_good(self) -> bool:
        return self.clean and not (self.left or self.lost or self.touched or self.wrong)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Prepared:
    """What a command finds: an image of its name and what state holds of it."""

    omi: str = ""
    snapshot: str = ""
    record: ImageRecord | None = None
    store: str | None = None
    """The object store's URL, where that isn't the sandbox's."""


def prepare(booth: Booth, command: Command) -> Prepared:
    """Bring the account to where the command begins."""
    booth.clear()
    if command == "copy":
        booth.forget_digest()
    if command in ("build", "copy"):
        return Prepared()
    log = booth.log_of_a_build() if command == "verify" else ""
    foreign = command in ("adopt", "take over")
    tags, description = ({}, "by hand") if foreign else (dict(booth.identity.tags), booth.identity.description)
    omi, taken = booth.make_image(booth.spec.name, tags, description)
    if log:
        booth.leave_run(omi, log)
    if command in ("recover", "update", "prune"):
        booth.tag(omi, {CLAIM: _CLAIM, VERIFIED: "yes"})
    return Prepared(omi, taken, booth.record_of(omi, (taken,), claim=_CLAIM))


def perform(booth: Booth, command: Command, prepared: Prepared, withdrawal: Withdrawal | None = None) -> Ended:
    """Run the command."""
    if command == "copy":
        return booth.run(VERBS[command], booth.copied_by(prepared.store))
    if command == "take over":
        return booth.run(VERBS[command], booth.taking_over(prepared.omi))
    if command == "recover":
        return booth.run(VERBS[command], booth.spec.model_copy(update={"recipe": None}))
    spec = booth.spec.model_copy(update={"withdrawal": withdrawal})
    if command == "update":
        spec = spec.model_copy(update={"access": Access(public=True)})
    record = prepared.record if command in ("update", "prune") else None
    return booth.run(VERBS[command], spec, record)


def judge(booth: Booth, case: Case) -> Verdict:
    """Try a case: the command with the fault, then, where anything is left to do, the same command without."""
    prepared = prepare(booth, case.command)
    verdict = Verdict(case.name, case.command, case.kind)
    if case.kind == UNREACHED:
        ended = perform(booth, case.command, replace(prepared, store=NOWHERE))
    else:
        booth.set_faults(case.fault)
        ended = perform(booth, case.command, prepared)
        verdict.reached = [fault.times for fault in booth.faults_left()] != [case.fault.get("times", 1)]
    booth.set_faults()
    verdict.recovered, verdict.clean = ended.code == 0, ended.is_clean
    verdict.seconds, verdict.said = round(ended.seconds, 1), ended.last[:300]
    verdict.left_at_once = _left(booth, case.command, prepared, ended)
    if verdict.left_at_once or (ended.code != 0 and case.command in ("update", "prune")):
        ended = replace(perform(booth, case.command, prepared), seconds=ended.seconds)
        if ended.code != 0:
            verdict.wrong.append(f"the next command fails, too: {ended.last[:200]}")
    verdict.left = _left(booth, case.command, prepared, ended)
    _look_at_others(booth, verdict)
    verdict.wrong += _wrong(booth, case.command, prepared, ended)
    return verdict


def _left(booth: Booth, command: Command, prepared: Prepared, ended: Ended) -> list[str]:
    """What is there that was not, but for the image that the command was to make or keep, and private keys."""
    may_stay = {prepared.omi, prepared.snapshot} if command != "prune" or ended.code != 0 else set()
    if command in ("build", "verify", "copy") and ended.code == 0:
        record = _record(ended)
        may_stay |= {record.omi, *record.snapshots} if record else set()
    now = booth.resources()
    new = [f"{kind} {key}" for kind, found in now.items() for key in sorted(set(found) - set(booth.kept[kind]))]
    return [each for each in new if each.rpartition(" ")[2] not in may_stay] + booth.local_keys()


def _look_at_others(booth: Booth, verdict: Verdict) -> None:
    now = booth.resources()
    for kind, kept in booth.kept.items():
        for key, was in kept.items():
            if now[kind].get(key) == was:
                continue
            told = f"{kind} {key} ({was.get('name')}) is {now[kind].get(key, 'gone')}"
            own = was["tags"].get("stack-id") == booth.spec.stack_id
            (verdict.lost if own else verdict.touched).append(told)


def _wrong(booth: Booth, command: Command, prepared: Prepared, ended: Ended) -> list[str]:
    """What the command should have brought about and did not."""
    now = booth.resources()
    if ended.code != 0:
        lost = command in ("adopt", "recover", "take over", "update") and prepared.omi not in now["image"]
        return [f"{prepared.omi} is gone"] if lost else []
    if command == "prune":
        return [f"{each} is still there" for each in (prepared.omi, prepared.snapshot) if each in _keys(now)]
    record = _record(ended)
    if record is None:
        return [f"no record: {ended.output[:100]!r}"]
    image = now["image"].get(record.omi)
    if image is None or image["name"] != booth.spec.name or image["state"] != "available":
        return [f"{record.omi} is {image}"]
    if command == "adopt":
        return [] if record.adopted and not image["tags"] else [f"an adopted image: {image}"]
    own = Identity(booth.taking_over(record.omi) if command == "take over" else booth.spec)
    wrong = list(_lacking(own, record, now))
    if command == "copy":
        wrong += _not_the_same(booth, record)
    wrong += _badly_held(command, record, image["tags"].get(CLAIM))
    shared = booth.permissions(record.omi)
    public = command == "update"
    accounts = [] if command in ("recover", "update", "take over") else ["210987654321"]
    wanted = {"AccountIds": accounts, "GlobalPermission": public}
    if {key: shared.get(key) for key in wanted} != wanted:
        wrong.append(f"launch permissions are {shared}")
    if not record.verified:
        wrong.append("recorded without being verified")
    return wrong


def _badly_held(command: Command, record: ImageRecord, tag: str | None) -> Iterator[str]:
    """How the record's claim isn't the one that keeps the image for it alone."""
    if record.adopted or record.claim is None or record.claim != tag:
        yield f"recorded with the claim {record.claim}, but its tag is {tag}"
    if command == "recover" and record.claim == _CLAIM:
        yield "the lost record's claim still holds it"


def _lacking(own: Identity, record: ImageRecord, now: Resources) -> Iterator[str]:
    """Tags that an image or its snapshot should bear."""
    for key in (record.omi, *record.snapshots):
        tags = {**now["image"], **now["snapshot"]}.get(key, {}).get("tags", {})
        lacking = sorted(name for name, value in own.tags.items() if tags.get(name) != value)
        if lacking:
            yield f"{key} lacks the tags {', '.join(lacking)}"


def _not_the_same(booth: Booth, record: ImageRecord) -> Iterator[str]:
    """How a copy differs from the image at home."""
    source = f"{HOME}:{booth.source[0]}"
    if booth.disk_of(record.snapshots[0]) != booth.disk_of(booth.source[1]):
        yield f"{record.snapshots[0]} has other bytes"
    if (record.disk, record.copied_from) != (booth.digest, source):
        yield f"recorded as {record.disk} of {record.copied_from} instead of {booth.digest} of {source}"
    if (told := booth.told_digests()) != [booth.digest] * 2:
        yield f"at home the tags {DISK} are {told}"


def _keys(resources: Resources) -> set[str]:
    return {key for found in resources.values() for key in found}


def _record(ended: Ended) -> ImageRecord | None:
    lines = ended.output.strip().splitlines()
    return ImageRecord.from_json(lines[-1], "the command's output") if lines else None
