"""An image as its documents describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from omi.state.image import ImageSpec


@dataclass(frozen=True)
class Made:
    """The image and its build's facts. The only clock is the cloud's, so the same image gives the same bytes."""

    spec: ImageSpec
    omi: str
    snapshots: tuple[str, ...]
    created: datetime
    """UTC, as the cloud says."""
    source: str | None
    """Id of the OMI that the build VM ran, where Packer named it."""
    release: Mapping[str, str] = field(default_factory=dict)
    """The fields of /etc/alpine-omi-release."""
