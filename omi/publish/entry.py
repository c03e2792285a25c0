"""One line of a releases file as a value, and the file as a pure function of its entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from omi.profile.model import firmware_of
from omi.state.image import ImageRecord, ImageSpec
from omi.state.withdrawal import Withdrawal
from omi.support.errors import StateError, first_problem
from omi.support.safe_yaml import YamlError, read_values
from omi.support.version import EDGE, release_key, revision_key

_T = TypeVar("_T")

# libyaml where PyYAML was built with it, as its wheels are: ten times as fast, and the same bytes
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

HEADER = "# Written by this program from the stack's state: edits are lost.\n"


_BY_REGION = ("documents", "withdrawal")
"""Fields that are maps of maps in the file."""
_FACTS = (
    "used_bytes",
    "trimmed_bytes",
    "installed_bytes",
    "boot_seconds",
    "firmware",
    "bootstrap",
    "digest",
    "volume_size",
    "packages",
)
"""Fields that are None where nobody knows."""
Documents = tuple[tuple[str, str], ...]
"""Kind (omi.publish.documents.kinds) and digest, sorted."""


@dataclass(frozen=True)
class Entry:
    """One OMI as the releases file has it; the keys are those of the tool whose job this takes over.

    `creation_date` is ISO 8601 in UTC, `build_time` the same in seconds since 1970, `end_of_life` a date or empty.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    description: str
    profile: str
    profile_build: str
    version: str
    release: str
    arch: str
    revision: str
    creation_date: str
    build_time: int
    end_of_life: str
    artifacts: tuple[tuple[str, str], ...]
    """Region and OMI id, sorted by Region."""
    boot_modes: tuple[str, ...]
    used_bytes: int | None = None
    trimmed_bytes: int | None = None
    installed_bytes: int | None = None
    boot_seconds: int | None = None
    """These four as in ImageRecord."""
    firmware: str | None = None
    bootstrap: str | None = None
    digest: str | None = None
    volume_size: int | None = None
    """GiB."""
    packages: int | None = None
    """How many are installed."""
    verified: tuple[str, ...] = ()
    """The Regions whose OMI was booted and checked before it was shared, sorted; an adopted one never was."""
    withdrawal: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    """Region and how far its OMI is withdrawn (`stage`, `why`, `reason`, `removal`), sorted; none that is current."""
    documents: tuple[tuple[str, Documents], ...] = ()
    """Region and the digests of its OMI's documents, sorted; Regions without any are left out."""

    def stage_in(self, region: str) -> str:
        """`current`, or how far its OMI in this Region is withdrawn."""
        return dict(dict(self.withdrawal).get(region, ())).get("stage", "current")

    def removal_in(self, region: str) -> str:
        """The day from which its OMI in this Region may be deregistered, ISO 8601; empty where that isn't known."""
        return dict(dict(self.withdrawal).get(region, ())).get("removal", "")


_ENTRY = TypeAdapter(Entry)


def entry_of(spec: ImageSpec, record: ImageRecord) -> Entry:
    """The entry of one image as its command knows it."""
    created, known = record.created, record.is_of(spec)
    return Entry(
        name=spec.name,
        description=f"{spec.name}, made by {record.maker}" if record.adopted else spec.description or spec.name,
        profile=spec.profile,
        profile_build=spec.build,
        version=spec.version,
        release=spec.release,
        arch=spec.arch,
        revision=f"r{spec.revision}",
        creation_date=created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        build_time=int(created.timestamp()),
        end_of_life=spec.end_of_life.isoformat() if spec.end_of_life else "",
        artifacts=((record.region, record.omi),),
        boot_modes=record.boot_modes,
        used_bytes=record.used_bytes,
        trimmed_bytes=record.trimmed_bytes,
        installed_bytes=record.installed_bytes,
        boot_seconds=record.boot_seconds,
        firmware=firmware_of(record.boot_modes) if known else None,
        bootstrap=spec.bootstrap if known else None,
        digest=record.digest_by(spec),
        volume_size=record.volume_size,
        packages=record.packages,
        verified=(record.region,) if record.verified else (),
        withdrawal=((record.region, _withdrawal(spec.withdrawal)),) if spec.withdrawal else (),
        documents=((record.region, tuple(sorted(record.documents.items()))),) if record.documents else (),
    )


def _withdrawal(withdrawal: Withdrawal) -> tuple[tuple[str, str], ...]:
    removal = {"removal": withdrawal.removal.isoformat()} if withdrawal.removal else {}
    reason = {"reason": withdrawal.reason} if withdrawal.reason else {}
    return _sorted({"stage": withdrawal.stage.value, "why": withdrawal.why, **reason, **removal})


def with_entries(entries: Iterable[Entry], new: Iterable[Entry]) -> list[Entry]:
    """The entries with the new ones put in; an OMI of the same build and name keeps its other Regions' artifacts.

    An OMI never changes, so what was known of it stays where the new entry doesn't know. What was measured may differ
    between Regions: the first by name counts, so that the entry is the same whichever stack wrote last.
    """
    known = {_key(entry): entry for entry in entries}
    for entry in new:
        old = known.pop(_key(entry), None)
        known[_key(entry)] = _joined(old, entry) if old else entry
    return list(known.values())


def _joined(old: Entry, new: Entry) -> Entry:
    here, before = dict(new.artifacts), dict(old.artifacts)
    elsewhere = before.keys() - here.keys()
    same = {region for region, omi in here.items() if before.get(region) == omi}
    if elsewhere and min(elsewhere) < min(here):
        facts = old
    else:
        lacking = [key for key in _FACTS if same and getattr(new, key) is None]
        facts = replace(new, **{key: getattr(old, key) for key in lacking})
    stays = elsewhere | same
    return replace(
        facts,
        artifacts=_sorted(before | here),
        documents=_sorted({r: each for r, each in old.documents if r in stays} | dict(new.documents)),
        withdrawal=_sorted({r: each for r, each in old.withdrawal if r in elsewhere} | dict(new.withdrawal)),
        verified=tuple(sorted(stays & set(old.verified) | set(new.verified))),
    )


def without_artifact(entries: Iterable[Entry], region: str, omi: str) -> list[Entry]:
    """The entries without one OMI of a Region; one without artifacts goes."""
    kept = []
    for entry in entries:
        left = {where: what for where, what in entry.artifacts if (where, what) != (region, omi)}
        if left:
            rest = replace(
                entry,
                artifacts=_sorted(left),
                documents=tuple((where, each) for where, each in entry.documents if where in left),
                withdrawal=tuple((where, each) for where, each in entry.withdrawal if where in left),
                verified=tuple(where for where in entry.verified if where in left),
            )
            kept.append(rest)
    return kept


def _sorted(values: Mapping[str, _T]) -> tuple[tuple[str, _T], ...]:
    return tuple(sorted(values.items(), key=lambda item: item[0]))


def _key(entry: Entry) -> tuple[str, str]:
    return entry.profile_build, entry.name


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """By release, then revision, numerically (3.11.12 before 3.11.9), newest first."""
    return sorted(entries, key=lambda e: (release_key(e.release), revision_key(e.revision), e.name), reverse=True)


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """As the releases file has them: newest release first, in it by build, each newest first."""
    by_build = sorted(newest_first(entries), key=lambda e: e.profile_build)
    return sorted(by_build, key=lambda e: release_key(_heading(e)), reverse=True)


def _heading(entry: Entry) -> str:
    """The release that it is listed under: `edge` for all of edge, as the old tool's programs expect."""
    return EDGE if entry.version == EDGE else entry.release


def to_yaml(entries: Iterable[Entry]) -> str:
    """The releases file: release → build → OMI name → details; the same entries give the same bytes."""
    tree: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in in_order(entries):
        plain = {key: value for key, value in vars(entry).items() if key not in ("name", *_BY_REGION)}
        details = {key: value for key, value in plain.items() if value is not None}
        details |= {"artifacts": dict(entry.artifacts), "boot_modes": list(entry.boot_modes)}
        details["verified"] = list(entry.verified)
        for key in _BY_REGION:
            if regions := getattr(entry, key):
                details[key] = {region: dict(values) for region, values in regions}
        tree.setdefault(_heading(entry), {}).setdefault(entry.profile_build, {})[entry.name] = details
    return HEADER + yaml.dump(tree, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120)


def _tuples(details: dict[str, Any]) -> dict[str, Any]:
    lists: dict[str, Any] = {key: tuple(details[key]) for key in ("boot_modes", "verified") if key in details}
    by_region = {
        key: _sorted({region: _sorted(values) for region, values in details.get(key, {}).items()}) for key in _BY_REGION
    }
    if "verified" in lists:  # a Region without an OMI, which nothing here writes, can't be pointed to
        lists["verified"] = tuple(region for region in lists["verified"] if region in details["artifacts"])
    return {"artifacts": _sorted(details["artifacts"]), **by_region, **lists}


def _problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return first_problem(error, "an entry")
    if isinstance(error, YamlError):
        return str(error)
    return "it is release, build, name, details"


def from_yaml(text: str, where: str) -> list[Entry]:
    """Read a releases file back; StateError names `where` if it isn't one."""
    try:
        tree = read_values(text) or {}
        return [
            _ENTRY.validate_python({"name": name, **details, **_tuples(details)})
            for builds in tree.values()
            for names in builds.values()
            for name, details in names.items()
        ]
    except (YamlError, ValidationError, AttributeError, KeyError, TypeError) as error:
        raise StateError(
            f"{where}: is not a releases file of this program ({_problem(error)}); "
            "correct it, or move it away and run `python -m omi releases -s STACK`"
        ) from error
