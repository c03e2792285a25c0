"""The Pulumi side: components and the command resources they wrap. No cloud call and no file access here."""

from components.errors import clean_errors, refuse
from components.profile_build import ProfileBuild
from components.stack_config import stack_config
from components.state import keep_memory, keep_regions, keep_stack_id, stack_resources

__all__ = [
    "ProfileBuild",
    "clean_errors",
    "keep_memory",
    "keep_regions",
    "keep_stack_id",
    "refuse",
    "stack_config",
    "stack_resources",
]
