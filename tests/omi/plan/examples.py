"""The build, images and release that the planner's examples begin with."""

from __future__ import annotations

from omi.config.settings import Level, Retention
from tests.omi.plan.make import build, held, upstream

V23 = build()
NAME = "alpine-v3_23-3.23.{}-x86_64-r{}"
R5, R6 = held(V23, "3.23.5"), held(V23, "3.23.6")
UP6 = upstream("3.23.6")
LATEST_ONLY = Retention(release=Level(), revision=Level(), allow_mass_prune=("all",))
