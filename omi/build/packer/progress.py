"""Reads Packer's output: progress lines, the guest scripts' messages, and the reason of a failure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

_LINE = re.compile(r"^(?:==> |--> |    )?outscale-bsusurrogate\.alpine: ?(.*)$")
_GUEST = re.compile(r"^guest: (STEP|ERROR:|FACT|RESULT) ?(.*)$")
_ERRORED = re.compile(r"^Build 'outscale-bsusurrogate\.alpine' errored(?: after [^:]*)?: (.*)$")
_VOLUME = re.compile(r"Creating snapshot of (?:\w+ )?Volume (vol-[0-9a-f]{8,17})\b", re.IGNORECASE)
_VM = re.compile(r"\bVm ID: (i-[0-9a-f]{8,17})\b")
_SOURCE = re.compile(r"\bFound Image ID: (ami-[0-9a-f]{8,17})\b")
_ERROR = re.compile(r"^(?:Error\b|error\b|Timeout\b|Couldn't|No OMI|no OMI|Script exited)")
_LIST = re.compile(r"^\d+ errors? occurred:$")
_ITEM = re.compile(r"^\t\* (.+)$")
"""The head of a list of errors by Go's hashicorp/go-multierror; it adds nothing to the cloud's answer."""
_BUSY = re.compile(r"\b(?:429 Too Many Requests|500 Internal Server Error|503 Service Unavailable)\b")
_TEMPLATE_ERROR = re.compile(r"^(?:Error: |\* )(.*)$")
_STEPS = (
    ("Launching a source", "booting the build VM"),
    ("Waiting for SSH", "waiting for the build VM's SSH"),
    ("Connected to SSH", "entering the build VM"),
    ("Uploading ", "uploading the guest scripts"),
    ("Stopping the source", "stopping the build VM"),
    ("Creating snapshot of", "taking the snapshot"),
    ("Registering the OMI", "registering the OMI"),
    ("Adding tags to OMI", "tagging OMI and snapshot"),
    ("Terminating the source", "terminating the build VM"),
    ("Removing snapshots since", "removing the snapshot of the failed build"),
    ("Deregistering the OMI because", "deregistering the OMI of the failed build"),
    ("Cancelling build", "cancelling Packer"),
)

_PHASES: dict[str, Literal["boot", "snapshot"]] = {"Launching a source": "boot", "Creating snapshot of": "snapshot"}


class GuestResult(BaseModel):
    """The guest scripts' measurements: bytes used in the root filesystem, bytes of its blocks after trimming, number of
    packages."""

    model_config = ConfigDict(frozen=True)

    used_bytes: int | None = None
    trimmed_bytes: int | None = None
    packages: int | None = None


@dataclass
class PackerOutput:
    """Reads Packer's output line by line. The fields hold the results so far."""

    volumes: list[str] = field(default_factory=list)
    """Volumes that it took snapshots of; such a snapshot may be left without tags."""
    vm: str | None = None
    """The build VM."""
    source: str | None = None
    """The OMI that the build VM runs."""
    guest_errors: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    phase: Literal["boot", "snapshot"] | None = None
    """Whether Packer waits, without a limit of its own, for the build VM or for the snapshot."""
    result: GuestResult = field(default_factory=GuestResult)
    facts: list[str] = field(default_factory=list)
    """The guest scripts' facts of the finished root, `key=value`, for omi.verify to check."""
    _doing: str = "building"

    def feed(self, line: str) -> str | None:
        """Read one line; returns a progress line for it, or None."""
        text = line.rstrip()
        self.volumes += [volume for volume in _VOLUME.findall(text) if volume not in self.volumes]
        if vm := _VM.search(text):
            self.vm = vm[1]
        if source := _SOURCE.search(text):
            self.source = source[1]
        if ended := _ERRORED.match(text):
            if not _LIST.match(ended[1]):  # the list's items came before
                self.errors.append(ended[1])
            return None
        match = _LINE.match(text)
        if match is None:
            if template := _TEMPLATE_ERROR.match(text):
                self.errors.append(template[1])
            return None
        return self._feed_builder(match[1])

    def _feed_builder(self, text: str) -> str | None:
        if guest := _GUEST.match(text):
            return self._feed_guest(guest[1], guest[2].strip())
        item = _ITEM.match(text)
        if item or _ERROR.match(text):
            self.errors.append(f"{self._doing}: {item[1]}" if item else text)
            self.phase = None
        for start, said in _STEPS:
            if text.startswith(start):
                self.phase = _PHASES.get(start, None if start != "Waiting for SSH" else self.phase)
                self._doing = said
                return said
        return None

    def _feed_guest(self, kind: str, text: str) -> str | None:
        if kind == "RESULT":
            self.result = _result(text)
            return None
        if kind == "FACT":
            self.facts.append(text)
            return None
        if kind == "ERROR:":
            self.guest_errors.append(text)
            return f"failed in the build VM: {text}"
        return text

    @property
    def met_busy_cloud(self) -> bool:
        """Whether it failed for an answer of the cloud that is worth another try, which plugin 1.0.2 never makes."""
        return not self.guest_errors and bool(self.errors) and bool(_BUSY.search(self.errors[-1]))

    @property
    def reason(self) -> str:
        """Why it failed, as precisely as possible: the guest's own words, else Packer's."""
        reasons = self.guest_errors[:1] or self.errors[-1:]
        return reasons[0] if reasons else "Packer gave no reason"


def _result(text: str) -> GuestResult:
    try:
        return GuestResult.model_validate_json(text, strict=True)
    except ValidationError:
        return GuestResult()
