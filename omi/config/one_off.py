"""A request for a single run, by `omi build` or `omi prune`: the program's environment brings it, nothing saves it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from omi.config.settings import Level, Retention, Settings, SharedDays, Stages
from omi.support.errors import SettingsError, first_problem

VARIABLE = "ALPINE_OMI_ONE_OFF"


class PruneLevel(StrEnum):
    """Which images go, as the retention of the same name says."""

    REVISION = "revision"
    RELEASE = "release"
    END_OF_LIFE = "end-of-life"


class OneOff(BaseModel):
    """The images that one run is about; all others stay as state holds them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["build", "prune"]
    builds: tuple[str, ...] = ()
    """Builds, by name; none named means all."""
    level: PruneLevel | None = None
    """The only level that a prune applies, as the stack's config sets it; None means all that it sets."""

    def over(self, settings: Settings) -> Settings:
        """The stack's settings for this run: a build prunes nothing, and a prune goes through at once."""
        return settings.model_copy(update={"retention": self._over(settings.retention)})

    def _over(self, ours: Retention) -> Retention:
        if self.action == "build":
            return ours.model_copy(update={"revision": None, "release": None, "end_of_life": None})
        at_once = Stages(shared=SharedDays(deprecated_days=0, private_days=0))
        allowed = (*ours.allow_mass_prune, *self.builds)
        all_of_ours = ours.model_copy(update={"stages": at_once, "allow_mass_prune": allowed})
        if self.level is None:
            return all_of_ours
        key = self.level.value.replace("-", "_")
        level: Level = getattr(ours, key) or Level()
        if self.builds:
            level = level.model_copy(update={"builds": ()})
        if self.level is PruneLevel.END_OF_LIFE:  # keep: 0, which no config may set, so the newest goes, too
            level = level.model_copy(update={"keep": 0})
        return all_of_ours.model_copy(update={"revision": None, "release": None, "end_of_life": None, key: level})

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a run's environment has besides its own."""
        return {VARIABLE: self.model_dump_json()}


def asked(environ: Mapping[str, str] = os.environ) -> OneOff | None:
    """The request of this run; None where it is an ordinary one. Raises SettingsError."""
    text = environ.get(VARIABLE)
    if text is None:
        return None
    try:
        return OneOff.model_validate_json(text)
    except ValidationError as error:
        cure = "`python -m omi build` and `python -m omi prune` set it; unset it"
        raise SettingsError(f"{VARIABLE}: {first_problem(error)}; {cure}") from error
