"""The plan: every image with its action and its reason. Only the survey asks the world; all else is pure."""

from omi.plan.input import PlanInput
from omi.plan.model import Action, Plan, PlannedImage, Step
from omi.plan.planner import make_plan

__all__ = ["Action", "Plan", "PlanInput", "PlannedImage", "Step", "make_plan"]
