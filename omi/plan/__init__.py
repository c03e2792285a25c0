"""What is to happen to every image, and why: a pure function of profile, upstream, ledger, retention and the day."""

from omi.plan.model import Action, Plan, PlannedImage, Step
from omi.plan.planner import make_plan

__all__ = ["Action", "Plan", "PlannedImage", "Step", "make_plan"]
